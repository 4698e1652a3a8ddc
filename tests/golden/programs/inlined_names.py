def reused(xs):
    a = [x for x in xs]
    x = "kept"
    b = [x for x in xs]
    return a, x, b


def walrus(xs):
    hits = [last for x in xs if (last := x) > 1]
    return hits, last


def in_comprehension(xs):
    h = [lambda: [x for x in xs] for _ in range(2)]
    return h[1]()


def run():
    return reused([1]), walrus([1, 2]), in_comprehension([3])

def sign(n):
    if n < 0:
        return -1
    elif n == 0:
        return 0
    else:
        return 1


def nothing():
    pass


def find(xs, x):
    for i, y in enumerate(xs):
        if y == x:
            break
    else:
        return None
    return i


def loops():
    out = []
    i = 0
    while i < 5:
        i += 1
        if i == 2:
            continue
        if i == 4:
            break
        out.append(i)
    while True:
        if not out:
            break
        out.pop()
    return i


def fact(n):
    return 1 if n < 2 else n * fact(n - 1)


def run():
    a = [sign(n) for n in (-2, 0, 2)]
    b = nothing()
    c = find("abc", "b"), find([], 1)
    x = 5; y = x; x = y + 1
    if x: y = 0
    d = loops() if a else loops
    e = fact(3)
    ...
    "a string"
    return a, b, c, d, e, (lambda: x + y)()

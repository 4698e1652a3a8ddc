counter = 0


def cells(a, b):
    total = 0

    def inner(c):
        nonlocal total
        total += a + c
        return lambda: (total, b)
    later = inner(1)
    b = 5
    return later()


def deleted(flag):
    x = 1
    y = 2
    del x
    if flag:
        x = 3
    del y
    y = 4
    return x if flag else y


def late(n):
    if n:
        z = 1
    for a in range(n):
        b = a
    if n > 1:
        first = 0
    z = 2
    return z


def globals_too():
    global counter
    counter += 1
    return counter


def many(a, /, b, *args, c=3, **kwargs):
    local = a
    a, b = b, a
    (d, *e), f = [1, 2, 3], 4
    return local, a, b, c, d, e, f, args, kwargs


def run():
    same = [1]
    same = [1]
    alias = same
    alias.append(2)
    return cells(1, 2), deleted(True), deleted(False), late(0), late(2), globals_too(), many(1, 2, 3, d=4)

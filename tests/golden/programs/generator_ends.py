def never_started():
    yield 1


def delegating(xs):
    yield from (x for x in xs)


def run():
    never_started().close()
    p = delegating("ab")
    next(p)
    p.close()
    q = (x for x in "ab")
    next(q)
    q.close()
    out = list(delegating("a"))
    for value in (
        v
        for v in
        out
        if v
    ):
        last = value
    return last

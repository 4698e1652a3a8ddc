def count(n):
    got = None
    for i in range(n):
        got = yield i
        if got == "stop":
            return "stopped"
    return "ended"


def outer(n):
    result = yield from count(n)
    yield result


def guarded():
    try:
        yield 1
        yield 2
    except KeyError as e:
        yield str(e)
    finally:
        last = "cleaned"


def run():
    out = list(outer(2))
    g = count(5)
    out.append(next(g))
    out.append(g.send("go"))
    try:
        g.send("stop")
    except StopIteration as e:
        out.append(e.value)
    h = guarded()
    next(h)
    out.append(h.throw(KeyError("k")))
    h.close()
    k = guarded()
    next(k)
    k.close()
    try:
        q = count(3)
        next(q)
        q.throw(ValueError("thrown"))
    except ValueError:
        pass
    total = sum(x * x for x in range(3) if x)
    pairs = ((x, y) for x in "ab" for y in range(2))
    first = next(pairs)
    rest = list(pairs)
    return out, total, first, rest

"""Halves what can be halved: calls, a loop, an exception that is caught, and a comprehension."""


def half(n):
    if n % 2:
        raise ValueError("odd")
    return n // 2


def g(xs):
    out = []
    for x in xs:
        try:
            out.append(half(x))
        except ValueError as e:
            out.append(None)
    return [y for y in out if y]

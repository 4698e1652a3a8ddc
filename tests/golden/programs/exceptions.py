class Odd(Exception):
    def __init__(self, n):
        super().__init__("odd", n)
        self.n = n


def half(n):
    if n % 2:
        raise Odd(n)
    return n // 2


def middle(n):
    try:
        return half(n)
    finally:
        n = -1


def chained(n):
    try:
        middle(n)
    except Odd as e:
        raise ValueError("chained") from e


def again(n):
    try:
        half(n)
    except Odd:
        n += 1
        raise


def overridden():
    for i in range(3):
        try:
            if i == 1:
                return "lost"
        finally:
            if i == 1:
                continue
            i += 10
    else:
        i = "done"
    return i


def builtin_errors():
    seen = []
    for action in (lambda: 1 / 0, lambda: {}["k"], lambda: [].pop(), lambda: int("x"), lambda: half(3)):
        try:
            action()
        except (ZeroDivisionError, KeyError) as e:
            seen.append(type(e).__name__)
        except Exception as e:
            seen.append(str(e))
        else:
            seen.append("none")
    return seen


def run():
    out = []
    for f in (chained, again):
        try:
            f(3)
        except Exception as e:
            out.append(repr(e))
    out.append(middle(4))
    out.append(overridden())
    out.extend(builtin_errors())
    return out

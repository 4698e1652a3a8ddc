import contextlib


class Manager:
    def __init__(self, swallow):
        self.swallow = swallow
        self.log = []

    def __enter__(self):
        self.log.append("enter")
        return self.log

    def __exit__(self, kind, exc, tb):
        self.log.append(kind and kind.__name__)
        return self.swallow


@contextlib.contextmanager
def opened(name):
    try:
        yield name
    finally:
        name = "closed"


def one_line(m):
    with m: raise KeyError("k")


def one_line_value(m):
    with m: return [][0]


def early(m):
    with m as log:
        return len(log)


def run():
    m = Manager(True)
    out = [one_line(m), one_line_value(m), early(m)]
    with Manager(False) as a, opened("f") as b:
        out.append((len(a), b))
    try:
        with m as log:
            with Manager(False):
                raise ValueError
        log.append("after")
        with opened("g"):
            raise OSError("o")
    except OSError as e:
        out.append(str(e))
    with contextlib.suppress(ZeroDivisionError):
        1 / 0
    return out, m.log

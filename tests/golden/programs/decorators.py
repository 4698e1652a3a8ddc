import functools


def twice(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        f(*args, **kwargs)
        return f(*args, **kwargs)
    return wrapper


def times(n):
    def decorate(f):
        def inner(x):
            return f(x) * n
        return inner
    return decorate


@twice
@times(
    3
)
# a comment
def add_one(x):
    return x + 1


@functools.lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


class Thing:
    @property
    def size(self):
        return 3

    @staticmethod
    def make():
        return Thing()

    @classmethod
    @twice
    def named(cls):
        return cls.__name__


def local():
    @twice
    def inner():
        return 1

    @times(2)
    class Local:
        def __init__(self, x):
            self.x = x

        def __mul__(self, n):
            return self.x * n
    return inner() + Local(4)


def run():
    return add_one(1), fib(4), Thing.make().size, Thing.named(), local()

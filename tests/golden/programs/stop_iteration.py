class Countdown:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return self

    def __next__(self):
        if self.n == 0:
            raise StopIteration
        self.n -= 1
        return self.n


def run():
    total = 0
    for n in Countdown(2):
        total += n
    squares = [n * n for n in Countdown(2)]
    it = iter([1])
    first = next(it, None)
    second = next(it, None)
    try:
        next(it)
    except StopIteration:
        total += 100
    a, b = Countdown(2)
    return total, squares, first, second, a, b, list(Countdown(1))

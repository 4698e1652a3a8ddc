"""Lists changed in place: append, insert, pop, swap, reverse, bubble passes."""


def bubble(values):
    n = len(values)
    for done in range(n):
        swapped = False
        for i in range(n - 1 - done):
            if values[i] > values[i + 1]:
                values[i], values[i + 1] = values[i + 1], values[i]
                swapped = True
        if not swapped:
            break
    return values


def rotate(values, by):
    for _ in range(by):
        last = values.pop()
        values.insert(0, last)
    return values


def keep_sorted(values):
    kept = []
    for value in values:
        at = 0
        while at < len(kept) and kept[at] < value:
            at += 1
        kept.insert(at, value)
    return kept


def run():
    values = []
    seed = 7
    for _ in range(17):
        seed = (seed * 31 + 11) % 101
        values.append(seed)
    rotate(values, 5)
    kept = keep_sorted(list(values))
    bubble(values)
    values.reverse()
    return values, kept

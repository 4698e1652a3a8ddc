"""Recursive functions: fibonacci, permutations, flatten, binary search."""


def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


def permutations(items):
    if len(items) <= 1:
        return [items]
    out = []
    for i, first in enumerate(items):
        rest = items[:i] + items[i + 1 :]
        for tail in permutations(rest):
            out.append([first, *tail])
    return out


def flatten(tree):
    if not isinstance(tree, list):
        return [tree]
    flat = []
    for part in tree:
        flat.extend(flatten(part))
    return flat


def search(values, wanted, low, high):
    if low >= high:
        return -1
    middle = (low + high) // 2
    if values[middle] == wanted:
        return middle
    if values[middle] < wanted:
        return search(values, wanted, middle + 1, high)
    return search(values, wanted, low, middle)


def run():
    number = fib(11)
    orders = permutations([1, 2, 3, 4])
    flat = flatten([1, [2, [3, 4], [5, [6]]], [[7], 8], [9, [10, [11, [12]]]]])
    values = list(range(0, 64, 2))
    places = []
    for wanted in (2, 17, 40, 62):
        places.append(search(values, wanted, 0, len(values)))
    return number, len(orders), flat, places

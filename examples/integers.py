"""Arithmetic, recursion and early returns: small functions with the calls that people make of them."""


def gcd(a, b):
    """Euclid's algorithm.

    >>> gcd(252, 105)
    21
    """
    while b:
        a, b = b, a % b
    return a


def digits(n, base=10):
    """The digits of a number, the highest first.

    >>> digits(25, base=2)
    [1, 1, 0, 0, 1]
    """
    if n < base:
        return [n]
    return [*digits(n // base, base), n % base]


def search(items, wanted):
    """Where `wanted` is in sorted `items`; None where it is not.

    >>> search([1, 3, 5, 8, 13], 8)
    3
    """
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if items[middle] == wanted:
            return middle
        if items[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return None

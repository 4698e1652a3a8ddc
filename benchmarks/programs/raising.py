"""Exceptions and nothing else: raised three calls deep and caught, again and again."""


def check(number):
    if number % 2:
        raise ValueError(number)
    return number


def doubled(number):
    return 2 * check(number)


def tried(number):
    try:
        return doubled(number)
    except ValueError:
        return -1


def run():
    return sum(tried(number) for number in range(400))

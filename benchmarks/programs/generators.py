"""Generators, try/except/finally, nested raises, early returns."""


def countdown(n):
    while n > 0:
        yield n
        n -= 1


def evens(numbers):
    for number in numbers:
        if number % 2 == 0:
            yield number


def chunks(items, size):
    chunk = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def parse(text):
    try:
        return int(text)
    except ValueError:
        return None
    finally:
        text = ""


def half(number):
    if number is None:
        raise TypeError("nothing to halve")
    if number % 2:
        raise ValueError("odd")
    return number // 2


def halved(text):
    try:
        return half(parse(text))
    except ValueError as exc:
        raise RuntimeError(text) from exc


def first_over(numbers, limit):
    for number in numbers:
        if number > limit:
            return number
    return None


def run():
    found = []
    for chunk in chunks(evens(countdown(20)), 4):
        found.append(sum(chunk))
    results = []
    for text in ("8", "x", "7", "12", "", "31", "64"):
        try:
            results.append(halved(text))
        except (RuntimeError, TypeError) as exc:
            results.append(str(exc))
    over = first_over(countdown(14), 30)
    return found, results, over

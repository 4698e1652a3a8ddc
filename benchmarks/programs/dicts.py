"""Dictionaries built and regrouped: counters, an inverted index, merges."""

DOCUMENTS = {
    "one": "red blue red green blue red black white",
    "two": "green yellow green black blue red pink",
    "three": "blue black red yellow white green",
}


def count(words):
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts


def index(documents):
    found = {}
    for name, text in documents.items():
        for word in text.split():
            places = found.setdefault(word, [])
            if name not in places:
                places.append(name)
    return found


def merge(left, right):
    out = dict(left)
    for key, value in right.items():
        if key in out:
            out[key] += value
        else:
            out[key] = value
    return out


def by_number(counts):
    groups = {}
    for word, number in counts.items():
        groups.setdefault(number, []).append(word)
    return groups


def run():
    total = {}
    for text in DOCUMENTS.values():
        counts = count(text.split())
        total = merge(total, counts)
    where = index(DOCUMENTS)
    groups = by_number(total)
    del total["red"]
    return total, where, groups

"""String methods over short texts: split, join, strip, replace, case, counting, slicing."""

TEXTS = (
    "  The quick brown fox jumps over the lazy dog  ",
    "pack my box with five dozen liquor jugs",
    "How vexingly quick daft zebras jump!",
    "a man, a plan, a canal: Panama",
)


def title_of(text):
    words = text.strip().split()
    out = []
    for word in words:
        first = word[:1].upper()
        rest = word[1:].lower()
        out.append(first + rest)
    return " ".join(out)


def is_palindrome(text):
    kept = ""
    for char in text:
        if char.isalnum():
            kept += char.lower()
    return kept == kept[::-1]


def vowels(text):
    counts = ""
    for vowel in "aeiou":
        number = text.lower().count(vowel)
        counts += vowel + str(number)
    return counts


def slug(text):
    text = text.strip().lower()
    for mark in ",:!.":
        text = text.replace(mark, "")
    return text.replace(" ", "-")


def run():
    lines = []
    for text in TEXTS:
        lines.append(title_of(text))
        lines.append(vowels(text))
        lines.append(slug(text))
    found = is_palindrome(TEXTS[3])
    return "\n".join(lines), found

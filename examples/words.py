"""Text and dictionaries: small functions with the calls that people make of them."""


def count_words(text, *, skip=()):
    """How often each word is there, the most frequent first.

    >>> count_words("the cat and the hat", skip=("and",))
    [('the', 2), ('cat', 1), ('hat', 1)]
    """
    counts = {}
    for word in text.lower().split():
        word = word.strip(".,!?")
        if word in skip:
            continue
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def run_lengths(text):
    """Runs of equal characters, as pairs.

    >>> run_lengths("aaabcc")
    [('a', 3), ('b', 1), ('c', 2)]
    """
    runs = []
    for char in text:
        if runs and runs[-1][0] == char:
            runs[-1] = (char, runs[-1][1] + 1)
        else:
            runs.append((char, 1))
    return runs


def is_palindrome(text):
    """The same from both ends, whatever is no letter aside.

    >>> is_palindrome("Never odd or even")
    True
    """
    letters = [char for char in text.lower() if char.isalpha()]
    left, right = 0, len(letters) - 1
    while left < right:
        if letters[left] != letters[right]:
            return False
        left += 1
        right -= 1
    return True

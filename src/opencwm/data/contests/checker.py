"""Whether a program's output answers a test, as contest checkers compare.

Token by token: white space separates and is otherwise ignored. Words are equal in any case of their letters (`Yes`,
`YES`), integers when they are the same text, and numbers with a fractional part when they are within `TOLERANCE`,
absolute or relative. A problem with several right answers needs a checker of its own; there, one right answer is
taken for all.
"""

import ast
import math

TOLERANCE = 1e-6


def same_output(expected: str, printed: str) -> bool:
    wanted, got = expected.split(), printed.split()
    return len(wanted) == len(got) and all(map(same_token, wanted, got))


def same_token(wanted: str, got: str) -> bool:
    if wanted == got or wanted.casefold() == got.casefold():
        return True
    if not (_is_fractional(wanted) or _is_fractional(got)):
        return False
    try:
        a, b = float(wanted), float(got)
    except ValueError:
        return False
    return math.isfinite(a) and math.isfinite(b) and math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def same_value(expected: str, text: str) -> bool:
    """For a problem by call: whether the text of what was returned stands for the expected literal."""
    try:
        wanted, got = ast.literal_eval(expected), ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return expected == text
    if isinstance(wanted, float) and isinstance(got, int | float):
        return math.isclose(wanted, got, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(wanted == got)


def _is_fractional(token: str) -> bool:
    return "." in token or "e" in token or "E" in token

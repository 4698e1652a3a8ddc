# ruff: noqa: E501  (tables and templates: a line is one entry)
"""Small expressions that idioms leave open: predicates, steps, messages. `@pred($x)` in a template calls `pred` here.

Each takes the expander (for its random numbers, and its limits) and the texts of its arguments, and returns the text
of an expression that may stand in a larger one: low-precedence ones are put in parentheses by the template.
"""

import random
from collections.abc import Callable

from opencwm.data.programs.names import PEOPLE, UNITS, WORDS

Piece = Callable[..., str]
PIECES: dict[str, Piece] = {}


def piece(function: Piece) -> Piece:
    PIECES[function.__name__.rstrip("_")] = function
    return function


@piece
def int_(rng: random.Random, low: str, high: str) -> str:
    return str(rng.randint(int(low), int(high)))


@piece
def pred(rng: random.Random, x: str) -> str:
    """A condition on an integer."""
    small, large = rng.randint(2, 5), rng.randint(3, 15)
    return rng.choice(
        [
            f"{x} % 2 == 0",
            f"{x} % 2 == 1",
            f"{x} % 2 != 0",
            f"{x} % 2",
            f"{x} % {small} == 0",
            f"{x} > {large}",
            f"{x} >= {large}",
            f"{x} < {large}",
            f"{x} <= {large}",
            f"{x} != {rng.randint(0, 9)}",
            f"{x} > 0",
            f"{small} <= {x} <= {large + 5}",
            f"{small} < {x} < {large + 8}",
            f"0 < {x} < {large}",
            f"{small} <= {x} < {large + small}",
            f"{x} > {small} and {x} % 2 == {rng.randint(0, 1)}",
            f"{x} < {small} or {x} > {large}",
            f"not {x} % {small}",
            f"{x} in ({rng.randint(0, 4)}, {rng.randint(5, 9)}, {rng.randint(10, 12)})",
        ]
    )


@piece
def small_pred(rng: random.Random, i: str) -> str:
    """A condition on an integer that counts from 0 or 1 to a handful."""
    return rng.choice(
        [f"{i} % 2 == 0", f"{i} % 2 == 1", f"{i} > {rng.randint(0, 2)}", f"{i} < {rng.randint(2, 3)}", f"{i} != {rng.randint(0, 2)}",
         f"{i} == {rng.randint(0, 3)}", f"{i} % 3 == 0", f"{i} >= {rng.randint(1, 3)}", f"1 <= {i} < {rng.randint(3, 4)}"]
    )  # fmt: skip


@piece
def expr(rng: random.Random, x: str) -> str:
    """One small step on an integer; binds no weaker than a product, or is in parentheses."""
    return rng.choice(
        [
            f"{x} * {rng.randint(2, 5)}",
            f"{x} * 2",
            f"({x} + {rng.randint(1, 9)})",
            f"({x} - {rng.randint(1, 5)})",
            f"{x} * {x}",
            f"{x} ** 2",
            f"{x} // {rng.randint(2, 4)}",
            f"{x} % {rng.randint(2, 7)}",
            f"abs({x} - {rng.randint(2, 9)})",
            f"-{x}",
            f"min({x}, {rng.randint(3, 12)})",
            f"max({x}, {rng.randint(2, 9)})",
        ]
    )


@piece
def linear(rng: random.Random, x: str) -> str:
    """A step that keeps an integer of its size."""
    return rng.choice(
        [
            f"{x} + {rng.randint(1, 9)}",
            f"{x} - {rng.randint(1, 5)}",
            f"{x} * 2",
            f"{x} * 2 + 1",
            f"{x} * {rng.randint(2, 4)}",
        ]
    )


@piece
def mod(rng: random.Random) -> str:
    return str(rng.choice([5, 7, 10, 10, 11, 13, 16, 17, 26, 50, 97, 100]))


@piece
def cmp_(rng: random.Random) -> str:
    return rng.choice([">", "<", ">=", "<="])


@piece
def op_(rng: random.Random) -> str:
    return rng.choice(["+", "+", "-", "*"])


@piece
def cpred(rng: random.Random, ch: str) -> str:
    """A condition on one character."""
    return rng.choice(
        [
            f"{ch} in 'aeiou'",
            f"{ch} not in 'aeiou'",
            f"{ch}.lower() in 'aeiou'",
            f"{ch}.isdigit()",
            f"{ch}.isalpha()",
            f"{ch}.isupper()",
            f"{ch}.islower()",
            f"not {ch}.isalpha()",
            f"{ch} != ' '",
            f"{ch} == '{rng.choice('aeost')}'",
            f"{ch} > '{rng.choice('fhkmn')}'",
            f"{ch}.isalnum()",
            f"{ch}.isnumeric()",
            f"{ch}.isspace()",
            f"not {ch}.isdigit()",
            f"{ch} in '{rng.choice(['+-*/', '.,!?', '0123456789', 'xyz', 'AEIOU', '-_ ', 'abc'])}'",
            f"{ch} < 'n'",
            f"'a' <= {ch} <= '{rng.choice('fhmst')}'",
            f"{ch} in '{''.join(rng.sample('abcdelmnorst', 4))}'",
        ]
    )


@piece
def wpred(rng: random.Random, w: str) -> str:
    """A condition on a word."""
    return rng.choice(
        [
            f"len({w}) > {rng.randint(2, 5)}",
            f"len({w}) % 2 == 0",
            f"len({w}) == {rng.randint(3, 5)}",
            f"{w}.startswith('{rng.choice('abcdmpst')}')",
            f"{w}.endswith('{rng.choice('eyrntd')}')",
            f"'{rng.choice('aeiour')}' in {w}",
            f"'{rng.choice('aeiour')}' not in {w}",
            f"{w}.islower()",
            f"{w}.isalpha()",
            f"{w}[0] in '{''.join(rng.sample('abcdefghlmoprst', 5))}'" if rng.random() < 0.3 else f"{w}[:1] > 'm'",
            f"{w}[-1:] == '{rng.choice('eynrt')}'",
            f"{w} == {w}[::-1]",
            f"{w}.istitle()",
            f"{w}.isdigit()",
            f"{w}.isupper()",
            f"{w}.startswith(('{rng.choice('abcdef')}', '{rng.choice('mnprst')}'))",
            f"{w}.find('{rng.choice('aeior')}') > 0",
            f"' ' in {w}",
            f"{w}.count('{rng.choice('aelo')}') > 0",
            f"{rng.randint(2, 3)} < len({w}) <= {rng.randint(5, 7)}",
        ]
    )


@piece
def sexpr(rng: random.Random, s: str) -> str:
    """One step on a string; a postfix expression, so that a method may follow."""
    a, b = rng.sample("aeilnorst", 2)
    return rng.choice(
        [
            f"{s}.upper()",
            f"{s}.lower()",
            f"{s}.title()",
            f"{s}.capitalize()",
            f"{s}.strip()",
            f"{s}[::-1]",
            f"{s}[::-1]",
            f"{s}[1:]",
            f"{s}[:-1]",
            f"{s}[:{rng.randint(2, 4)}]",
            f"{s}[{rng.randint(1, 3)}:]",
            f"{s}[::2]",
            f"{s}.replace('{a}', '{b}')",
            f"{s}.replace('{a}', '')",
            f"{s}.replace(' ', '{rng.choice(['', '_', '-'])}')",
            f"{s}.swapcase()",
            f"{s}.zfill({rng.randint(4, 8)})",
            f"{s}.lstrip('{a}{b}')",
            f"{s}.rstrip('{a}{b}')",
            f"{s}.center({rng.randint(6, 10)}, '{rng.choice('*-.')}')",
            f"{s}.ljust({rng.randint(5, 8)}, '{rng.choice('.-_')}')",
            f"{s}.rjust({rng.randint(5, 8)}, '{rng.choice('.-0')}')",
            f"{s}.removesuffix('{rng.choice(['e', 's', 'ing', 'd'])}')",
            f"{s}.split('{a}')[0]",
            f"{s}.split()[-1]" if rng.random() < 0.3 else f"{s}[-{rng.randint(2, 4)}:]",
            f"{s}.partition('{rng.choice('aeo ')}')[{rng.choice('02')}]",
            f"{s}.rpartition('{rng.choice('aeo ')}')[{rng.choice('02')}]",
            f"{s}.casefold()",
            f"{s}.replace('{a}', '{b}', 1)",
            f"{s}.strip('{a}{b}')",
            f"{s}[1::2]",
            f"{s}[1:-1]",
            f"{s}.translate(str.maketrans('{a}', '{b.upper()}'))" if rng.random() < 0.2 else f"{s}.upper()",
            f"{s}.removeprefix('{rng.choice(['a', 're', 's', 'b'])}')",
        ]
    )


@piece
def wexpr(rng: random.Random, w: str) -> str:
    """One step on a word, of those that fit any word."""
    return rng.choice(
        [f"{w}.upper()", f"{w}.title()", f"{w}[::-1]", f"{w}[:{rng.randint(1, 3)}]", f"{w}.capitalize()", f"{w}[1:]",
         f"{w}[0].upper() + {w}[1:]", f"{w} + '{rng.choice('!s-.')}'", f"{w}.lower()", f"{w} * 2", f"{w}.strip()"]
    )  # fmt: skip


@piece
def cexpr(rng: random.Random, ch: str) -> str:
    """One step on a character."""
    return rng.choice(
        [f"{ch}.upper()", f"{ch}.lower()", f"{ch}.swapcase()", f"{ch} * 2", f"{ch} + '{rng.choice('-.*')}'",
         f"'{rng.choice('*-_#')}'", f"{ch} * 3", f"chr(ord({ch}) + 1)"]
    )  # fmt: skip


@piece
def count_(rng: random.Random, s: str) -> str:
    """An integer out of a string."""
    return rng.choice(
        [f"len({s})", f"{s}.count('{rng.choice('aeiostl')}')", f"{s}.find('{rng.choice('aeiostl')}')", f"len({s}.split())",
         f"len(set({s}))", f"len({s}) % {rng.randint(2, 4)}"]
    )  # fmt: skip


@piece
def measure_(rng: random.Random, xs: str) -> str:
    """An integer out of a list of integers."""
    return rng.choice([f"sum({xs})", f"len({xs})", f"max({xs}, default=0)", f"min({xs}, default=0)", f"len(set({xs}))"])


@piece
def key_(rng: random.Random, x: str) -> str:
    """A sort key on an integer, as a lambda's body."""
    return rng.choice(
        [
            f"-{x}",
            f"{x} % {rng.randint(2, 5)}",
            f"abs({x} - {rng.randint(3, 9)})",
            f"({x} % 2, {x})",
            f"{x} % 10",
            f"str({x})",
        ]
    )


@piece
def wkey(rng: random.Random, w: str) -> str:
    """A sort key on a word, as a lambda's body."""
    return rng.choice(
        [
            f"len({w})",
            f"{w}[-1]",
            f"(len({w}), {w})",
            f"{w}.lower()",
            f"{w}[::-1]",
            f"-len({w})",
            f"{w}.count('{rng.choice('aeo')}')",
        ]
    )


@piece
def char_(rng: random.Random) -> str:
    return repr(rng.choice("abcdeghlmnoprstxyz"))


@piece
def mark(rng: random.Random) -> str:
    return repr(rng.choice(["-", "*", "_", "#", ".", "+", "", "x", "?", "=", " "]))


@piece
def sep_(rng: random.Random) -> str:
    return repr(rng.choice(["", " ", "-", ",", "_", ", ", "/", "|", "+"]))


@piece
def word_(rng: random.Random) -> str:
    return repr(rng.choice(WORDS))


@piece
def person(rng: random.Random) -> str:
    return repr(rng.choice(PEOPLE))


@piece
def unit(rng: random.Random) -> str:
    return repr(rng.choice(UNITS))


@piece
def label(rng: random.Random) -> str:
    return repr(
        rng.choice("low high small big even odd none ok bad good empty yes no zero first rest start end".split())
    )


@piece
def labels3(rng: random.Random) -> str:
    return rng.choice(
        ["low mid high", "small medium large", "cold warm hot", "C B A", "slow normal fast", "child teen adult",
         "fail pass top", "few some many", "bronze silver gold", "cheap fair costly", "a b c", "light middle heavy"]
    )  # fmt: skip


@piece
def msg(rng: random.Random) -> str:
    return repr(
        rng.choice(
            "bad value|not allowed|empty|must be positive|too large|too small|invalid input|negative|unknown key|out of "
            "range|no data|not found|bad input|missing|limit reached|wrong type|zero|not enough|closed|invalid".split(
                "|"
            )
        )
    )


@piece
def raising(rng: random.Random, text: str) -> str:
    name = rng.choice(["ValueError", "ValueError", "ValueError", "KeyError", "TypeError", "RuntimeError", "IndexError"])
    return f"{name}({text})"


@piece
def fill_value(rng: random.Random) -> str:
    return rng.choice(["0", "0", "-1", "None", "-1", "1"])

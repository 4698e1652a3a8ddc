"""Argument values: what people pass to small functions, by kind.

A kind names what a parameter wants (`ints`, `sorted`, `csv`, ...); its *type* is what Python sees (`list[int]`,
`str`), by which functions are put together. Values are small on purpose: a model works them out in its head.
"""

import random
from collections.abc import Callable
from typing import Any

from opencwm.data.programs.dial import Limits
from opencwm.data.programs.names import PEOPLE, UNITS, WORDS

LETTERS = "abcdefghijklmnopqrstuvwxyz"
OPENING = "([{"
CLOSING = {"(": ")", "[": "]", "{": "}"}

LIST_OF = "list_of:"
"""Before a kind: two to four values of it, in a list."""

TYPES = {
    "int": "int",
    "nat": "int",
    "pos": "int",
    "small": "int",
    "tiny": "int",
    "two_digits": "int",
    "digits": "int",
    "elem": "int",
    "percent": "int",
    "base": "int",
    "float": "float",
    "bool": "bool",
    "opt_int": "int | None",
    "word": "str",
    "text": "str",
    "caps": "str",
    "mixed": "str",
    "numeric": "str",
    "numeric_bad": "str",
    "char": "str",
    "sep": "str",
    "turns": "str",
    "short_word": "str",
    "tight_expr": "str",
    "board": "list[str]",
    "log_lines": "list[str]",
    "instructions": "list[str]",
    "tree": "tuple | None",
    "step": "int",
    "name": "str",
    "three_chars": "str",
    "three_ints": "list[int]",
    "zero": "int",
    "no_stop": "int | None",
    "no_memo": "dict | None",
    "roman": "str",
    "node": "str",
    "palin": "str",
    "sign": "str",
    "csv": "str",
    "csv_ints": "str",
    "kv": "str",
    "brackets": "str",
    "binary": "str",
    "runs": "str",
    "rle": "str",
    "snake": "str",
    "fragment": "str",
    "elem_word": "str",
    "key_of": "str",
    "time": "str",
    "expr": "str",
    "ints": "list[int]",
    "ints1": "list[int]",
    "ints2": "list[int]",
    "more_ints": "list[int]",
    "bits": "list[int]",
    "sorted": "list[int]",
    "sorted2": "list[int]",
    "dups": "list[int]",
    "steps": "list[int]",
    "words": "list[str]",
    "words1": "list[str]",
    "numerics": "list[str]",
    "chars": "list[str]",
    "names": "list[str]",
    "moves": "list[str]",
    "stack_ops": "list[str]",
    "counts": "dict[str, int]",
    "counts2": "dict[str, int]",
    "groups": "dict[str, list[int]]",
    "graph": "dict[str, list[str]]",
    "str_map": "dict[str, str]",
    "int_map": "dict[int, int]",
    "pairs": "list[tuple[str, int]]",
    "int_pairs": "list[tuple[int, int]]",
    "spans": "list[tuple[int, int]]",
    "changes": "list[tuple[str, int]]",
    "pair": "tuple[int, int]",
    "grid": "list[list[int]]",
    "square": "list[list[int]]",
    "nested": "list",
    "records": "list[dict]",
    "opt_ints": "list[int | None]",
    "mixed_items": "list",
    "int_set": "set[int]",
    "int_set2": "set[int]",
}
"""Kind -> the type as an annotation writes it."""


def type_of(kind: str) -> str:
    """The type of a kind; a type itself (of a result, say) stands for itself."""
    if kind.startswith(LIST_OF):
        return f"list[{type_of(kind[len(LIST_OF) :])}]"
    return TYPES.get(kind, kind)


class Values:
    """Draws values of every kind within the limits; later arguments may refer to earlier ones (`elem`, `key_of`)."""

    def __init__(self, rng: random.Random, limits: Limits, careless: bool = False) -> None:
        self.rng = rng
        self.limits = limits
        self.careless = careless
        """Whether some arguments may be such as the function did not expect: empty, zero, None."""
        self.given: list[Any] = []

    def draw(self, kind: str) -> Any:
        """One value of a kind; KeyError for a kind that there is not."""
        if kind.startswith(LIST_OF):
            size = self.rng.randint(2, min(4, max(2, self.limits.container_len)))
            outer, self.limits = self.limits, self.limits.smaller()
            drawn = [self.draw(kind[len(LIST_OF) :]) for _ in range(size)]
            self.limits = outer
            self.given.append(drawn)
            return drawn
        maker: Callable[[Values], Any] = _MAKERS[kind]
        value = maker(self)
        if self.careless and self.rng.random() < 0.5:
            value = self.spoiled(value)
        self.given.append(value)
        return value

    def spoiled(self, value: Any) -> Any:
        """A value of the same type that may surprise."""
        draw = self.rng.random()
        if draw < 0.03:
            return None
        if isinstance(value, int):
            return self.rng.choice((0, 0, -1))
        if isinstance(value, list) and value and draw < 0.1:
            return [*value[:-1], self.rng.choice((None, "x", ""))]
        if isinstance(value, str) and draw < 0.4:
            return self.rng.choice(("x", "?", "-1", "a b"))
        return type(value)()

    def integer(self, low: int = 0) -> int:
        """Mostly 0-20, often to the dial's magnitude, rarely far beyond or negative."""
        magnitude, draw = self.limits.int_magnitude, self.rng.random()
        if draw < 0.55:
            value = self.rng.randint(0, min(9, magnitude))
        elif draw < 0.82:
            value = self.rng.randint(0, max(1, min(20, magnitude)))
        elif draw < 0.97 - 0.03 * self.limits.level:
            value = self.rng.randint(0, magnitude)
        else:
            value = self.rng.randint(0, magnitude * 10) if self.rng.random() < 0.5 else -self.rng.randint(1, 9)
        return max(low, value)

    def size(self, low: int = 2) -> int:
        """A container's length: middling mostly, the extremes seldom."""
        high = max(low, self.limits.container_len)
        return (
            max(self.rng.randint(low, high), self.rng.randint(low, high)) if high > 3 else self.rng.randint(low, high)
        )

    def integers(self, low: int = 2) -> list[int]:
        draw = self.rng.random()
        if draw < 0.05 and low == 0:
            return []
        size = self.size(max(low, 2) if draw < 0.9 else max(low, 1))
        if self.limits.level > 0.3 and draw > 0.6 and draw < 0.72:
            return [self.rng.randint(-9, 9) for _ in range(size)]
        return [self.integer() for _ in range(size)]

    def duplicated(self) -> list[int]:
        some = [self.integer() for _ in range(self.rng.randint(2, 3))]
        return [self.rng.choice(some) for _ in range(max(3, self.size()))]

    def word(self) -> str:
        if self.rng.random() < 0.7:
            word = self.rng.choice(WORDS)
            return word if len(word) <= self.limits.string_len else word[: self.limits.string_len]
        return "".join(self.rng.choice(LETTERS) for _ in range(self.rng.randint(2, max(3, self.limits.string_len - 1))))

    def words(self, low: int = 2) -> list[str]:
        words = [self.word() for _ in range(min(5, self.size(low)))]
        if self.rng.random() < 0.3 and len(words) > 1:
            words[-1] = words[0]
        if self.rng.random() < 0.15:
            spot = self.rng.randrange(len(words))
            words[spot] = words[spot].capitalize()
        return words

    def text(self) -> str:
        draw = self.rng.random()
        if draw < 0.45:
            words = [self.rng.choice(WORDS) for _ in range(self.rng.randint(2, 3))]
            if self.rng.random() < 0.25:
                words[-1] = words[0]
            text = " ".join(words)
        elif draw < 0.7:
            text = self.word()
        elif draw < 0.85:
            text = self.mixed()
        else:
            text = ", ".join(self.rng.choice(WORDS) for _ in range(2)) + self.rng.choice(["", "!", ".", "?"])
        if self.rng.random() < 0.25:
            text = text.title() if self.rng.random() < 0.5 else text.capitalize()
        if self.rng.random() < 0.06:
            text = f" {text} "
        return text

    def mixed(self) -> str:
        """Letters of both cases, digits and now and then a mark: what benchmark authors type at random."""
        if self.rng.random() < 0.25:
            return "".join(self.rng.choice(LETTERS) for _ in range(self.rng.randint(3, self.limits.string_len + 3)))
        alphabet = self.rng.choice(
            [
                "abcdeXYZ",
                "aBcD123",
                "ab12-_",
                "xyz 01",
                "HelloWORLD",
                "aAbBcC",
                "abcab",
                "a.b,c!",
                "12345",
                "wW0o-",
                "eioau ",
            ]
        )
        return "".join(self.rng.choice(alphabet) for _ in range(self.rng.randint(3, self.limits.string_len + 1)))

    def counts(self, keys: list[str]) -> dict[str, int]:
        size = min(4, max(1, self.size(1) - 1), len(keys))
        return {key: self.integer() for key in self.rng.sample(keys, size)}

    def keys(self) -> list[str]:
        draw = self.rng.random()
        if draw < 0.35:
            return PEOPLE
        if draw < 0.5:
            return UNITS
        return list("abcdexyz") if draw < 0.75 else WORDS[:60]

    def earlier(self, kind: type) -> Any:
        """The latest earlier argument of a Python type, or None."""
        return next((value for value in reversed(self.given) if isinstance(value, kind)), None)

    def element(self, fresh: Callable[[], Any]) -> Any:
        """Something out of the argument before, mostly; or something of the kind that may not be in it."""
        before = next((value for value in reversed(self.given) if isinstance(value, (list, str, dict)) and value), None)
        if before is None or self.rng.random() < 0.3:
            return fresh()
        chosen = self.rng.choice(list(before))
        return chosen if isinstance(chosen, type(fresh())) else fresh()

    def fragment(self) -> str:
        text = self.earlier(str)
        if not text or self.rng.random() < 0.25:
            return self.word()[: self.rng.randint(1, 3)]
        start = self.rng.randrange(len(text))
        return str(text[start : start + self.rng.randint(1, 3)])

    def brackets(self) -> str:
        text = ""
        open_ones: list[str] = []
        for _ in range(self.rng.randint(2, 6)):
            if open_ones and self.rng.random() < 0.5:
                text += CLOSING[open_ones.pop()]
            else:
                open_ones.append(self.rng.choice(OPENING[: self.rng.randint(1, 3)]))
                text += open_ones[-1]
        if self.rng.random() < 0.7:
            text += "".join(CLOSING[each] for each in reversed(open_ones))
        if self.rng.random() < 0.15:
            text = text[1:] or ")"
        return text

    def runs(self) -> str:
        return "".join(self.rng.choice("abcxyz") * self.rng.randint(1, 3) for _ in range(self.rng.randint(2, 4)))

    def grid(self, square: bool) -> list[list[int]]:
        rows = self.rng.randint(2, 3) if self.limits.level > 0.5 else 2
        columns = rows if square else self.rng.randint(2, 3)
        return [[self.rng.randint(0, 9) for _ in range(columns)] for _ in range(rows)]

    def nested(self, depth: int = 2) -> list[Any]:
        return [
            self.nested(depth - 1) if depth and self.rng.random() < 0.35 else self.rng.randint(0, 9)
            for _ in range(self.rng.randint(1, 3))
        ]

    def tree(self, depth: int) -> tuple[int, Any, Any]:
        """A binary tree of (value, left, right)."""
        left, right = (self.tree(depth - 1) if depth and self.rng.random() < 0.6 else None for _ in range(2))
        return self.rng.randint(0, 9), left, right

    def records(self) -> list[dict[str, Any]]:
        label, number = self.rng.choice(["name", "item", "id"]), self.rng.choice(["score", "price", "qty", "age"])
        people = self.rng.sample(PEOPLE, self.rng.randint(2, 3))
        return [{"name" if label == "id" else label: each, number: self.integer()} for each in people]

    def graph(self) -> dict[str, list[str]]:
        nodes = list("abcde")[: self.rng.randint(3, 4)]
        return {
            node: self.rng.sample([other for other in nodes if other != node], self.rng.randint(0, 2)) for node in nodes
        }

    def stack_ops(self) -> list[str]:
        ops, height = [], 0
        for _ in range(self.rng.randint(3, 5)):
            if height and self.rng.random() < 0.35:
                ops.append("pop")
                height -= 1
            else:
                ops.append(f"push {self.rng.randint(1, 9)}")
                height += 1
        return ops

    def spans(self) -> list[tuple[int, int]]:
        starts = sorted(self.rng.sample(range(0, 15), self.rng.randint(2, 4)))
        return [(start, start + self.rng.randint(1, 5)) for start in starts]


def _csv(values: Values) -> str:
    return values.rng.choice([",", ",", ", "]).join(values.word() for _ in range(values.rng.randint(2, 4)))


def _palindrome(values: Values) -> str:
    word = values.word() if values.rng.random() < 0.5 else values.mixed()
    draw = values.rng.random()
    return word if draw < 0.3 else word[:4] + word[: 3 if draw < 0.6 else 4][::-1]


def _csv_ints(values: Values) -> str:
    parts = [str(values.integer()) for _ in range(values.rng.randint(2, 4))]
    if values.rng.random() < 0.2:
        parts[values.rng.randrange(len(parts))] = values.rng.choice(["x", "", "two", "n/a"])
    return ",".join(parts)


def _kv(values: Values) -> str:
    keys = values.rng.sample([*"abcdxyz", "size", "color", "id", "mode"], values.rng.randint(2, 3))
    pairs = [f"{key}={values.integer() if values.rng.random() < 0.8 else values.word()}" for key in keys]
    if values.rng.random() < 0.1:
        pairs.append("bad")
    return ";".join(pairs)


def _numeric(values: Values) -> str:
    return str(values.rng.randint(10, 9999) if values.rng.random() < 0.7 else values.rng.randint(0, 99))


def _ascending(values: Values) -> list[int]:
    return sorted({values.integer() for _ in range(max(3, values.size()))})


def _int_set(values: Values) -> set[int]:
    """Mostly of digits below eight, which a small set shows in rising order."""
    if values.rng.random() < 0.6:
        return set(values.rng.sample(range(8), values.rng.randint(2, 4)))
    return set(_ascending(values))


def _element(values: Values) -> Any:
    return values.element(lambda: values.integer())


def _rle(values: Values) -> str:
    return "".join(f"{values.rng.choice('abcxyz')}{values.rng.randint(1, 4)}" for _ in range(values.rng.randint(2, 3)))


def _expression(values: Values) -> str:
    text = str(values.rng.randint(0, 9))
    for _ in range(values.rng.randint(1, 3)):
        text += f" {values.rng.choice('+-*')} {values.rng.randint(0, 9)}"
    return text


def _changes(values: Values) -> list[tuple[str, int]]:
    before = values.earlier(dict)
    known = [key for key in before if isinstance(key, str)] if before else []
    keys = known + values.rng.sample(values.keys(), 2) if known else values.rng.sample(values.keys(), 3)
    return [(values.rng.choice(keys), values.rng.randint(-5, 9)) for _ in range(values.rng.randint(2, 4))]


def _sample(low: int, high: int) -> Callable[[Values], int]:
    return lambda values: values.rng.randint(low, high)


_MAKERS: dict[str, Callable[[Values], Any]] = {
    "int": lambda v: v.integer(),
    "nat": lambda v: v.integer(0),
    "pos": lambda v: (
        min(v.integer(1), 3 * v.limits.int_magnitude)
        if v.rng.random() < 0.1
        else v.rng.randint(1, min(20, v.limits.int_magnitude))
    ),
    "small": _sample(1, 6),
    "tiny": _sample(1, 3),
    "two_digits": _sample(10, 99),
    "digits": lambda v: v.rng.randint(10, 9999) if v.rng.random() < 0.7 else v.rng.randint(10, 99),
    "elem": _element,
    "percent": lambda v: v.rng.choice([5, 10, 15, 20, 25, 30, 40, 50, 75]),
    "base": lambda v: v.rng.choice([2, 2, 3, 4, 5, 8]),
    "float": lambda v: v.rng.randint(1, 40) / 4,
    "bool": lambda v: v.rng.random() < 0.5,
    "opt_int": lambda v: None if v.rng.random() < 0.4 else v.integer(),
    "word": lambda v: v.word(),
    "text": lambda v: v.text(),
    "caps": lambda v: " ".join(v.rng.choice(WORDS).title() for _ in range(v.rng.randint(1, 3))),
    "mixed": lambda v: v.mixed(),
    "numeric": _numeric,
    "numeric_bad": lambda v: (
        _numeric(v) if v.rng.random() < 0.65 else v.rng.choice(["abc", "", "12a", "x", "4.5", "-"])
    ),
    "char": lambda v: v.element(lambda: v.rng.choice(LETTERS)) if v.earlier(str) else v.rng.choice(LETTERS),
    "sep": lambda v: v.rng.choice(["-", ",", "_", " ", "|", "/", "+", ":", ";", "."]),
    "sign": lambda v: v.rng.choice(["+", "-", "*", "/", "+", "-", "%"]),
    "palin": _palindrome,
    "roman": lambda v: v.rng.choice("III IV VI IX XI XIV XV XIX XX XXIV XL XLII L VIII XIII".split()),
    "node": lambda v: v.rng.choice("aaabc"),
    "three_chars": lambda v: "".join(v.rng.sample("abcdxy", v.rng.randint(2, 3))),
    "three_ints": lambda v: [v.rng.randint(1, 9) for _ in range(v.rng.randint(2, 3))],
    "zero": lambda v: 0,
    "no_stop": lambda v: None,
    "no_memo": lambda v: None,
    "step": lambda v: v.rng.randint(-6, 25),
    "name": lambda v: v.rng.choice(PEOPLE),
    "turns": lambda v: "".join(v.rng.choice("FFLRF") for _ in range(v.rng.randint(3, 7))),
    "short_word": lambda v: "".join(v.rng.choice("abct") for _ in range(v.rng.randint(2, 3))),
    "tight_expr": lambda v: _expression(v).replace(" ", "").replace("*", "+"),
    "board": lambda v: ["".join(v.rng.choice("XO.XO") for _ in range(3)) for _ in range(3)],
    "log_lines": lambda v: [f"{v.rng.choice(['info', 'warn', 'ERROR', 'info'])}: {v.word()}" for _ in range(v.size())],
    "instructions": lambda v: [
        f"{v.rng.choice(['add', 'sub', 'mul', 'add', 'nop'])} {v.rng.randint(1, 6)}" for _ in range(v.size())
    ],
    "tree": lambda v: v.tree(2),
    "csv": _csv,
    "csv_ints": _csv_ints,
    "kv": _kv,
    "brackets": lambda v: v.brackets(),
    "binary": lambda v: "".join(v.rng.choice("01") for _ in range(v.rng.randint(2, 5))),
    "runs": lambda v: v.runs(),
    "rle": _rle,
    "snake": lambda v: "_".join(v.rng.choice(WORDS) for _ in range(v.rng.randint(2, 3))),
    "fragment": lambda v: v.fragment(),
    "elem_word": lambda v: v.element(v.word),
    "key_of": lambda v: v.element(v.word),
    "time": lambda v: f"{v.rng.randint(0, 23):02d}:{v.rng.randint(0, 59):02d}",
    "expr": _expression,
    "ints": lambda v: v.integers(0),
    "ints1": lambda v: v.integers(1),
    "ints2": lambda v: v.integers(2),
    "more_ints": lambda v: v.integers(2),
    "bits": lambda v: [v.rng.randint(0, 1) for _ in range(v.size(3))],
    "sorted": _ascending,
    "sorted2": _ascending,
    "dups": lambda v: v.duplicated(),
    "steps": lambda v: [v.rng.randint(-5, 9) for _ in range(v.size())],
    "words": lambda v: v.words(),
    "words1": lambda v: v.words(1),
    "numerics": lambda v: [
        str(v.integer()) if v.rng.random() < 0.85 else v.rng.choice(["x", "", "-", "a1"]) for _ in range(v.size())
    ],
    "chars": lambda v: [v.rng.choice("abcdexyz") for _ in range(v.size())],
    "names": lambda v: v.rng.sample(PEOPLE, v.rng.randint(2, 4)),
    "moves": lambda v: [v.rng.choice(["up", "down", "left", "right"]) for _ in range(v.size(2))],
    "stack_ops": lambda v: v.stack_ops(),
    "counts": lambda v: v.counts(v.keys()),
    "counts2": lambda v: v.counts([*(v.earlier(dict) or {}), *v.rng.sample(v.keys(), 2)]),
    "groups": lambda v: {key: v.integers(1)[:4] for key in v.rng.sample(v.keys(), v.rng.randint(1, 3))},
    "graph": lambda v: v.graph(),
    "str_map": lambda v: {
        key: v.word() for key in v.rng.sample(list("abcdexyz") if v.rng.random() < 0.5 else PEOPLE, v.rng.randint(2, 3))
    },
    "int_map": lambda v: {v.rng.randint(1, 9): v.integer() for _ in range(v.rng.randint(1, 4))},
    "pairs": lambda v: [(name, v.integer()) for name in v.rng.sample(v.keys(), v.rng.randint(2, 4))],
    "int_pairs": lambda v: [(v.rng.randint(0, 9), v.rng.randint(0, 9)) for _ in range(v.rng.randint(2, 4))],
    "spans": lambda v: v.spans(),
    "changes": _changes,
    "pair": lambda v: (v.integer(), v.integer()),
    "grid": lambda v: v.grid(square=False),
    "square": lambda v: v.grid(square=True),
    "nested": lambda v: v.nested(),
    "records": lambda v: v.records(),
    "opt_ints": lambda v: [None if v.rng.random() < 0.3 else v.integer() for _ in range(v.size())],
    "mixed_items": lambda v: [v.integer() if v.rng.random() < 0.5 else v.word() for _ in range(v.size())],
    "int_set": lambda v: _int_set(v),
    "int_set2": lambda v: _int_set(v),
}


def literal(value: Any) -> str:
    """The value as a person would type it: sets in rising order."""
    if isinstance(value, set):
        return "{" + ", ".join(literal(each) for each in sorted(value)) + "}" if value else "set()"
    return repr(value)

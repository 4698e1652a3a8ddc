# ruff: noqa: E501  (tables and templates: a line is one entry)
"""What makes two expansions of one idiom different functions, not only differently written ones.

    lines of an idiom --first step, last step, slip, default--> lines

A *first step* changes an argument, a *last step* the result, a *slip* is the kind of small mistake that people make
(`<` for `<=`, one off, `+` for `-`). Slips are only put into functions without `while` and recursion, so that every
loop still ends.
"""

import random
import re

from opencwm.data.programs.expressions import COUNTS, INT, INTS, STR, WORDS_, Block, Expressions, Var
from opencwm.data.programs.names import Names
from opencwm.data.programs.typed_updates import Updates
from opencwm.data.programs.values import type_of

FIRST_STEP, LAST_STEP, SLIP, DEFAULT = 0.14, 0.3, 0.2, 0.18
"""How often each is put in."""
ANY_VALUE = ("int", "text", "mixed", "word", "ints", "words", "dups", "more_ints", "steps")
"""Kinds of arguments that may be changed and still fit."""
CHANGEABLE = (INT, STR, INTS, WORDS_, COUNTS)
WITH_DEFAULT = {"int": (0, 9), "small": (1, 5), "tiny": (1, 3), "pos": (2, 12), "elem": (0, 9)}
SLIPS: tuple[tuple[str, str], ...] = (
    (r" <= ", " < "), (r" < ", " <= "), (r" > ", " >= "), (r" >= ", " > "), (r" == ", " != "), (r" \+ ", " - "),
    (r" - ", " + "), (r" \+= ", " -= "), (r" and ", " or "), (r" or ", " and "), (r"% 2", "% 3"), (r"\bmax\(", "min("),
    (r"\bmin\(", "max("), (r"\.upper\(\)", ".lower()"), (r"\.append\(", ".insert(0, "), (r"\[0\]", "[-1]"), (r"\[-1\]", "[0]"),
    (r"\[1:\]", "[:-1]"), (r" not in ", " in "), (r"\bTrue\b", "False"), (r" \* 2", " * 3"), (r"\bany\(", "all("),
    (r" \+ 1\b", " + 2"), (r" - 1\b", " - 2"), (r"\(1, ", "(2, "), (r"\(0, ", "(1, "), (r" = 0$", " = 1"), (r" = ''$", " = '-'"),
)  # fmt: skip


class Variation:
    """Varies the lines of one idiom."""

    def __init__(self, rng: random.Random, names: Names, entry: str, kinds: tuple[str, ...], returns: str) -> None:
        self.rng = rng
        self.entry = entry
        self.kinds = kinds
        self.returns = type_of(returns)
        self.updates = Updates(rng, Expressions(rng, names))

    def apply(self, lines: list[str], params: tuple[str, ...]) -> list[str]:
        arguments = [
            Var(name, type_of(kind), filled=kind not in ("int", "ints"))
            for name, kind in zip(params, self.kinds, strict=False)
        ]
        if self.rng.random() < SLIP:
            lines = self.slip(lines)
        if self.rng.random() < FIRST_STEP:
            lines = self.first_step(lines, arguments)
        if self.rng.random() < LAST_STEP:
            lines = self.last_step(lines, arguments)
        return lines

    def slip(self, lines: list[str]) -> list[str]:
        if self.may_run_on(lines):
            return lines
        for _ in range(4):
            at = self.rng.randrange(len(lines))
            pattern, new = self.rng.choice(SLIPS)
            line = re.sub(pattern, new, lines[at], count=1)
            if line != lines[at] and not line.lstrip().startswith(("def ", "class ")):
                return [*lines[:at], line, *lines[at + 1 :]]
        return lines

    def may_run_on(self, lines: list[str]) -> bool:
        """Whether another value in the wrong place could keep this from ending: a `while` loop, or recursion."""
        text = "\n".join(lines)
        functions = re.findall(r"def (\w+)", text)
        return "while " in text or any(
            len(re.findall(rf"\b{name}\(", text)) > 1 + (name != self.entry) for name in functions
        )

    def first_step(self, lines: list[str], arguments: list[Var]) -> list[str]:
        free = [
            var
            for var, kind in zip(arguments, self.kinds, strict=False)
            if kind in ANY_VALUE and var.type in CHANGEABLE
        ]
        at = next(number for number, line in enumerate(lines) if line.startswith(f"def {self.entry}("))
        if not free or self.may_run_on(lines):
            return lines
        var = self.rng.choice(free)
        new = self.updates.anywhere(
            Block(vars=[each for each in arguments if each is not var and each.type == INT]), var
        )
        return [*lines[: at + 1], *("    " + line for line in new), *lines[at + 1 :]]

    def last_step(self, lines: list[str], arguments: list[Var]) -> list[str]:
        match = re.fullmatch(r"    return (\w+)", lines[-1])
        if match is None or self.returns not in CHANGEABLE or match.group(1) in ("True", "False", "None"):
            return lines
        if match.group(1).isdigit():
            return lines
        var = Var(match.group(1), self.returns)
        others = Block(vars=[each for each in arguments if each.name != var.name and each.type == INT])
        if self.rng.random() < 0.4:
            condition = self.updates.make.condition(Block(vars=[var, *others.vars]))
            new = [f"if {condition}:", *("    " + line for line in self.updates.anywhere(others, var))]
        else:
            new = self.updates.anywhere(others, var)
        return [*lines[:-1], *("    " + line for line in new), lines[-1]]


def default_for(rng: random.Random, kind: str) -> str | None:
    """A default for a parameter of the kind, now and then."""
    if kind not in WITH_DEFAULT or rng.random() >= DEFAULT:
        return None
    return str(rng.randint(*WITH_DEFAULT[kind]))

"""One function with everything it needs, and how an idiom becomes one.

Idiom + names --Expander--> Unit(blocks of lines, entry, kinds of its arguments, type of its result)
"""

import random
from dataclasses import dataclass
from typing import Any

from opencwm.data.programs.names import Names
from opencwm.data.programs.template import Expander, Idiom
from opencwm.data.programs.values import Values, literal
from opencwm.data.programs.vary import Variation, default_for

NEVER_PASSED = ("zero", "no_stop", "no_memo")
"""Kinds of parameters that only a function itself passes when it calls itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    blocks: list[list[str]]
    """The lines of each top-level definition."""
    entry: str
    """Name of the function that is called from outside."""
    kinds: tuple[str, ...]
    """Of the entry's arguments (`values.py`)."""
    returns: str
    """Type of the result."""
    params: tuple[str, ...] = ()
    """Names of the entry's parameters, as far as they have names (for keyword arguments)."""
    num_optional: int = 0
    doc: str = ""
    short: bool = False
    """Whether it goes by generic names."""


class Scope:
    """The names that a program's top level has given away, so that two functions never share one."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.taken: set[str] = set()

    def function(self, candidates: tuple[str, ...]) -> str:
        free = [name for name in candidates if name not in self.taken] or [
            f"{candidates[0]}{number}" for number in range(2, 9) if f"{candidates[0]}{number}" not in self.taken
        ]
        name = self.rng.choice(free)
        self.taken.add(name)
        return name


def from_idiom(rng: random.Random, idiom: Idiom, scope: Scope, short: bool) -> Unit:
    """One expansion of an idiom."""
    slots = ("f", "g", "h", "C")
    functions = {slots[i]: scope.function(names) for i, names in enumerate(idiom.names)}
    names = Names(rng, short, scope.taken)
    lines = Expander(rng, names, functions).lines(idiom.nodes)
    entry = functions["f"]
    lines = Variation(rng, names, entry, idiom.params, idiom.returns).apply(lines, _params(lines, entry))
    num_optional = idiom.num_optional
    if len(idiom.params) > 1 and not num_optional and (default := default_for(rng, idiom.params[-1])):
        at = next(number for number, line in enumerate(lines) if line.startswith(f"def {entry}("))
        if "=" not in lines[at]:
            lines[at] = f"{lines[at][:-2]}={default}):"
            num_optional = 1
    return Unit(
        blocks=split_blocks(lines),
        entry=entry,
        kinds=idiom.params,
        returns=idiom.returns,
        params=_params(lines, entry),
        num_optional=num_optional,
        doc=idiom.doc,
        short=short,
    )


def split_blocks(lines: list[str]) -> list[list[str]]:
    """Top-level definitions apart."""
    blocks: list[list[str]] = []
    for line in lines:
        if not blocks or line[0] != " ":
            blocks.append([])
        blocks[-1].append(line)
    return blocks


def _params(lines: list[str], entry: str) -> tuple[str, ...]:
    start = f"def {entry}("
    head = next(line for line in lines if line.startswith(start))
    inside = head[len(start) : head.rindex(")")]
    return tuple(part.partition("=")[0].strip() for part in inside.split(", ") if part and part[0].isidentifier())


def call_of(rng: random.Random, unit: Unit, values: Values) -> str:
    """A call of the unit's entry on drawn values, now and then with keywords, optional arguments given or not."""
    given = list(unit.kinds)
    while unit.num_optional > len(unit.kinds) - len(given) and (given[-1] in NEVER_PASSED or rng.random() < 0.5):
        given.pop()
    given = [kind for kind in given if kind not in NEVER_PASSED]
    texts = [literal(value) for value in draw_all(values, given)]
    if rng.random() < 0.06 and len(unit.params) >= len(texts):
        start = rng.randrange(len(texts)) if texts else 0
        texts[start:] = [f"{name}={text}" for name, text in zip(unit.params[start:], texts[start:], strict=False)]
    elif len(texts) > len(unit.kinds) - unit.num_optional and rng.random() < 0.3 and len(unit.params) >= len(texts):
        texts[-1] = f"{unit.params[len(texts) - 1]}={texts[-1]}"
    return f"{unit.entry}({', '.join(texts)})"


def draw_all(values: Values, kinds: list[str]) -> list[Any]:
    values.given = []
    return [values.draw(kind) for kind in kinds]

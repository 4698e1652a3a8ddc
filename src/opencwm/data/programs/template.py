"""Programs with holes: how one idiom becomes many programs.

    template --alternatives, names, pieces--> text with line macros --loops, guards, ...--> source lines

In a template

    «a¦b¦c»       is one of its alternatives (several lines, and nested, if need be); «a» alone is there or not
    $xs $x2       is the name of a variable in the role `xs`, `x` (`names.py`); $f $g $h the functions, $C the class
    @pred($x)     is a piece of `pieces.py`
    §each x in xs:    and the other line macros stand for one of several ways to write the same thing (`macros.py`)

Left out: layout, annotations, docstrings and comments (`style.py`).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from opencwm.data.programs.macros import expand_macros
from opencwm.data.programs.names import Names
from opencwm.data.programs.pieces import PIECES

FUNCTION_SLOTS = ("f", "g", "h", "C")
TOKEN = re.compile(r"«|¦|»|\$[A-Za-z]+[0-9]*|@[a-z][a-z_0-9]*(?:\(|)")


@dataclass(frozen=True)
class Choice:
    options: tuple["Node", ...]


@dataclass(frozen=True)
class Slot:
    name: str


@dataclass(frozen=True)
class Call:
    piece: str
    args: tuple["Node", ...]


Node = tuple["str | Choice | Slot | Call", ...]


@dataclass(frozen=True, kw_only=True)
class Idiom:
    """One template, what it takes and gives, and from which level on it may appear."""

    family: str
    names: tuple[tuple[str, ...], ...]
    """For each of `$f`, `$g`, ... what it may be called."""
    params: tuple[str, ...]
    """Kinds (`values.py`) of the arguments of `$f` (of the call, for a class)."""
    returns: str
    """Type of the result."""
    text: str
    level: float = 0.0
    weight: float = 1.0
    doc: str = ""
    """What the function does, for a docstring."""
    num_optional: int = 0
    """How many of the last parameters have defaults."""

    @cached_property
    def nodes(self) -> Node:
        nodes, end = _parse(self.text.strip("\n"), 0, "")
        assert end == len(self.text.strip("\n")), f"unbalanced template {self.names[0][0]}"
        return nodes

    @property
    def title(self) -> str:
        return self.names[0][0]


def idiom(
    family: str,
    names: str,
    signature: str,
    text: str,
    *,
    level: float = 0.0,
    weight: float = 1.0,
    doc: str = "",
) -> Idiom:
    """An idiom out of its short form: names `"a b / helper"`, signature `"ints, small? -> int"`."""
    takes, _, returns = signature.partition("->")
    kinds = [kind.strip() for kind in takes.split(",") if kind.strip()]
    return Idiom(
        family=family,
        names=tuple(tuple(part.split()) for part in names.split("/")),
        params=tuple(kind.rstrip("?") for kind in kinds),
        returns=returns.strip(),
        text=text,
        level=level,
        weight=weight,
        doc=doc,
        num_optional=sum(kind.endswith("?") for kind in kinds),
    )


class Expander:
    """Expands one template for one program."""

    def __init__(self, rng: random.Random, names: Names, functions: dict[str, str]) -> None:
        self.rng = rng
        self.names = names
        self.functions = functions

    def lines(self, nodes: Node) -> list[str]:
        """The source lines; blank ones, which an absent alternative leaves, are gone."""
        text = self.text(nodes)
        lines = [line.rstrip() for line in text.split("\n") if line.strip()]
        return expand_macros(lines, self.rng, self.names)

    def text(self, nodes: Node) -> str:
        return "".join(node if isinstance(node, str) else self._one(node) for node in nodes)

    def _one(self, node: "Choice | Slot | Call") -> str:
        if isinstance(node, Choice):
            return self.text(node.options[int(self.rng.random() * len(node.options))])
        if isinstance(node, Slot):
            return self.functions.get(node.name) or self.names.of(node.name)
        return PIECES[node.piece](self.rng, *[self.text(arg).strip() for arg in node.args])


def _parse(text: str, at: int, until: str) -> tuple[Node, int]:
    """The nodes from `at` up to one of the characters of `until`, and where that one stands."""
    nodes: list[str | Choice | Slot | Call] = []
    while at < len(text):
        char = text[at]
        if char in until:
            break
        if char == "«":
            choice, at = _parse_choice(text, at + 1)
            nodes.append(choice)
            continue
        match = TOKEN.match(text, at)
        if match is None:
            if char == "(" and ")" in until:  # inside a piece's arguments: keep parentheses balanced
                inner, at = _parse(text, at + 1, ")")
                nodes.extend(("(", *inner, ")"))
                at += 1
                continue
            stop = at + 1
            while stop < len(text) and text[stop] not in "«¦»$@(),":
                stop += 1
            nodes.append(text[at:stop])
            at = stop
            continue
        token = match.group()
        at = match.end()
        if token[0] == "$":
            nodes.append(Slot(token[1:]))
        elif token[0] == "@":
            args: list[Node] = []
            if token[-1] == "(":
                while True:
                    arg, at = _parse(text, at, ",)")
                    args.append(arg)
                    at += 1
                    if text[at - 1] == ")":
                        break
            nodes.append(Call(token[1:].rstrip("("), tuple(args)))
        else:
            raise AssertionError(f"stray {token} in a template: {text[max(0, at - 30) : at]!r}")
    return _merged(nodes), at


def _merged(nodes: "list[str | Choice | Slot | Call]") -> Node:
    """The nodes with neighbouring texts joined."""
    merged: list[str | Choice | Slot | Call] = []
    for node in nodes:
        if isinstance(node, str) and merged and isinstance(merged[-1], str):
            merged[-1] += node
        else:
            merged.append(node)
    return tuple(merged)


def _parse_choice(text: str, at: int) -> tuple[Choice, int]:
    options: list[Node] = []
    while True:
        option, at = _parse(text, at, "¦»")
        assert at < len(text), f"« without » in a template: {text[:60]!r}"
        options.append(option)
        at += 1
        if text[at - 1] == "»":
            return Choice(tuple(options) if len(options) > 1 else (options[0], ())), at


def choose(rng: random.Random, idioms: Sequence[Idiom], weights: Sequence[float]) -> Idiom:
    return rng.choices(idioms, weights)[0]

"""How a program is laid out: quotes, blank lines, annotations, docstrings, comments; not what it does."""

import random
import re
from dataclasses import dataclass

from opencwm.data.programs.units import Unit
from opencwm.data.programs.values import type_of

COMMENTS = {
    "for ": ("go through all of them", "one at a time", "check each one", "look at every item", "loop"),
    "while ": ("repeat until done", "keep going", "until nothing is left", "loop"),
    "if ": ("special case", "check this first", "only some of them", "the interesting case"),
    "return ": ("done", "the answer", "give it back"),
}
WIDE = re.compile(r"^(\s*)(return |\w+ = )(.*)$")


@dataclass(frozen=True, slots=True)
class Style:
    double_quotes: bool
    two_blank_lines: bool
    annotated: bool
    documented: bool
    commented: bool

    @classmethod
    def draw(cls, rng: random.Random, short: bool) -> "Style":
        return cls(
            double_quotes=rng.random() < 0.4,
            two_blank_lines=rng.random() < 0.5,
            annotated=rng.random() < (0.05 if short else 0.25),
            documented=rng.random() < (0.02 if short else 0.2),
            commented=rng.random() < (0.02 if short else 0.12),
        )


def write(rng: random.Random, units: list[Unit], style: Style) -> str:
    """The source of a program: the blocks of its units, the last one's last."""
    docs = {unit.entry: unit for unit in units}
    blocks: list[list[str]] = []
    for unit in units:
        for block in unit.blocks:
            name = re.match(r"def (\w+)\(", block[0])
            owner = docs.get(name.group(1)) if name else None
            blocks.append(_block(rng, block, owner, style))
    gap = "\n\n\n" if style.two_blank_lines else "\n\n"
    text = gap.join("\n".join(block) for block in blocks) + "\n"
    if style.double_quotes and '"' not in text.replace('"""', "") and "\\'" not in text:
        text = text.replace("'", '"')
    return text


def with_example(source: str, entry: str, call: str, result: str) -> str:
    """The source with an example of a call at the end of the docstring of `entry`; the same where it has none."""
    found = re.search(rf'^def {entry}\(.*\n    """.*(?="""\n)', source, re.MULTILINE)
    if found is None or "\\" in call + result:
        return source
    example = f"\n\n    >>> {call}\n    {result}\n    "
    return source[: found.end()] + example + source[found.end() :]


def _block(rng: random.Random, block: list[str], unit: Unit | None, style: Style) -> list[str]:
    head, *body = block
    if head.startswith("class "):
        return [head, *_spaced_methods(body)]
    if unit is not None and style.annotated:
        head = _annotate(head, unit)
    new = [head]
    if unit is not None and style.documented and (doc := _doc(rng, unit)):
        new.append(f'    """{doc}"""')
    for line in body:
        if style.commented and rng.random() < 0.18:
            word = next((each for each in COMMENTS if line.lstrip().startswith(each)), None)
            if word:
                new.append(line[: len(line) - len(line.lstrip())] + "# " + rng.choice(COMMENTS[word]))
        new.append(line)
    return new


def _spaced_methods(body: list[str]) -> list[str]:
    new: list[str] = []
    for at, line in enumerate(body):
        if at and line.startswith("    def "):
            new.append("")
        new.append(line)
    return new


def _annotate(head: str, unit: Unit) -> str:
    start, _, rest = head.partition("(")
    inside = rest[: rest.rindex(")")]
    parts = inside.split(", ") if inside else []
    if len(parts) != len(unit.kinds) or any(not part[0].isidentifier() for part in parts):
        return head
    typed = []
    for part, kind in zip(parts, unit.kinds, strict=True):
        name, equals, default = part.partition("=")
        typed.append(f"{name}: {type_of(kind)}" + (f" = {default}" if equals else ""))
    returns = f" -> {type_of(unit.returns)}" if unit.returns not in ("object", "item") else ""
    return f"{start}({', '.join(typed)}){returns}:"


def _doc(rng: random.Random, unit: Unit) -> str:
    if unit.doc and rng.random() < 0.6:
        return unit.doc
    words = unit.entry.replace("_", " ").strip("0123456789")
    if len(words) < 3:
        return ""
    return rng.choice(
        (f"{words.capitalize()}.", f"Return the result of {words}.", f"Helper: {words}.", words.capitalize())
    )

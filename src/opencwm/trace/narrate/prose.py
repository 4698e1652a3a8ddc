"""Sentences with what they state, and how they become paragraphs.

    Prose.say(variants) --one is drawn--> Sentence(text, facts) --> paragraphs

A sentence gets every value through `Prose.value`, which takes it from the trace and writes the fact down beside the
sentence. Code, names and values stand in backticks, more of them where the text itself contains some, as in Markdown;
a value is never written in any other way.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType

from opencwm.trace.tree import Node

JOINED_CHARS = 280
"""Paragraphs are joined while they are shorter than this together."""
_SPAN = re.compile(r"(`+)( ?)(.+?)\2\1(?!`)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that a sentence states: a variable's value at a frame, or the frame's own value."""

    frame: int
    name: str | None
    """None: what the frame returns or raises."""
    text: str
    """The value's text as stated."""
    whole: bool = True
    """False: the value is longer, and begins like this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    text: str
    frame: int | None
    """Index of the frame that it is about, where it is about one."""
    facts: tuple[Fact, ...]


class Prose:
    """Collects sentences; the same seed makes the same choices."""

    def __init__(self, rng: random.Random, max_value_chars: int) -> None:
        self.paragraphs: list[list[Sentence]] = [[]]
        self._rng = rng
        self._max_value_chars = max_value_chars
        self.frame: int | None = None
        """What the sentences that follow are about."""
        self._facts: list[Fact] = []
        self._last: dict[CodeType, int] = {}

    def say(self, *variants: Callable[[], str]) -> None:
        """One sentence, in one of these wordings; the wording said last at this place is not said again at once."""
        key, choices = variants[0].__code__, list(range(len(variants)))
        if len(choices) > 1 and self._last.get(key) in choices:
            choices.remove(self._last[key])
        chosen = self._rng.choice(choices)
        self._last[key] = chosen
        text = variants[chosen]()
        text = text[:1].upper() + text[1:]
        self.paragraphs[-1].append(Sentence(text=text, frame=self.frame, facts=tuple(self._facts)))
        self._facts.clear()

    def pause(self) -> None:
        """A new paragraph may begin here, though not after a lone sentence."""
        if len(self.paragraphs[-1]) > 1:
            self.paragraphs.append([])

    def value(self, node: Node, name: str | None = None) -> str:
        """The value of a variable at a frame, or the frame's own, as the sentence being made states it."""
        frame = node.frame
        text = (frame.value or "") if name is None else (frame.locals or {})[name]
        whole = len(text) <= self._max_value_chars
        stated = text if whole else text[: self._max_value_chars]
        self._facts.append(Fact(frame=node.index, name=name, text=stated, whole=whole))
        return code(stated) if whole else f"a long value that begins with {code(stated)}"

    def was_just_stated(self, node: Node, name: str) -> bool:
        """Whether the last sentence gave this variable the value that it has at this frame."""
        last = self.paragraphs[-1] or (self.paragraphs[-2] if len(self.paragraphs) > 1 else [])
        text = (node.frame.locals or {})[name]
        return bool(last) and any(fact.name == name and fact.text == text for fact in last[-1].facts)

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        return tuple(sentence for paragraph in self.paragraphs for sentence in paragraph)

    @property
    def text(self) -> str:
        joined: list[str] = []
        for paragraph in self.paragraphs:
            text = " ".join(sentence.text for sentence in paragraph)
            if joined and text and len(joined[-1]) + len(text) < JOINED_CHARS:
                joined[-1] += " " + text
            elif text:
                joined.append(text)
        return "\n\n".join(joined)


def code(text: str) -> str:
    """A piece of code in backticks; `spans` reads it back."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if not text or text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def spans(text: str) -> list[str]:
    """What stands in backticks, in order."""
    return [found.group(3) for found in _SPAN.finditer(text)]


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

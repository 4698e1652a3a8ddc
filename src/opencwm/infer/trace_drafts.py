"""Drafts for traces: what a careful reader of the trace so far expects next.

    tokens so far --Reading: the place in a frame--> the rest of this field, the next field, ... --> draft
                        `execution.py`: what the next frame may be

Where a value cannot be told the draft ends, and what followed the same tokens the last time (`drafts.py`) stands in.
A draft is a guess and nothing else: the model decides, so a trace that breaks every rule here only takes more steps.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol

from opencwm.infer.drafts import Drafter
from opencwm.infer.execution import Execution, Guess, Program, literal
from opencwm.trace.stream import EVENT_SPECIAL, SPECIAL_EVENT, Special

MOST_SOURCES = 32
"""Lines of the program that are looked at when a SOURCE has begun otherwise than expected."""
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)": "((?:[^"\\]|\\.)*)"')
_OPEN_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)": "((?:[^"\\]|\\.)*)$')


class Codec(Protocol):
    """What this module needs of a tokenizer."""

    @property
    def special(self) -> Mapping[str, int]: ...

    def encode(self, text: str) -> list[int]: ...

    def decode_bytes(self, ids: Sequence[int]) -> bytes: ...


class Reading:
    """A place in a trace, and what is known there."""

    def __init__(self, tokenizer: Codec) -> None:
        self._tokenizer = tokenizer
        self._ids = {special: tokenizer.special[special.key] for special in Special if special.key in tokenizer.special}
        self._specials = {token: special for special, token in self._ids.items()}
        self.place = "context"
        """`context`, `event`, `locals`, `source` or `value`."""
        self.field: list[int] = []
        """Tokens of the field that is being written."""
        self._execution = Execution(Program(""))
        self._event, self._line = "", ""
        self._locals: dict[str, str] = {}

    def copy(self) -> "Reading":
        """To be moved on with guesses."""
        other = Reading.__new__(Reading)
        other.__dict__.update(self.__dict__)
        other.field, other._execution = list(self.field), self._execution.copy()
        return other

    def push(self, token: int) -> None:
        special = self._specials.get(token)
        if special is None:
            self.field.append(token)
            return
        if self.place == "context":
            if special is Special.FRAME_SEP:
                self._execution, self.place = Execution(Program(self._text())), "event"
        elif special in SPECIAL_EVENT:
            self.place, self._event, self._locals = "locals", SPECIAL_EVENT[special], {}
        elif special is Special.ACTION_SEP and self.place == "locals":
            self._locals, self.place = pairs(self._text()), "source"
        elif special is Special.ARG_SEP and self.place == "source":
            self._line, self.place = self._text().removesuffix("\n"), "value"
        elif special is Special.FRAME_SEP:
            if self.place == "source":
                self._execution.move(self._event, self._locals, self._text().removesuffix("\n"), "")
            elif self.place == "value":
                self._execution.move(self._event, self._locals, self._line, text_of(self._text()))
            self.place = "event"
        self.field = []

    def expected(self) -> tuple[list[int], bool]:
        """Tokens up to the end of this field and what separates it from the next; and whether they get that far."""
        if self.place == "event":
            if self._execution.is_over:
                return [self._ids[Special.END_OF_TEXT]], False
            return [self._ids[EVENT_SPECIAL[self._execution.next()[0]]]], True
        if self.place == "context":
            return [], False
        for text, is_whole in self._rests():
            tokens = self._tokenizer.encode(self._text() + text) if text else list(self.field)
            if tokens[: len(self.field)] == self.field:  # else the model would have written that otherwise
                return tokens[len(self.field) :] + [self._ids[self._separator()]] * is_whole, is_whole
        return [], False

    def _separator(self) -> Special:
        if self.place == "locals":
            return Special.ACTION_SEP
        valued = self.place == "source" and self._event in ("return", "exception")
        return Special.ARG_SEP if valued else Special.FRAME_SEP

    def _text(self) -> str:
        return self._tokenizer.decode_bytes(self.field).decode("utf-8", errors="replace")

    def _rests(self) -> Iterator[tuple[str, bool]]:
        """How this field may go on, the likelier first, and whether it is whole then."""
        begun = self._text()
        if self.place == "source":
            for line in islice(self._execution.sources(self._event), MOST_SOURCES):
                if line and (line + "\n").startswith(begun):
                    yield (line + "\n")[len(begun) :], True
        elif self.place == "value":
            value = self._execution.value(self._event, self._line)
            if value is not None and json.dumps(value).startswith(begun):
                yield json.dumps(value)[len(begun) :], True
            elif not begun or is_text(begun):  # it cannot be told: only that a quote opens it, or that it has closed
                yield ("", True) if begun else ('"', False)
            elif is_closed(text_of(begun + '"')):
                yield '"', True
        elif self._event not in ("call", "line"):  # the other events show no locals
            yield "", True
        else:
            rest = self._rest_of_locals(begun)
            if rest is not None:
                yield rest

    def _rest_of_locals(self, begun: str) -> tuple[str, bool] | None:
        """What is left of LOCALS after `begun`, and whether it is whole then; None where that cannot be told."""
        ends = [found.end() for found in _PAIR.finditer(begun)]
        tail = begun[ends[-1] if ends else 0 :]  # after the last whole pair
        if tail.endswith("}") and (ends or begun == "{}"):
            return "", True
        written, expected = pairs(begun), self._execution.locals(self._event)
        whole, is_whole = joined({name: guess for name, guess in expected.items() if name not in written}, bool(ends))
        if whole.startswith(tail):  # all is as expected so far
            return whole[len(tail) :], is_whole
        found = _OPEN_PAIR.search(tail)
        if found is None:  # inside a name that is another one than expected
            return None
        # inside a value: of another name than expected, or beginning otherwise
        name, part = text_of(f'"{found[1]}"'), found[2]
        names = list(expected)
        later = names[names.index(name) + 1 :] if name in expected else names
        text, is_open = expected.get(name, ("", True))
        quoted = json.dumps(text)[1:-1]
        if is_open and quoted.startswith(part) and quoted != part:
            return quoted[len(part) :], False
        if is_closed(text_of(f'"{part}"')):  # whole as it stands, whatever was expected
            quoted = part
        elif is_open or not quoted.startswith(part):
            return None
        rest, is_whole = joined({other: expected[other] for other in later if other not in written}, True)
        return quoted[len(part) :] + '"' + rest, is_whole


class TraceDrafter(Drafter):
    """`Drafter` of a sequence that is a trace."""

    def __init__(self, tokens: Iterable[int], tokenizer: Codec) -> None:
        self._reading = Reading(tokenizer)
        super().__init__(tokens)

    def extend(self, tokens: Iterable[int]) -> None:
        tokens = list(tokens)
        super().extend(tokens)
        for token in tokens:
            self._reading.push(token)

    def draft(self, count: int) -> list[int]:
        drafted: list[int] = []
        reading, is_whole = self._reading.copy(), True
        while is_whole and len(drafted) < count:
            tokens, is_whole = reading.expected()
            if not tokens:
                break
            drafted += tokens
            for token in tokens:
                reading.push(token)
        return drafted[:count] if drafted else super().draft(count)


def drafter_of(tokens: Sequence[int], tokenizer: Codec | None) -> Drafter:
    """For a sequence that begins with `tokens`: a trace is known by its first special tokens."""
    if tokenizer is not None and tokenizer.special[Special.TRACE_CONTEXT_START.key] in tokens[:2]:
        return TraceDrafter(tokens, tokenizer)
    return Drafter(tokens)


def joined(guesses: Mapping[str, Guess], goes_on: bool) -> tuple[str, bool]:
    """These pairs as the rest of a LOCALS, up to the first value that cannot be told; and whether they are all."""
    text = "" if goes_on else "{"
    for name, (value, is_open) in guesses.items():
        text += (", " if goes_on else "") + json.dumps(name) + ': "' + json.dumps(value)[1:-1]
        if is_open:
            return text, False
        text, goes_on = text + '"', True
    return text + "}", True


def pairs(text: str) -> dict[str, str]:
    """The pairs of a LOCALS that may not be whole."""
    return {text_of(f'"{name}"'): text_of(f'"{value}"') for name, value in _PAIR.findall(text)}


def text_of(quoted: str) -> str:
    try:
        text = json.loads(quoted)
    except ValueError:
        return ""
    return text if isinstance(text, str) else ""


def is_text(quoted: str) -> bool:
    return len(quoted) > 1 and quoted.endswith('"') and bool(text_of(quoted) or quoted == '""')


def is_closed(text: str) -> bool:
    """Whether a value can hardly go on: its brackets or quotes are closed."""
    return text[-1:] in ("]", "}", ")", "'") and literal(text) is not None

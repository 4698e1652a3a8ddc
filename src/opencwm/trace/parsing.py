"""The reader of the trace stream, shared by its text form and its token form.

    text --TextStream--\\
                        Parser --> Parsed(context, frames, ended, error)
    ids --TokenStream--/

It reads what the renderer writes, and what models write: a source line without its newline or with the start marker,
a context without its first newline and, when asked (`changed_only`), locals that leave unchanged names out. It stops
at the first thing that is wrong and says where and why; nothing here raises for what a stream contains.

Leaving a name out means that it was deleted, so whether a stream leaves unchanged names out cannot be guessed from it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from opencwm.trace.recording.frame import Frame, Locals
from opencwm.trace.stream import (
    SPECIAL_EVENT,
    UNCHANGED,
    Parsed,
    ParseError,
    Piece,
    Special,
    Stack,
    framed_context,
    split_specials,
    without_marker,
)


class Undecodable:
    """Stands in a stream for a piece that is no text at all."""


Item = Piece | Undecodable


class Stream(Protocol):
    """Texts and the special tokens between them, each with its index in what was given."""

    items: list[tuple[int, Item]]
    end: int

    def locate(self, item: int, char: int) -> int:
        """The index of one character of a text item."""


class TextStream:
    def __init__(self, text: str) -> None:
        self.items: list[tuple[int, Item]] = list(split_specials(text))
        self.end = len(text)

    def locate(self, item: int, char: int) -> int:
        return self.items[item][0] + char


class Decoder(Protocol):
    @property
    def special(self) -> Mapping[str, int]: ...

    def decode_bytes(self, ids: Sequence[int]) -> bytes: ...


class TokenStream:
    def __init__(self, ids: Sequence[int], tokenizer: Decoder) -> None:
        self._ids, self._tokenizer = ids, tokenizer
        self.end = len(ids)
        specials = {tokenizer.special[s.key]: s for s in Special if s.key in tokenizer.special}
        self.items: list[tuple[int, Item]] = []
        start = 0
        for index, token in enumerate(ids):
            special = specials.get(token)
            if special is not None:
                self._add_text(start, index)
                self.items.append((index, special))
                start = index + 1
        self._add_text(start, self.end)

    def _add_text(self, start: int, end: int) -> None:
        if start == end:
            return
        try:
            self.items.append((start, self._tokenizer.decode_bytes(self._ids[start:end]).decode("utf-8")))
        except UnicodeDecodeError as exc:
            self.items.append((self._token_at(start, exc.start), Undecodable()))
        except IndexError:  # an id that the tokenizer does not have: models have spare rows
            self.items.append((start, Undecodable()))

    def locate(self, item: int, char: int) -> int:
        start, text = self.items[item]
        assert isinstance(text, str), f"item {item} is {text!r}"
        return self._token_at(start, len(text[:char].encode("utf-8", errors="surrogatepass")))

    def _token_at(self, start: int, byte: int) -> int:
        """The token that holds the byte at this offset, counting from token `start`."""
        for index in range(start, self.end):
            byte -= len(self._tokenizer.decode_bytes(self._ids[index : index + 1]))
            if byte < 0:
                return index
        return max(self.end - 1, start)


class _Malformed(Exception):
    def __init__(self, index: int, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.index, self.reason, self.field = index, reason, field


class Parser:
    """Reads one stream from its start; `stack` holds the activations that are open there."""

    def __init__(self, stream: Stream, stack: Stack, *, changed_only: bool = False) -> None:
        self._stream, self._stack, self._changed_only = stream, stack, changed_only
        self._at = 0
        self._frames: list[Frame] = []

    def parse(self) -> Parsed:
        """A whole stream: context, frames, end."""
        try:
            context = self._context()
        except _Malformed as exc:
            return Parsed(
                context="", error=ParseError(index=exc.index, reason=exc.reason, frame=None, cut=self._is_over)
            )
        return self.parse_frames(context)

    def parse_frames(self, context: str = "") -> Parsed:
        """The rest of a stream, from the start of a frame on."""
        ended, error = False, None
        try:
            while not self._is_over and not ended:
                if self._peek() is Special.END_OF_TEXT:
                    self._at += 1
                    ended = True
                else:
                    self._frames.append(self._frame())
            if not self._is_over:
                raise _Malformed(self._index, "something follows the end of the text")
        except _Malformed as exc:
            error = ParseError(
                index=exc.index, reason=exc.reason, frame=len(self._frames), field=exc.field, cut=self._is_over
            )
        return Parsed(context=context, frames=self._frames, ended=ended, error=error)

    @property
    def _is_over(self) -> bool:
        return self._at >= len(self._stream.items)

    @property
    def _index(self) -> int:
        return self._stream.end if self._is_over else self._stream.items[self._at][0]

    def _peek(self) -> Item | None:
        return None if self._is_over else self._stream.items[self._at][1]

    def _context(self) -> str:
        self._expect(Special.BEGIN_OF_TEXT, "at the start")
        self._expect(Special.TRACE_CONTEXT_START, "before the context")
        text = self._text("the context")
        self._expect(Special.FRAME_SEP, "after the context")
        return framed_context(text)

    def _frame(self) -> Frame:
        event = self._event()
        names = value = None
        if event in ("call", "line"):
            names = self._locals(event)
        self._expect(Special.ACTION_SEP, f"in a {event} frame")
        source_line = without_marker(self._text("a source line"))
        if names is None:
            self._expect(Special.ARG_SEP, f"in a {event} frame")
            value = self._value()
        self._expect(Special.FRAME_SEP, f"at the end of a {event} frame")
        depth = self._stack.depth + (event == "call" and self._stack.is_open)
        frame = Frame(event, depth, "", 0, source_line, locals=names, value=value)
        self._stack.apply(frame)
        return frame

    def _event(self) -> str:
        special = self._peek()
        if not isinstance(special, Special) or special not in SPECIAL_EVENT:
            raise _Malformed(self._index, f"a frame starts with {_shown(special)} instead of an event token")
        self._at += 1
        return SPECIAL_EVENT[special]

    def _expect(self, special: Special, where: str) -> None:
        found = self._peek()
        if found is not special:
            raise _Malformed(self._index, f"{_shown(found)} instead of {special.value} {where}")
        self._at += 1

    def _text(self, what: str) -> str:
        """The text here; "" where a special token stands at once."""
        found = self._peek()
        if isinstance(found, Undecodable):
            raise _Malformed(self._index, f"{what} holds bytes that are not UTF-8")
        if not isinstance(found, str):
            return ""
        self._at += 1
        return found

    def _locals(self, event: str) -> Locals:
        given = self._json("locals")
        if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
            raise _Malformed(self._stream.locate(self._at - 1, 0), "locals are not names with texts", "locals")
        if event == "call" or self._changed_only:
            return Locals(given)
        shown = self._stack.top
        changes = {name: text for name, text in given.items() if text != UNCHANGED or name not in shown}
        removed = tuple(name for name in shown if name not in given)
        names = Locals(changes, removed)
        in_order = list(self._stack.resolve(names)) == list(given)
        return names if in_order else Locals(changes, removed, tuple(given))

    def _value(self) -> str:
        given = self._json("value")
        if not isinstance(given, str):
            raise _Malformed(self._stream.locate(self._at - 1, 0), "the value is not a JSON string", "value")
        return given

    def _json(self, field: str) -> Any:
        if isinstance(self._peek(), Undecodable):
            raise _Malformed(self._index, f"{field} hold bytes that are not UTF-8", field)
        start = self._index
        text = self._text(field)
        if self._is_over:
            raise _Malformed(self._stream.end, f"the stream ends inside the {field}")
        if not text:
            raise _Malformed(start, f"{_shown(self._peek())} where the {field} should be", field)
        try:
            return json.loads(text, object_pairs_hook=_names_once)
        except (ValueError, RecursionError) as exc:
            char = exc.pos if isinstance(exc, json.JSONDecodeError) else 0
            reason = exc.msg if isinstance(exc, json.JSONDecodeError) else str(exc)
            raise _Malformed(self._stream.locate(self._at - 1, char), f"{field} are not JSON: {reason}", field) from exc


def _names_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("a name is given twice")
    return names


def _shown(item: Item | None) -> str:
    if item is None:
        return "the end of the stream"
    if isinstance(item, Special):
        return item.value
    return "text" if isinstance(item, str) else "undecodable bytes"

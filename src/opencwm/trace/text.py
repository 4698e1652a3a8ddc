"""A trace as one string, and back again.

    Trace --render_text--> str --parse_text--> Parsed

For people, files and tests; a model is fed the token form (`tokens.py`). The text form exists only where no text of
the trace contains a special token's string; what the stream consists of is in `stream.py`.
"""

from opencwm.errors import DataError
from opencwm.trace.parsing import Parser, TextStream
from opencwm.trace.recording.frame import Trace
from opencwm.trace.stream import (
    ANY_SPECIAL,
    EVENT_SPECIAL,
    START_MARKER,
    UNCHANGED,
    Parsed,
    ParseError,
    Piece,
    Special,
    Stack,
    pieces,
    without_marker,
)

__all__ = [
    "EVENT_SPECIAL",
    "START_MARKER",
    "UNCHANGED",
    "ParseError",
    "Parsed",
    "Piece",
    "Special",
    "Stack",
    "parse_text",
    "render_text",
    "without_marker",
]


def render_text(trace: Trace | Parsed) -> str:
    """The stream as one string; a DataError where a text of the trace contains a special token's string."""
    out = []
    for piece in pieces(trace):
        if isinstance(piece, Special):
            out.append(piece.value)
            continue
        found = ANY_SPECIAL.search(piece)
        if found:
            raise DataError(
                f"this trace has no text form, because its program or one of its values contains {found.group()!r}",
                fix="use its token form instead: render(trace, tokenizer)",
            )
        out.append(piece)
    return "".join(out)


def parse_text(text: str, *, changed_only: bool = False) -> Parsed:
    """What a stream in text form says; whatever is wrong with it is in the result's `error`."""
    return Parser(TextStream(text), Stack(), changed_only=changed_only).parse()

"""The stream a model reads: texts and the special tokens between them.

    Trace --pieces--> texts and special tokens --> str (text.py) | token ids (tokens.py)
    Parsed <--Parser (parsing.py)-- texts and special tokens

A frame is `EVENT LOCALS <|action_sep|> SOURCE <|frame_sep|>`, or `EVENT <|action_sep|> SOURCE <|arg_sep|> VALUE
<|frame_sep|>` where something is returned or raised (the format published with CWM, arXiv 2510.02387, and our trace
format, section 4).

What a stream does not hold, a parsed frame does not have: `cause`, `file` and `line_no` are empty. `depth` is rebuilt
by the stack rule: a `call` pushes an activation, a `return` pops it, and `".."` stands for the value that the
activation on top showed last.

Deviation from the published demos: the marker is removed as a suffix, not as a set of characters.
"""

import enum
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from opencwm.trace.recording.frame import Frame, Locals, Trace

START_MARKER = "  # << START_OF_TRACE"
"""Ends the `def` line of the entry point in the context, and nothing in a frame."""
UNCHANGED = ".."
"""Stands for the text that the activation on top showed last under this name."""


class Special(enum.Enum):
    """CWM's special tokens. Ids differ between tokenizers and are looked up by these strings."""

    BEGIN_OF_TEXT = "<|begin_of_text|>"
    END_OF_TEXT = "<|end_of_text|>"
    PAD = "<|pad|>"
    FRAME_SEP = "<|frame_sep|>"
    ACTION_SEP = "<|action_sep|>"
    RETURN_SEP = "<|return_sep|>"
    CALL_SEP = "<|call_sep|>"
    LINE_SEP = "<|line_sep|>"
    EXCEPTION_SEP = "<|exception_sep|>"
    ARG_SEP = "<|arg_sep|>"
    TRACE_CONTEXT_START = "<|trace_context_start|>"
    START_HEADER_ID = "<|start_header_id|>"
    END_HEADER_ID = "<|end_header_id|>"
    EOM_ID = "<|eom_id|>"
    EOT_ID = "<|eot_id|>"
    REASONING_THINKING_START = "<|reasoning_thinking_start|>"
    REASONING_THINKING_END = "<|reasoning_thinking_end|>"

    @property
    def key(self) -> str:
        """The name under which a tokenizer lists it: the string without its bars."""
        return self.value[2:-2]


Piece = str | Special
EVENT_SPECIAL = {
    "call": Special.CALL_SEP,
    "line": Special.LINE_SEP,
    "return": Special.RETURN_SEP,
    "exception": Special.EXCEPTION_SEP,
}
SPECIAL_EVENT = {special: event for event, special in EVENT_SPECIAL.items()}
ANY_SPECIAL = re.compile("(" + "|".join(re.escape(special.value) for special in Special) + ")")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True, slots=True)
class ParseError:
    """Why a stream stops being a trace. A result, never an exception: models write malformed frames."""

    index: int
    """Where: a token index (`tokens.parse`) or a character index (`parse_text`)."""
    reason: str
    """What is wrong there, as one sentence without its full stop."""
    frame: int | None
    """Index of the frame that is malformed; None where the context already is."""
    field: str | None = None
    """`locals` or `value` where that field is not JSON of the right shape, else None."""
    cut: bool = False
    """Nothing is wrong but that the stream ends there: inside a frame, or inside the context."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """What a stream said: everything up to the first thing that is wrong with it."""

    context: str
    """Starts and ends with a newline, whether or not the stream's did; "" where the stream has none."""
    frames: list[Frame] = field(default_factory=list)
    ended: bool = False
    """The stream says that the entry point was left."""
    error: ParseError | None = None


class Stack:
    """The activations that are open after some frames, and what each showed last: name -> text, in order."""

    def __init__(self) -> None:
        self._open: list[dict[str, str]] = []

    @property
    def depth(self) -> int:
        """Depth of the activation on top; 0 for the entry point, and also where nothing is open."""
        return max(len(self._open) - 1, 0)

    @property
    def is_open(self) -> bool:
        """Whether any activation is open."""
        return bool(self._open)

    @property
    def top(self) -> dict[str, str]:
        return self._open[-1] if self._open else {}

    def copy(self) -> "Stack":
        other = Stack()
        other._open = list(self._open)
        return other

    def apply(self, frame: Frame) -> dict[str, str]:
        """Move past `frame`; the resolved locals of its activation, in order (empty where it shows none)."""
        if frame.event == "return":
            if self._open:
                self._open.pop()
            return {}
        if frame.locals is None:
            return {}
        if frame.event == "call" or not self._open:
            self._open.append({})
        self._open[-1] = resolved = self.resolve(frame.locals)
        return resolved

    def resolve(self, names: Locals) -> dict[str, str]:
        """What the activation on top would show after these changes; a frame that changes all lists all, in order."""
        merged = {name: text for name, text in self.top.items() if name not in names.removed}
        complete = all(name in names.set for name in merged)
        merged.update(names.set)
        order = names.order if names.order is not None else tuple(names.set) if complete else None
        return merged if order is None else {name: merged[name] for name in order if name in merged}


def without_marker(line: str) -> str:
    """A source line as compared: without its newline and the start-of-trace comment."""
    line = line.removesuffix("\n")
    while line.endswith(START_MARKER):
        line = line.removesuffix(START_MARKER)
    return line


def framed_context(context: str) -> str:
    """The context as the stream has it: starting and ending with a newline."""
    context = context if context.startswith("\n") else "\n" + context
    return context if context.endswith("\n") else context + "\n"


def has_end(trace: Trace | Parsed) -> bool:
    """Whether `<|end_of_text|>` closes the stream: the entry point was left."""
    return trace.ended if isinstance(trace, Parsed) else trace.outcome not in ("budget", "displaced")


def context_pieces(context: str) -> Iterator[Piece]:
    yield Special.BEGIN_OF_TEXT
    yield Special.TRACE_CONTEXT_START
    yield encodable(framed_context(context))
    yield Special.FRAME_SEP


def frame_pieces(frame: Frame, stack: Stack) -> Iterator[Piece]:
    """One frame after the ones that `stack` has seen; moves `stack` past it."""
    yield EVENT_SPECIAL[frame.event]
    resolved = stack.apply(frame)
    if frame.event in ("call", "line"):
        shown = {} if frame.locals is None else frame.locals.set
        yield json.dumps({name: shown.get(name, UNCHANGED) for name in resolved})
    yield Special.ACTION_SEP
    yield encodable(without_marker(frame.source_line)) + "\n"
    if frame.event in ("return", "exception"):
        yield Special.ARG_SEP
        yield json.dumps(frame.value or "")
    yield Special.FRAME_SEP


def pieces(trace: Trace | Parsed) -> Iterator[Piece]:
    """The whole stream: texts, and the special tokens between them."""
    yield from context_pieces(trace.context)
    stack = Stack()
    for frame in trace.frames:
        yield from frame_pieces(frame, stack)
    if has_end(trace):
        yield Special.END_OF_TEXT


def encodable(text: str) -> str:
    """The text with lone surrogates written out, so that it can be encoded as UTF-8."""
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def split_specials(text: str) -> Iterator[tuple[int, Piece]]:
    """The texts and special tokens of a string, each with the index where it starts; empty texts left out."""
    index = 0
    for i, part in enumerate(ANY_SPECIAL.split(text)):
        if part:
            yield index, Special(part) if i % 2 else part
        index += len(part)

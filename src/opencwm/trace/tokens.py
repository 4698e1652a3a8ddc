"""A trace as the token ids a model reads, and back again.

    Trace --render--> ids                       for reading by a model
          --render_frames--> RenderedTrace      the same, with where the context ends and each frame starts
    Parsed <--parse-- ids                       a model's whole output

Special tokens are put in by the renderer only. A source line or a value that merely looks like one is encoded as
ordinary characters and comes back exactly, so that every trace has a token form.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from opencwm.trace.parsing import Parser, TokenStream
from opencwm.trace.recording.frame import Frame, Trace
from opencwm.trace.stream import Parsed, Piece, Special, Stack, context_pieces, frame_pieces, has_end


class Codec(Protocol):
    """What this module needs of a tokenizer."""

    @property
    def special(self) -> Mapping[str, int]: ...

    def encode(self, text: str) -> list[int]: ...

    def decode_bytes(self, ids: Sequence[int]) -> bytes: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedTrace:
    ids: list[int]
    context_end: int
    """Index after the separator that closes the context: where the first frame starts."""
    frame_starts: list[int]
    """Index of each frame's event token. A frame ends where the next one starts, or at `frames_end`."""
    frames_end: int
    """Index after the last frame's separator; the end-of-text token, where there is one, stands here."""

    def span(self, frame: int) -> tuple[int, int]:
        """Start and end (exclusive) of one frame's tokens."""
        starts = self.frame_starts
        return starts[frame], starts[frame + 1] if frame + 1 < len(starts) else self.frames_end


def render(trace: Trace | Parsed, tokenizer: Codec) -> list[int]:
    return render_frames(trace, tokenizer).ids


def render_frames(trace: Trace | Parsed, tokenizer: Codec) -> RenderedTrace:
    ids = render_context(trace.context, tokenizer)
    context_end = len(ids)
    stack, starts = Stack(), []
    for frame in trace.frames:
        starts.append(len(ids))
        ids += render_frame(frame, stack, tokenizer)
    frames_end = len(ids)
    if has_end(trace):
        ids.append(tokenizer.special[Special.END_OF_TEXT.key])
    return RenderedTrace(ids=ids, context_end=context_end, frame_starts=starts, frames_end=frames_end)


def render_context(context: str, tokenizer: Codec) -> list[int]:
    """The prompt of every prediction: up to and including the separator that closes the context."""
    return _encode(context_pieces(context), tokenizer)


def render_frame(frame: Frame, stack: Stack, tokenizer: Codec) -> list[int]:
    """One frame's tokens, after the frames that `stack` has seen; moves `stack` past it."""
    return _encode(frame_pieces(frame, stack), tokenizer)


def parse(ids: Sequence[int], tokenizer: Codec, *, changed_only: bool = False) -> Parsed:
    """What a whole stream of tokens says; whatever is wrong with it is in the result's `error`."""
    return Parser(TokenStream(ids, tokenizer), Stack(), changed_only=changed_only).parse()


def parse_frames(
    ids: Sequence[int], tokenizer: Codec, stack: Stack | None = None, *, changed_only: bool = False
) -> Parsed:
    """The same from the start of a frame on, after the frames that `stack` has seen; moves `stack` past new ones.

    This is how one frame is read after a true prefix: `parse_frames(ids, tokenizer, stack.copy()).frames`.
    """
    parser = Parser(TokenStream(ids, tokenizer), Stack() if stack is None else stack, changed_only=changed_only)
    return parser.parse_frames()


def _encode(pieces: Iterable[Piece], tokenizer: Codec) -> list[int]:
    ids: list[int] = []
    for piece in pieces:
        if isinstance(piece, Special):
            ids.append(tokenizer.special[piece.key])
        else:
            ids += tokenizer.encode(piece)
    return ids

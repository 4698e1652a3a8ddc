"""The model view of a trace: what a model sees of it, with every `".."` replaced by what it stands for.

    Trace | Parsed --view--> View(context, frames: FrameView(event, source_line, locals | value), ended)

Two traces are the same to a model exactly when their views are equal; this is what round trips preserve and what
`compare.py` compares. `cause`, `file` and `line_no` are left out, and `depth` follows from the events.
"""

from dataclasses import dataclass, field

from opencwm.trace.recording.frame import Frame, Trace
from opencwm.trace.stream import Parsed, Stack, framed_context, has_end, without_marker


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameView:
    event: str
    source_line: str
    """Without newline and start marker."""
    locals: dict[str, str] | None = None
    """Every name that is bound, with the text of its value; on `call` and `line` frames only. A `".."` that stands
    for nothing (a model wrote it for a name it never showed) stays, and equals no value."""
    value: str | None = None
    """On `return` and `exception` frames only."""
    depth: int = 0
    """By the stack rule: 0 for the entry point."""
    is_changed: bool = field(default=False, compare=False)
    """The locals differ from those that this activation showed last; a call's, from none at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    context: str
    frames: list[FrameView]
    ended: bool
    """The entry point was left."""


def view(trace: Trace | Parsed) -> View:
    stack = Stack()
    frames = [view_frame(frame, stack) for frame in trace.frames]
    return View(context=framed_context(trace.context), frames=frames, ended=has_end(trace))


def view_frame(frame: Frame, stack: Stack) -> FrameView:
    """One frame after the ones that `stack` has seen; moves `stack` past it."""
    source_line = without_marker(frame.source_line)
    if frame.event in ("return", "exception"):
        depth = stack.depth
        stack.apply(frame)
        return FrameView(event=frame.event, source_line=source_line, value=frame.value or "", depth=depth)
    shown = {} if frame.event == "call" else stack.top
    resolved = stack.apply(frame)
    return FrameView(
        event=frame.event,
        source_line=source_line,
        locals=resolved,
        depth=stack.depth,
        is_changed=resolved != shown,
    )


def output_of(frames: list[FrameView]) -> tuple[str, str] | None:
    """How the entry point was left: ("returned", value) or ("raised", exception); None where it was not.

    A `return` right after an `exception` in the same activation is that exception on its way out.
    """
    for i, frame in enumerate(frames):
        if frame.event == "return" and frame.depth == 0:
            before = frames[i - 1] if i else None
            if before is not None and before.event == "exception":
                return "raised", before.value or ""
            return "returned", frame.value or ""
    return None

"""The calls of a trace: which frames each one owns, and which calls it made.

    frames --calls_of--> Call(start, parts: own frames and callees in order, end)

A call is one activation by the stack rule: from a `call` frame (a resumption of a generator included) to its `return`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from opencwm.trace.recording.frame import Frame


@dataclass(eq=False, slots=True)
class Call:
    start: int
    """Index of its `call` frame."""
    parts: list["int | Call"] = field(default_factory=list)
    """Indices of its own frames, the `call` and the `return` included, and its callees, in order."""
    folded: tuple[int, ...] = ()
    """What is left of it where it is stepped over: its `call`, what it raised, its `return`."""
    num_shortest: int = 0
    """Frames that it has with all its callees stepped over."""
    is_whole: bool = True
    """It was seen to its end, and so was all that it called."""

    @property
    def end(self) -> int:
        """Index of its `return` frame."""
        return self.folded[-1]

    @property
    def own(self) -> list[int]:
        return [part for part in self.parts if isinstance(part, int)]

    def frames(self) -> range:
        """Indices of everything between its `call` and its `return`, callees included."""
        return range(self.start, self.end + 1)


def calls_of(frames: Sequence[Frame]) -> Iterator[Call]:
    """The whole calls of a trace, each after its callees.

    A trace may end inside calls (a spent budget), and lose the end of one (a generator that died while it was
    suspended elsewhere): those are left out, with everything that called them.
    """
    stack: list[Call] = []
    for index, frame in enumerate(frames):
        depth = len(stack) if frame.event == "call" else len(stack) - 1
        if frame.depth != depth:
            for call in stack:
                call.is_whole = False
            del stack[frame.depth + (frame.event != "call") :]
            if len(stack) != frame.depth + (frame.event != "call"):
                continue  # inside a call whose beginning was not recorded
        if frame.event == "call":
            call = Call(index)
            if stack:
                stack[-1].parts.append(call)
            stack.append(call)
        if not stack:
            continue
        stack[-1].parts.append(index)
        if frame.event == "return":
            call = stack.pop()
            _close(call, frames)
            if call.is_whole:
                yield call
            elif stack:
                stack[-1].is_whole = False


def _close(call: Call, frames: Sequence[Frame]) -> None:
    own, end = call.own, call.own[-1]
    raised = [index for index in own if frames[index].event == "exception"] if frames[end].cause == "unwind" else []
    call.folded = (call.start, *raised[-1:], end)
    call.num_shortest = len(own) + sum(len(part.folded) for part in call.parts if isinstance(part, Call))

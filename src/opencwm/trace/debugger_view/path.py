"""Where debugger actions lead in a trace: its nodes in the order of one direction.

trace --path_of--> Path(places) --after(place, move)--> place | exit
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from opencwm.errors import ConfigError
from opencwm.trace.layout import Layout
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.stage import WRAPPER
from opencwm.trace.stream import START_MARKER, framed_context, without_marker
from opencwm.trace.tree import Activation, Node, tree_of, walk
from opencwm.trace.view import view

Direction = Literal["forward", "inverse"]
ACTIONS: dict[Direction, tuple[str, ...]] = {
    "forward": ("step_into", "step_over", "step_return", "breakpoint", "continue"),
    "inverse": ("inv_step_into", "inv_step_over", "inv_step_call"),
}
_WRAPPER = WRAPPER.partition("{}")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    action: str
    source_line: str | None = None
    """The line of a breakpoint."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node on a path; backward, a calling line has two."""

    node: Node
    event: str


class Path:
    """The nodes of a trace, or of one of its activations, in the order in which a debugger meets them."""

    def __init__(self, trace: Trace, roots: Sequence[Activation], direction: Direction, context: str) -> None:
        self.direction = direction
        self.context = context
        self.places = list(_forward(roots) if direction == "forward" else _backward(roots))
        self._trace = trace
        self._roots = roots
        self._last: dict[Activation, int] = {}
        self._next_of: dict[int, int] = {}
        """Place -> the next one of its activation."""
        for index, place in enumerate(self.places):
            level = place.node.level
            if level in self._last:
                self._next_of[self._last[level]] = index
            self._last[level] = index

    @property
    def exit(self) -> str:
        """How the path ends."""
        if self.direction == "inverse":
            return "entry"
        left = self._roots[-1].left
        if left is None:
            return "never"
        return "error" if self._trace.frames[left.index].cause == "unwind" else "normal"

    def after(self, at: int, move: Move) -> int:
        """Where an action leads; the number of places where it leads to the exit. Raises ConfigError for an action of
        the other direction."""
        end, step = len(self.places), at + 1
        match move.action.removeprefix("inv_"):
            case "step_into":
                return step
            case "step_over":
                return self._next_of.get(at, step)
            case "step_return" | "step_call":
                last = self._last[self.places[at].node.level]
                ends = self.places[last].event == ("return" if self.direction == "forward" else "call")
                return step if at == last else last if ends else end
            case "breakpoint":
                later = range(step, end)
                return next((each for each in later if self._stops(each, move.source_line)), end)
            case _:
                return end

    def _stops(self, index: int, source_line: str | None) -> bool:
        place = self.places[index]
        return place.event in ("call", "line") and place.node.frame.source_line == source_line

    def lines_from(self, at: int) -> list[str]:
        """The different source lines of the calls and lines after a place."""
        later = self.places[at:]
        return list(dict.fromkeys(p.node.frame.source_line for p in later if p.event in ("call", "line")))


def path_of(trace: Trace, direction: Direction = "forward", *, entry: int | None = None) -> Path | None:
    """The path through a trace, or through the activation whose `call` frame has index `entry`.

    None where there is none: a backward path needs an entry that was left and a context that does not give its
    arguments away, so it cannot begin at the recorder's wrapper (see `entries`).
    """
    roots = tree_of(view(trace).frames)
    if trace.outcome == "displaced" or not roots:
        return None
    context = framed_context(trace.context)
    if entry is not None:
        node = next((node for node in walk(roots) if node.index == entry), None)
        if node is None or node.frame.event != "call":
            raise ConfigError(f"frame {entry} is no call", fix=f"choose one of {entries(trace)}")
        roots = [node.level]
        marked = _marked_context(trace, node)
        if marked is None:
            return None
        context = marked
    if direction == "inverse" and (roots[-1].left is None or _WRAPPER in context):
        return None
    return Path(trace, roots, direction, context)


def entries(trace: Trace) -> list[int]:
    """The calls that can be an entry point of their own: of a named function, to its first end, not the wrapper's."""
    is_wrapped = _WRAPPER in trace.context
    found = []
    for node in walk(tree_of(view(trace).frames)):
        is_first = node.frame.event == "call" and trace.frames[node.index].cause is None
        if is_first and node.level.left is not None and re.match(r"\s*(async )?def ", node.frame.source_line):
            is_wrapper = is_wrapped and node.index == 0
            pauses = trace.frames[node.level.nodes[-1].index].cause in ("yield", "await")
            if not is_wrapper and not pauses:
                found.append(node.index)
    return found


def _forward(roots: Sequence[Activation]) -> Iterator[Place]:
    for node in walk(roots):
        yield Place(node, node.frame.event)


def _backward(roots: Sequence[Activation]) -> Iterator[Place]:
    stack: list[Iterator[Place | Activation]] = [iter(list(reversed(roots)))]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
        elif isinstance(item, Place):
            yield item
        else:
            stack.append(iter(list(_level_backward(item))))


def _level_backward(level: Activation) -> Iterator[Place | Activation]:
    for node in reversed(level.nodes):
        if node.callees and node.frame.event == "line":
            yield Place(node, "line_call")
        yield from reversed(node.callees)
        yield Place(node, node.frame.event)


def _marked_context(trace: Trace, entry: Node) -> str | None:
    """The program without the wrapper, the marker at the entry's `def` line; None where that line is not in it."""
    layout = Layout(trace.context, trace.frames)
    number = layout.line_of(trace.frames[entry.index])
    program = trace.context.rpartition(_WRAPPER)[0] if _WRAPPER in trace.context else trace.context
    lines = [without_marker(line) for line in program.removeprefix("\n").split("\n")]
    if number is None or number > len(lines) or lines[number - 1] != entry.frame.source_line:
        return None
    lines[number - 1] += START_MARKER
    return framed_context("\n".join(lines).rstrip("\n"))

"""The state tree of a trace: frames of one activation side by side, those of its callees below the line that calls.

    frames --tree_of--> [Activation(nodes: [Node(frame, callees: [Activation, ...]), ...]), ...]

Depth-first, it is the trace again. The debugger view walks it ("Towards a Neural Debugger for Python", arXiv
2603.09951: callee states become children of the calling line) and the narrator tells it. More than one root stands only
where the entry point is a generator or a coroutine that was resumed, since a resume is a `call` of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from opencwm.trace.view import FrameView


@dataclass(eq=False, slots=True)
class Node:
    index: int
    """Of the frame in its trace."""
    frame: FrameView
    level: "Activation" = field(repr=False)
    callees: list["Activation"] = field(default_factory=list)
    """The activations that began after this frame and before the next one of its own activation."""


@dataclass(eq=False, slots=True)
class Activation:
    caller: Node | None = field(repr=False)
    """None at a root, and in a trace that does not begin with a `call`."""
    nodes: list[Node] = field(default_factory=list)
    """In their order: a `call`, lines and exceptions, and a `return` where the activation was left."""

    @property
    def left(self) -> Node | None:
        """The `return` frame that ends it; None where the trace stops before."""
        return self.nodes[-1] if self.nodes and self.nodes[-1].frame.event == "return" else None


def tree_of(frames: Sequence[FrameView]) -> list[Activation]:
    """The roots of the tree."""
    roots: list[Activation] = []
    stack: list[Activation] = []
    for index, frame in enumerate(frames):
        if frame.event == "call" or not stack:
            caller = stack[-1].nodes[-1] if stack else None
            stack.append(Activation(caller=caller))
            (roots if caller is None else caller.callees).append(stack[-1])
        stack[-1].nodes.append(Node(index=index, frame=frame, level=stack[-1]))
        if frame.event == "return":
            stack.pop()
    return roots


def walk(activations: Sequence[Activation]) -> Iterator[Node]:
    """Every node, in the order of the trace."""
    for activation in activations:
        stack = [iter(activation.nodes)]
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
                continue
            yield node
            stack.extend(iter(callee.nodes) for callee in reversed(node.callees))

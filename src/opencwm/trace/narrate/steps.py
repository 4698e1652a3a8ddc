"""An activation cut into what a person would tell one by one: steps, and loops made of iterations of steps.

    Activation --items_of--> [Step | Loop(iterations: [[Step | Loop, ...], ...]), ...]

A step is one run of one statement: its line frames (several where it is written over several lines), what it calls,
what it raises, and where the activation is left, the `return`. Two iterations have the same `shape` when exactly the
same statements ran in them, in the same order, in every activation that they began.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opencwm.trace.layout import Layout, Statement, is_one_line
from opencwm.trace.recording.frame import Frame
from opencwm.trace.tree import Activation, Node, walk

_DEFINITION = re.compile(r"\s*(async\s+)?(def|class|@)\b")
LOOPS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(eq=False, slots=True)
class Step:
    nodes: list[Node]
    """Line frames of one statement, then the exceptions and the return that come before another one begins."""
    statement: Statement | None
    """None where the program's text does not tell."""
    is_resumed: bool = False
    """It goes on at a `yield` or `await`; its first node is the `call` that resumes."""
    next: "Step | None" = field(default=None, repr=False)
    """The next one of the activation."""
    after: Node | None = field(default=None, repr=False)
    """The next frame of the activation that shows locals: the state that the step leaves."""

    @property
    def start(self) -> Node:
        return self.nodes[0]

    @property
    def before(self) -> dict[str, str]:
        return self.start.frame.locals or {}

    @property
    def exception(self) -> Node | None:
        """The last exception seen at this statement."""
        return next((node for node in reversed(self.nodes) if node.frame.event == "exception"), None)

    @property
    def left(self) -> Node | None:
        """The `return` by which the activation is left here."""
        return self.nodes[-1] if self.nodes[-1].frame.event == "return" else None

    @property
    def callees(self) -> list[Activation]:
        return [callee for node in self.nodes for callee in node.callees]

    @property
    def state_after(self) -> dict[str, str]:
        return {} if self.after is None else self.after.frame.locals or {}

    @property
    def changed(self) -> list[str]:
        """Names that the step binds anew or whose value it changes, in declaration order."""
        return [name for name, text in self.state_after.items() if self.before.get(name) != text]

    @property
    def removed(self) -> list[str]:
        return [] if self.after is None else [name for name in self.before if name not in self.state_after]


@dataclass(eq=False, slots=True)
class Loop:
    statement: Statement
    iterations: list[list["Step | Loop"]]
    """Each begins with the step of the loop's header, except in loops without one (`while True`)."""
    is_begun: bool
    """A generator was resumed inside it: its first iterations are in an earlier activation."""
    exit: Step | None
    """The header's last step, after which the body does not run; None where the loop is left in another way."""


Item = Step | Loop


class Plan:
    """Items of activations; remembers nothing but the program's layout and the trace's frames."""

    def __init__(self, layout: Layout, frames: Sequence[Frame], *, is_precise: bool) -> None:
        self.layout = layout
        self.frames = frames
        self.is_precise = is_precise
        """See `layout.body_shows`."""
        self._items: dict[Activation, list[Item]] = {}
        self._trails: dict[Activation, int] = {}

    def items_of(self, activation: Activation) -> list[Item]:
        if activation not in self._items:
            self._items[activation] = self._nested(self._steps(activation), None)
        return self._items[activation]

    def is_inline(self, activation: Activation) -> bool:
        """Whether it runs a lambda or a generator expression: code on a line that belongs to another function."""
        first = activation.nodes[0]
        if activation.caller is None or first.frame.event != "call" or _DEFINITION.match(first.frame.source_line):
            return False
        statement = self.layout.statement_of(self.frames[first.index])
        parts = [] if statement is None else list(ast.walk(statement))
        return any(isinstance(each, (ast.Lambda, ast.GeneratorExp)) for each in parts) and not any(
            isinstance(each, (ast.Yield, ast.YieldFrom, ast.Await)) for each in parts
        )

    def is_unwound(self, node: Node) -> bool:
        """Whether a `return` is an exception on its way out. Streams tell no cause: there, by the frame before."""
        frame = self.frames[node.index]
        if frame.cause is not None or frame.file:
            return frame.cause == "unwind"
        before = node.level.nodes[-2] if len(node.level.nodes) > 1 else node
        return before.frame.event == "exception"

    def is_over(self, step: Step) -> bool:
        """Whether the activation is left for good at this step, and not by an exception."""
        left = step.left
        pauses = left is not None and self.frames[left.index].cause in ("yield", "await")
        return left is not None and not pauses and not self.is_unwound(left)

    def delivers(self, step: Step) -> bool:
        """Whether the step's exception only hands over a result: what `await` and loops do with `StopIteration`."""
        raised, statement = step.exception, step.statement
        if raised is None or statement is None or not (raised.frame.value or "").startswith(("StopIter", "StopAsync")):
            return False
        if step.next is None:
            goes_on = step.left is not None and not self.is_unwound(step.left)
        else:
            goes_on = not isinstance(step.next.statement, ast.ExceptHandler)
        waits = isinstance(statement, (ast.For, ast.AsyncFor, ast.AsyncWith)) or any(
            isinstance(each, (ast.Await, ast.YieldFrom)) for each in ast.walk(statement)
        )
        return goes_on and waits

    def _steps(self, activation: Activation) -> list[Step]:
        steps: list[Step] = []
        for node in activation.nodes:
            event = node.frame.event
            is_resumed = event == "call" and self.frames[node.index].cause == "resume"
            if event == "call" and not is_resumed:
                continue
            statement = self.layout.statement_of(self.frames[node.index])
            if steps and (event in ("exception", "return") or self._goes_on(steps[-1], statement, node)):
                steps[-1].nodes.append(node)
            else:
                steps.append(Step(nodes=[node], statement=statement, is_resumed=is_resumed))
        shown = [node for node in activation.nodes if node.frame.locals is not None]
        for number, step in enumerate(steps):
            step.next = steps[number + 1] if number + 1 < len(steps) else None
            last = step.nodes[-1].index
            step.after = step.next.start if step.next else next((node for node in shown if node.index > last), None)
        return steps

    def _goes_on(self, step: Step, statement: Statement | None, node: Node) -> bool:
        """Whether a line belongs to the statement that the step has begun, written over several lines."""
        if statement is None or step.statement is not statement or step.nodes[-1].frame.event != "line":
            return False
        if isinstance(statement, (ast.With, ast.AsyncWith)):
            return True  # several managers, or several exits
        lines = [self.frames[each.index].line_no for each in step.nodes]
        return self.frames[node.index].line_no != lines[-1]

    def _nested(self, steps: list[Step], loop: Statement | None) -> list[Item]:
        """The steps with every loop in `loop` (None: in the activation) made one item."""
        items: list[Item] = []
        at = 0
        while at < len(steps):
            statement = self._loop_of(steps[at], loop)
            if statement is None:
                items.append(steps[at])
                at += 1
                continue
            end = at
            while end < len(steps) and self._belongs(steps[end], statement):
                end += 1
            items.append(self._loop(statement, steps[at:end]))
            at = end
        return items

    def _belongs(self, step: Step, loop: Statement) -> bool:
        return step.statement is loop or self.layout.body_holds(loop, step.statement)

    def _loop_of(self, step: Step, inside: Statement | None) -> Statement | None:
        """The outermost loop in `inside` that a step is at or in."""
        if step.statement is None or step.is_resumed:
            return None
        found: Statement | None = None
        around: list[ast.AST] = [step.statement, *self.layout.enclosing(step.statement)]
        for each in around:
            if each is inside:
                break
            if isinstance(each, LOOPS) and not is_one_line(each) and self._belongs(step, each):
                found = each
        return found

    def _loop(self, statement: Statement, steps: list[Step]) -> Loop:
        is_endless = isinstance(statement, ast.While) and isinstance(statement.test, ast.Constant)
        first = getattr(statement, "body", [None])[0]
        if isinstance(first, (*LOOPS, ast.With, ast.AsyncWith)):
            first = None  # their headers come again within one iteration
        runs: list[list[Step]] = []
        for step in steps:
            is_head = step.statement is statement
            if (
                is_endless
                and first is not None
                and step.statement is first
                and runs
                and runs[-1][-1].statement is not statement
            ):
                is_head = True
            if is_head or not runs:
                runs.append([])
            runs[-1].append(step)
        last = runs[-1]
        is_exit = len(last) == 1 and last[0].statement is statement and not is_endless and self._ends(last[0])
        exit = runs.pop()[0] if is_exit else None
        return Loop(
            statement=statement,
            iterations=[self._iteration(statement, run) for run in runs],
            is_begun=self._is_begun(statement, steps[0].start.level),
            exit=exit,
        )

    def _is_begun(self, statement: Statement, activation: Activation) -> bool:
        first = activation.nodes[0]
        frame = self.frames[first.index]
        return frame.cause == "resume" and self.layout.body_holds(statement, self.layout.statement_of(frame))

    def _ends(self, header: Step) -> bool:
        """Whether a header after which the body does not run was the loop's regular end."""
        return header.next is not None or self.is_over(header)

    def _iteration(self, statement: Statement, run: list[Step]) -> list[Item]:
        if run[0].statement is statement:
            return [run[0], *self._nested(run[1:], statement)]
        return self._nested(run, statement)

    def shape(self, items: Sequence[Item]) -> Any:
        """What ran, without values: equal for iterations that went the same way."""
        out: list[Any] = []
        for item in items:
            if isinstance(item, Loop):
                out.append((id(item.statement), tuple(self.shape(each) for each in item.iterations)))
                continue
            raised = None if item.exception is None else (item.exception.frame.value or "").partition("(")[0]
            trails = tuple(self._trail(callee) for callee in item.callees)
            out.append((id(item.statement), item.start.frame.source_line, raised, item.left is not None, trails))
        return tuple(out)

    def _trail(self, activation: Activation) -> int:
        """The same for an activation and all that it calls, however deep."""
        if activation not in self._trails:
            places = ((node.frame.event, node.frame.source_line, node.frame.depth) for node in walk([activation]))
            self._trails[activation] = hash(tuple(places))
        return self._trails[activation]

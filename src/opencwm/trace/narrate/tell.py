"""A trace as prose: what the program does, step by step, with the values; no language model has a part in it.

    trace --tree, layout--> steps and loops --sentences with facts--> Narration(text, answer)

Everything said follows from the frames and the program's text: a value is the one in the state at that point, a
condition is true where its body runs next, iterations "go the same way" where exactly the same statements ran. Dull
iterations and deep calls are told in a sentence, the more of them the tighter the budget. The seed chooses the words,
never what is said to have happened.

The report's own narrations are written by a language model and kept where their answer is right (arXiv 2510.02387,
2604.03253; here `data/narrators.py`); this one is right by construction and costs nothing.
"""

import ast
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from opencwm.errors import ConfigError
from opencwm.trace.layout import Layout
from opencwm.trace.narrate.actions import Actions
from opencwm.trace.narrate.prose import Fact, Prose, Sentence, code, listed
from opencwm.trace.narrate.steps import Item, Loop, Plan, Step
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.stage import WRAPPER
from opencwm.trace.stream import Parsed
from opencwm.trace.tree import Activation, Node, tree_of
from opencwm.trace.view import view

MOST_LISTED = 8
"""Values of a variable that are listed one by one where iterations are told together; of more, only the last."""
MOST_LISTED_CHARS = 160
DEEPEST = 40
"""Calls inside calls that are told at most, whatever the detail: nobody follows more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail:
    """How much is told."""

    iterations: int | None = 2
    """Iterations of a loop that are told one by one before those like them are told together; None: all."""
    depth: int | None = None
    """Calls inside the first one that are told from inside: 0 tells only what they return; None: all."""
    max_value_chars: int = 160
    """Of a longer value only the beginning is stated."""
    max_chars: int | None = None
    """Length wished for: less detail is told until it fits. What cannot fit is told in the least detail."""

    def __post_init__(self) -> None:
        for name, least in (("iterations", 1), ("depth", 0), ("max_value_chars", 16), ("max_chars", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} is {value}: it must be at least {least}")

    def tighter(self) -> list["Detail"]:
        """This one, then ever less."""
        ladder = [self]
        iterations = self.iterations
        for fewer in (2, 1):
            if iterations is None or iterations > fewer:
                ladder.append(replace(self, iterations=fewer))
        ladder += [replace(ladder[-1], depth=less) for less in (4, 2, 1, 0) if self.depth is None or self.depth > less]
        return [*ladder, replace(ladder[-1], max_value_chars=min(self.max_value_chars, 60))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Narration:
    text: str
    """Paragraphs of prose; says in the last one how the execution ended."""
    sentences: tuple[Sentence, ...]
    answer: str | None
    """Text of the value that the entry point returned, None where it did not, or is a module."""
    detail: Detail
    """What the length budget left of the detail that was asked for."""

    @property
    def facts(self) -> tuple[Fact, ...]:
        return tuple(fact for sentence in self.sentences for fact in sentence.facts)


def narrate(trace: Trace | Parsed, *, seed: int = 0, detail: Detail | None = None) -> Narration:
    """The execution in words. Deterministic by (trace, seed, detail), on every version of Python."""
    ladder = (detail or Detail()).tighter()
    story = Story(trace)
    told = story.tell(ladder[0], seed)
    for less in ladder[1:]:
        if less.max_chars is None or len(told.text) <= less.max_chars:
            break
        told = story.tell(less, seed)
    return told


class Story:
    """One trace, ready to be told in any detail."""

    def __init__(self, trace: Trace | Parsed) -> None:
        frames = trace.frames
        self.trace = trace
        python = str(trace.header.get("python", "")) if isinstance(trace, Trace) else ""
        version = tuple(int(part) for part in python.split(".")[:2] if part.isdigit())
        self.plan = Plan(Layout(trace.context, frames), frames, is_precise=version >= (3, 10))
        self.roots = tree_of(view(trace).frames)
        _, marker, call = trace.context.rpartition(WRAPPER.partition("{}")[0])
        self.call = call.removesuffix("\n") if marker else None
        """The expression that was recorded, where the entry point is the recorder's wrapper for one."""

    def tell(self, detail: Detail, seed: int) -> Narration:
        prose = Prose(random.Random(f"narrate/{seed}"), detail.max_value_chars)
        teller = Teller(self.plan, prose, detail, self.call)
        for number, root in enumerate(self.roots):
            teller.entry(root, is_first=number == 0)
        left = self._left()
        self._ending(prose, left)
        is_value = left is not None and not self.plan.is_unwound(left) and self._entry != "<module>"
        return Narration(
            text=prose.text,
            sentences=prose.sentences,
            answer=left.frame.value if left is not None and is_value else None,
            detail=detail,
        )

    @property
    def _entry(self) -> str:
        header = self.trace.header if isinstance(self.trace, Trace) else {}
        return str(header.get("entry", ""))

    def _left(self) -> Node | None:
        """The `return` with which the entry point was left for good."""
        return self.roots[-1].left if self.roots else None

    def _ending(self, prose: Prose, left: Node | None) -> None:
        prose.pause()
        prose.frame = None
        name = Actions(self.plan, prose).name_of(self.roots[0]) if self.roots else None
        what = "the call" if name is None else f"the call of {name}"
        if self._entry == "<module>":
            what = "the program"
        elif self.call is not None:
            what = code(self.call)
        if left is None:
            prose.say(lambda: f"the execution was stopped here, before {what} came to its end.")
        elif self.plan.is_unwound(left):
            raised = left.level.nodes[-2]
            prose.say(
                lambda: f"nothing catches the exception, so {what} ends with {prose.value(raised)}.",
                lambda: f"so {what} does not return: it ends with {prose.value(raised)}.",
                lambda: f"{what} therefore fails with {prose.value(raised)}.",
            )
        elif self._entry == "<module>":
            prose.say(lambda: "the program has come to its end.", lambda: "with this, the program ends.")
        else:
            prose.say(
                lambda: f"so {what} returns {prose.value(left)}.",
                lambda: f"therefore the value of {what} is {prose.value(left)}.",
                lambda: f"the result of {what} is {prose.value(left)}.",
                lambda: f"in the end, {what} gives {prose.value(left)}.",
            )


class Teller:
    """Tells items one after the other; calls and loops decide here how much of them is told."""

    def __init__(self, plan: Plan, prose: Prose, detail: Detail, call: str | None) -> None:
        self.plan, self.prose, self.detail = plan, prose, detail
        self.actions = Actions(plan, prose)
        self._call = call
        self._depth = 0

    def entry(self, root: Activation, *, is_first: bool) -> None:
        prose, call = self.prose, self._call
        if call is not None and is_first:
            prose.say(
                lambda: f"let us follow {code(call)}.",
                lambda: f"the call is {code(call)}.",
                lambda: f"we evaluate {code(call)}.",
                lambda: f"{code(call)} is evaluated, step by step.",
            )
            for item in self.plan.items_of(root):
                if isinstance(item, Step):
                    self.callees(item, is_wrapper=True)
                    self._wrapper_exception(item)
            return
        if is_first and self.actions.name_of(root) is None:
            prose.say(lambda: "the program starts.", lambda: "the program runs from its first line.")
        else:
            self.actions.enter(root, None)
        self.items(self.plan.items_of(root))

    def _wrapper_exception(self, step: Step) -> None:
        """What a call raises that runs no recorded code, such as one with a missing argument."""
        raised = step.exception
        if raised is not None and not step.callees:
            self.prose.say(lambda: f"it raises {self.prose.value(raised)} at once.")

    def items(self, items: Sequence[Item]) -> None:
        for item in items:
            if isinstance(item, Loop):
                self.loop(item)
            else:
                self.step(item)

    def step(self, step: Step) -> None:
        told = False
        if not isinstance(step.statement, ast.ClassDef):
            told = self.callees(step)
        self.prose.frame = step.start.index
        self.actions.tell(step, is_back=told)

    # ---- calls

    def callees(self, step: Step, *, is_wrapper: bool = False) -> bool:
        """The calls that a step makes; whether any was told from inside."""
        any_inside = False
        over: list[Activation] = []
        for number, callee in enumerate(step.callees):
            deepest = DEEPEST if self.detail.depth is None else min(self.detail.depth, DEEPEST)
            is_inside = self._depth + (0 if is_wrapper else 1) <= deepest and self._is_worth_telling(callee)
            if not is_inside:
                over.append(callee)
                continue
            self.actions.step_over(over)
            over = []
            any_inside = True
            self.prose.pause()
            self.actions.enter(callee, None if is_wrapper else step, number)
            self._depth += 0 if is_wrapper else 1
            self.items(self.plan.items_of(callee))
            self._depth -= 0 if is_wrapper else 1
            self.prose.pause()
        self.actions.step_over(over)
        return any_inside

    def _is_worth_telling(self, callee: Activation) -> bool:
        """Lambdas and generator expressions that call nothing are told in a sentence."""
        return not self.plan.is_inline(callee) or any(node.callees for node in callee.nodes)

    # ---- loops

    def loop(self, loop: Loop) -> None:
        """Iterations one by one until they repeat themselves, those that bring nothing new together."""
        seen: dict[object, int] = {}
        skipped: list[int] = []
        shapes = [self.plan.shape(iteration) for iteration in loop.iterations]
        for number, (iteration, shape) in enumerate(zip(loop.iterations, shapes, strict=True)):
            is_dull = self.detail.iterations is not None and seen.get(shape, 0) >= self.detail.iterations
            if is_dull and self._end_of(loop, number) is not None:
                skipped.append(number)
                continue
            self._tell_skipped(loop, skipped, shapes)
            skipped = []
            seen[shape] = seen.get(shape, 0) + 1
            self.iteration(loop, number, iteration)
        self._tell_skipped(loop, skipped, shapes)
        if loop.exit is not None:
            self.callees(loop.exit)
            self.prose.frame = loop.exit.start.index
            self.actions.loop_exit(loop.exit, num_iterations=len(loop.iterations) + loop.is_begun)
        self.prose.pause()

    def iteration(self, loop: Loop, number: int, iteration: Sequence[Item]) -> None:
        head, body = iteration[0], iteration[1:]
        self.prose.pause()
        if not isinstance(head, Step) or head.statement is not loop.statement or not body:
            self.items(iteration)
            return
        self.callees(head)
        self.prose.frame = head.start.index
        self.actions.loop_head(head, number + loop.is_begun)
        self.items(body)

    def _end_of(self, loop: Loop, number: int) -> Node | None:
        """The frame that shows the state after an iteration: the next one's header, or the one that ends the loop."""
        later = loop.iterations[number + 1][0] if number + 1 < len(loop.iterations) else loop.exit
        return later.start if isinstance(later, Step) and later.statement is loop.statement else None

    def _tell_skipped(self, loop: Loop, numbers: Sequence[int], shapes: Sequence[object]) -> None:
        if len(numbers) < 2:
            for number in numbers:
                self.iteration(loop, number, loop.iterations[number])
            return
        prose, count = self.prose, len(numbers)
        before = shapes[numbers[0] - 1]
        is_same = all(shapes[number] == before for number in numbers)
        ends = [end for end in (self._end_of(loop, number) for number in numbers) if end is not None]
        assert len(ends) == count, f"{len(ends)} of {count} iterations end"
        prose.pause()
        prose.frame = None
        head = loop.iterations[numbers[0]][0]
        start = head.start if isinstance(head, Step) else ends[0]
        facts = self._course(loop, start, ends)
        rest: Callable[[], str] = facts or (lambda: "they change no variable")
        if is_same:
            prose.say(
                lambda: f"the next {count} iterations go the same way: {rest()}.",
                lambda: f"{count} more iterations follow that run the same lines: {rest()}.",
                lambda: f"this repeats {count} more times; {rest()}.",
            )
        else:
            prose.say(
                lambda: f"the next {count} iterations take ways that were seen above: {rest()}.",
                lambda: f"the {count} iterations after this bring nothing new: {rest()}.",
            )

    def _course(self, loop: Loop, start: Node, ends: Sequence[Node]) -> Callable[[], str] | None:
        """What the changed variables hold after each of these iterations, or after the last; None: none changed."""
        states = [node.frame.locals or {} for node in (start, *ends)]
        first = set(self.actions.bound_by_loop(loop))
        changed = [name for name in states[-1] if any(state.get(name) != states[-1][name] for state in states)]
        changed.sort(key=lambda name: name not in first)  # what the loop goes over, then what it does
        if not changed:
            return None

        def course(name: str) -> str:
            """All values of a variable, where they are few and short and differ; else `""`."""
            texts = [state.get(name) for state in states[1:]]
            fits = len(ends) <= MOST_LISTED and sum(len(text or "") for text in texts) <= MOST_LISTED_CHARS
            if not fits or None in texts or len(set(texts)) == 1:
                return ""
            return f"{code(name)} takes the values {listed([self.prose.value(end, name) for end in ends])}"

        def sentence() -> str:
            courses = {name: course(name) for name in changed}
            rest = [f"{code(name)} is {self.prose.value(ends[-1], name)}" for name in changed if not courses[name]]
            said = ["; ".join(text for text in courses.values() if text)] if any(courses.values()) else []
            return "; ".join([*said, *([f"after the last, {listed(rest)}"] if rest else [])])

        return sentence

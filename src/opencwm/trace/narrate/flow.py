"""What is said where control moves: calls, loops, exceptions, and how an activation is left."""

import ast
from collections.abc import Sequence

from opencwm.trace.layout import is_one_line
from opencwm.trace.narrate.parts import Parts, nothing
from opencwm.trace.narrate.prose import code, listed
from opencwm.trace.narrate.steps import Loop, Step
from opencwm.trace.tree import Activation, Node

FEW_ALIKE, MOST_ALIKE = 3, 8
"""Calls of one lambda from which on they share a sentence, and how many of them it tells."""
CALLING = (ast.Expr, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return)


class Flow(Parts):
    # ---- calls

    def enter(self, callee: Activation, step: Step | None, number: int = 0) -> None:
        """A call, or a generator's resumption, before what happens inside."""
        say, name, first = self.prose.say, self.name_of(callee), callee.nodes[0]
        quoted = None if step is None else self.quoted(step.statement)
        if self.plan.frames[first.index].cause == "resume":
            say(lambda: f"{name} goes on where it paused.", lambda: f"{name} is resumed.")
        elif step is None or number or quoted is None or not isinstance(step.statement, CALLING):
            say(lambda: f"{name} is called{self.given(first)}.", lambda: f"this calls {name}{self.given(first)}.")
        else:
            say(
                lambda: f"{code(quoted)} calls {name}{self.given(first)}.",
                lambda: f"to run {code(quoted)}, {name} is called{self.given(first)}.",
                lambda: f"at {code(quoted)}, {name} is entered{self.given(first)}.",
            )

    def step_over(self, callees: Sequence[Activation]) -> None:
        """Calls one after the other and what comes of them, without what happens inside; in one sentence where they
        all run the same lambda or generator expression."""
        same: list[Activation] = []
        for callee in callees:
            if same and not (self.plan.is_inline(callee) and self.name_of(callee) == self.name_of(same[0])):
                self._step_over_alike(same)
                same = []
            same.append(callee)
        self._step_over_alike(same)

    def _step_over_alike(self, callees: Sequence[Activation]) -> None:
        plan, value = self.plan, self.prose.value
        lefts = [callee.left for callee in callees]
        ended = [left for left in lefts if left is not None and not plan.is_unwound(left)]
        if len(callees) < FEW_ALIKE or len(ended) < len(lefts) or not plan.is_inline(callees[0]):
            for callee in callees:
                self._step_over(callee)
            return
        name = self.name_of(callees[0])
        yields = [left for left in ended if plan.frames[left.index].cause == "yield"]
        shown = yields if yields else ended
        rest = len(shown) - MOST_ALIKE
        if yields and len(yields) >= len(ended) - 1:
            more = f" and {rest} more" if rest > 0 else ""
            ends = "" if len(yields) == len(ended) else ", and ends"
            self.prose.say(
                lambda: f"{name} yields {listed([value(left) for left in shown[:MOST_ALIKE]])}{more}{ends}.",
                lambda: (
                    f"one after the other, {name} yields "
                    f"{listed([value(left) for left in shown[:MOST_ALIKE]])}{more}{ends}."
                ),
            )
            return
        first = callees[:MOST_ALIKE]
        more = f"; {rest} more calls of it follow" if rest > 0 else ""
        self.prose.say(
            lambda: (
                f"{name} returns "
                + listed(
                    [f"{value(left)}{self.given(each.nodes[0])}" for each, left in zip(first, ended, strict=False)]
                )
                + f"{more}."
            ),
        )

    def _step_over(self, callee: Activation) -> None:
        say, name, first, left = self.prose.say, self.name_of(callee), callee.nodes[0], callee.left
        value = self.prose.value
        cause = None if left is None else self.plan.frames[left.index].cause
        again = "goes on" if self.plan.frames[first.index].cause == "resume" else "is called"
        if left is None:
            say(lambda: f"{name} {again}{self.given(first)}.")
        elif self.plan.is_unwound(left):
            say(lambda: f"{name} {again}{self.given(first)} and raises {value(callee.nodes[-2])}.")
        elif cause == "yield":
            say(lambda: f"{name} {again}{self.given(first)} and yields {value(left)}.")
        elif cause == "await":
            say(lambda: f"{name} {again}{self.given(first)} and has to wait.")
        else:
            say(
                lambda: f"{name} {again}{self.given(first)} and returns {value(left)}.",
                lambda: f"{name} {again}{self.given(first)}, which gives {value(left)}.",
            )

    # ---- loops

    def loop_head(self, step: Step, number: int) -> None:
        """The header before an iteration."""
        if isinstance(step.statement, (ast.For, ast.AsyncFor)):
            self._for_head(step, step.statement, number)
        elif isinstance(step.statement, ast.While):
            self._while_head(step, step.statement, number)

    def _for_head(self, step: Step, statement: ast.For | ast.AsyncFor, number: int) -> None:
        say, bound = self.prose.say, self.bound(step, [statement.target])
        over = self.quoted(statement.iter)
        if not bound:
            say(lambda: "the loop begins." if number == 0 else "the next iteration begins.")
        elif number == 0 and over is not None:
            read = self.read(step, statement.iter) if isinstance(statement.iter, ast.Name) else nothing
            say(
                lambda: f"a loop over {code(over)} begins with {self.are(step, bound, '=')}{read('; ', '', 'is')}.",
                lambda: (
                    f"{read('since ', ', ', 'is')}the loop over {code(over)} starts with {self.are(step, bound, '=')}."
                ),
                lambda: f"{read('with ', ', ')}a loop goes over {code(over)}; first, {self.are(step, bound)}.",
            )
        else:
            say(
                lambda: f"next, {self.are(step, bound)}.",
                lambda: f"the next iteration has {self.are(step, bound, '=')}.",
                lambda: f"now {self.are(step, bound)}.",
                lambda: f"the loop goes on with {self.are(step, bound, '=')}.",
            )
        self.others(step, bound)

    def _while_head(self, step: Step, statement: ast.While, number: int) -> None:
        say = self.prose.say
        if isinstance(statement.test, ast.Constant):
            if number:
                say(lambda: "the loop goes round again.", lambda: "another round of the loop begins.")
            else:
                say(lambda: "a loop begins that only its body can end.", lambda: "an endless loop is entered.")
            return
        test, read = self.condition(statement.test), self.read(step, statement.test)
        say(
            lambda: f"{read('with ', ', ')}{test} is true, so the body of the loop runs{' again' if number else ''}.",
            lambda: f"{read('since ', ', ', 'is')}{test} holds and the loop {'goes on' if number else 'is entered'}.",
            lambda: f"{test} is true{read(' with ', '')}: the loop {'goes round again' if number else 'starts'}.",
        )
        self.others(step, [])

    def bound_by_loop(self, loop: Loop) -> list[str]:
        """The plain names that the header of a `for` binds."""
        target = getattr(loop.statement, "target", None)
        return [] if target is None else [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]

    def loop_exit(self, step: Step, *, num_iterations: int) -> None:
        """The header after which the body does not run, or no more."""
        say, statement = self.prose.say, step.statement
        if isinstance(statement, ast.While):
            test, read = self.condition(statement.test), self.read(step, statement.test)
            ends = "ends" if num_iterations else "does not start"
            say(
                lambda: f"{read('with ', ', ')}{test} is false, so the loop {ends}.",
                lambda: f"now {test} is false{read(' (', ')')}, and the loop {ends}.",
                lambda: f"{read('since ', ', ', 'is')}{test} does not hold, and the loop {ends}.",
            )
        elif num_iterations:
            say(
                lambda: "there is nothing left to go over, so the loop ends.",
                lambda: "that was the last one: the loop is over.",
                lambda: "the loop is done.",
            )
        elif isinstance(statement, (ast.For, ast.AsyncFor)):
            over = self.quoted(statement.iter)
            what = "this" if over is None else code(over)
            read = self.read(step, statement.iter)
            say(
                lambda: (
                    f"{read('with ', ', ')}there is nothing in {what} to go over, so the body of the loop never runs."
                )
            )
        self.leave(step)

    def condition(self, test: ast.expr) -> str:
        quoted = self.quoted(test)
        return "the condition" if quoted is None else code(quoted)

    # ---- exceptions, and the end

    def raised(self, step: Step) -> None:
        """An exception that a step raises, or that comes out of what it calls."""
        raised = step.exception
        assert raised is not None, "only a step with an exception is told here"
        say, value = self.prose.say, self.prose.value
        quoted = self.quoted(step.statement)
        at = self.line(step) if quoted is None else code(quoted)
        if self._passes_through(step):
            return  # `leave` tells it
        if any(callee.left is not None and self.plan.is_unwound(callee.left) for callee in step.callees):
            say(lambda: f"the exception arrives at {at}.", lambda: f"at {at}, {value(raised)} comes out.")
        elif isinstance(step.statement, ast.Raise):
            say(lambda: f"{at} raises {value(raised)}.", lambda: f"{value(raised)} is raised by {at}.")
        else:
            read = self.read(step, step.statement) if quoted is not None else nothing
            say(
                lambda: f"{read('with ', ', ')}{at} raises {value(raised)}.",
                lambda: f"{at} fails{read(' with ', '')}: it raises {value(raised)}.",
            )

    def _passes_through(self, step: Step) -> bool:
        """Whether an exception comes out of a call and leaves this one at once."""
        came = any(callee.left is not None and self.plan.is_unwound(callee.left) for callee in step.callees)
        return came and step.left is not None and self.plan.is_unwound(step.left)

    def is_pause(self, left: Node | None) -> bool:
        return left is not None and self.plan.frames[left.index].cause in ("yield", "await")

    def leave(self, step: Step) -> None:
        """How the activation is left at a step, if it is."""
        left, say, value = step.left, self.prose.say, self.prose.value
        name = self.name_of(step.start.level)
        if left is None or name is None:
            return
        if self.plan.is_unwound(left) and self._passes_through(step):
            at = self.line(step)
            say(
                lambda: f"at {at}, {name} does not catch it either.",
                lambda: f"it goes on through {at} and leaves {name}, too.",
                lambda: f"the exception arrives at {at} and leaves {name} as well.",
            )
        elif self.plan.is_unwound(left):
            say(
                lambda: f"nothing in {name} catches it, so it leaves {name}.",
                lambda: f"{name} does not catch it and is left.",
            )
        elif self.is_pause(left):
            read = nothing if step.is_resumed else self.read(step, step.statement)
            if self.plan.frames[left.index].cause == "await":
                say(lambda: f"{name} has to wait here.")
                return
            say(
                lambda: f"{read('with ', ', ')}{name} yields {value(left)} and pauses.",
                lambda: f"{name} yields {value(left)}{read(', as ', ',', 'is')} and pauses there.",
            )
        elif isinstance(step.statement, ast.Return) and step.statement.value is not None:
            self._returned(step, step.statement.value, left, name)
        elif isinstance(step.statement, ast.Return) or step.statement is None or is_one_line(step.statement):
            say(lambda: f"{name} returns {value(left)}.")
        else:
            say(
                lambda: f"{name} has come to its end and returns {value(left)}.",
                lambda: f"that was the last of {name}, which returns {value(left)}.",
            )

    def _returned(self, step: Step, expression: ast.expr, left: Node, name: str) -> None:
        say, value, source = self.prose.say, self.prose.value, self.quoted(expression)
        if any(self.name_of(callee) == name for callee in step.callees):
            first = step.start.level.nodes[0]
            say(
                lambda: f"so the call of {name}{self.given(first)} returns {value(left)}.",
                lambda: f"back in the call of {name}{self.given(first)}, {value(left)} is returned.",
            )
            return
        if source is None or isinstance(expression, ast.Constant) or step.callees:
            say(lambda: f"{name} returns {value(left)}.", lambda: f"so {name} returns {value(left)}.")
            return
        read = self.read(step, expression)
        if isinstance(expression, ast.Name):
            say(
                lambda: f"{name} returns {code(source)}, which is {value(left)}.",
                lambda: f"{name} gives back {code(source)}: {value(left)}.",
            )
            return
        say(
            lambda: f"{read('with ', ', ')}{name} returns {code(source)}, which is {value(left)}.",
            lambda: f"{name} returns {value(left)}, the value of {code(source)}{read(' with ', '')}.",
            lambda: f"{read('with ', ', ')}{code(source)} is {value(left)}, and {name} returns it.",
        )

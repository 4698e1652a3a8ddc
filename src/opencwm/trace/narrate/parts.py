"""Parts of sentences about a step: pieces of code, values read, values bound, names of functions."""

import ast
import re
from collections.abc import Callable, Iterator
from typing import Protocol

from opencwm.trace.layout import COMPOUND
from opencwm.trace.narrate.prose import Prose, code, listed
from opencwm.trace.narrate.steps import Plan, Step
from opencwm.trace.tree import Activation, Node

MOST_READ = 4
"""Variables that a statement reads whose values are repeated beside it; of more, none."""
MOST_READ_CHARS = 60
MOST_CODE_CHARS = 80
"""Of an expression that is quoted."""
_NAME = re.compile(r"\s*(?:async\s+)?(?:def|class)\s+(\w+)")
_NUMBER = re.compile(r"-?[\d.]+(e[-+]?\d+)?")
_OPAQUE = ("<function ", "<class ", "<module ", "<built-in ")
_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}

Text = Callable[[], str]
"""Written when it is asked for, so that only what is said counts as stated."""


class Phrase(Protocol):
    """The values that something reads, between two texts; `""` where there is nothing to add."""

    def __call__(self, before: str, after: str, verb: str = "=") -> str: ...


def nothing(before: str, after: str, verb: str = "=") -> str:
    return ""


class Parts:
    def __init__(self, plan: Plan, prose: Prose) -> None:
        self.plan = plan
        self.prose = prose

    def quoted(self, node: ast.AST | None) -> str | None:
        """An expression or a simple statement as one short line of code; None where it is none."""
        if not isinstance(node, (ast.expr, ast.stmt)) or isinstance(node, COMPOUND):
            return None
        text = self.plan.layout.text_of(node)
        return text if len(text) <= MOST_CODE_CHARS else None

    def line(self, step: Step) -> str:
        """The step's own line, in backticks."""
        text = step.start.frame.source_line.strip()
        return code(text) if 0 < len(text) <= MOST_CODE_CHARS else "this line"

    def name_of(self, activation: Activation) -> str | None:
        """The function's name, or what to call it; None for a module."""
        first = activation.nodes[0]
        found = _NAME.match(first.frame.source_line)
        if found is not None:
            statement = self.plan.layout.statement_of(self.plan.frames[first.index])
            name = None if statement is None else self.plan.layout.function_of(statement)
            return code(name or found.group(1))
        if self.plan.is_inline(activation):
            return "the lambda" if "lambda" in first.frame.source_line else "the generator expression"
        if self.plan.frames[first.index].cause == "resume":
            statement = self.plan.layout.statement_of(self.plan.frames[first.index])
            name = None if statement is None else self.plan.layout.function_of(statement)
            return "the generator" if name is None else code(name)
        return None if activation.caller is None else "the function"

    def given(self, first: Node) -> str:
        """The arguments of a call, as the end of a sentence."""
        names = list(first.frame.locals or {})
        if not names or self.plan.frames[first.index].cause == "resume":
            return ""
        return " with " + listed([f"{code(name)} = {self.prose.value(first, name)}" for name in names])

    def bound(self, step: Step, targets: list[ast.expr]) -> list[str]:
        """The plain names among the targets of an assignment, as far as they are bound afterwards."""
        names = [node.id for target in targets for node in _targets(target)]
        return [name for name in dict.fromkeys(names) if name in step.state_after]

    def are(self, step: Step, names: list[str], verb: str = "is") -> str:
        """`x` is 1 and `y` is 2, after the step."""
        assert step.after is not None, "there is no state after this step"
        return listed([f"{code(name)} {verb} {self.prose.value(step.after, name)}" for name in names])

    def become(self, step: Step, names: list[str]) -> str:
        """(makes) `x` 1 and `y` 2."""
        assert step.after is not None, "there is no state after this step"
        return listed([f"{code(name)} equal {self.prose.value(step.after, name)}" for name in names])

    def others(self, step: Step, told: list[str]) -> None:
        """Changes that the sentence before has not told."""
        rest = [name for name in step.changed if name not in told]
        if rest:
            self.prose.say(
                lambda: f"now {self.are(step, rest)}.", lambda: f"this also makes {self.become(step, rest)}."
            )

    def is_shown(self, node: Node, name: str) -> bool:
        """Whether a variable's value is worth repeating at a frame: there, short, and no function."""
        text = (node.frame.locals or {}).get(name)
        return text is not None and len(text) <= MOST_READ_CHARS and not text.startswith(_OPAQUE)

    def read(self, step: Step, node: ast.AST | None) -> Phrase:
        """The values of the variables that an expression reads, but for what was said a sentence ago.

        Names that the expression itself binds (a comprehension's) mean something else inside it.
        """
        if node is None:
            return nothing
        parts = list(ast.walk(node))
        own = {each.id for each in parts if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)}
        own |= {each.arg for each in parts if isinstance(each, ast.arg)}
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            own.discard(node.target.id)
        places = {each.id: (each.lineno, each.col_offset) for each in reversed(parts) if isinstance(each, ast.Name)}
        wanted = [
            name
            for name in sorted(places, key=places.__getitem__)
            if name not in own and self.is_shown(step.start, name) and not self.prose.was_just_stated(step.start, name)
        ]
        if not 0 < len(wanted) <= MOST_READ:
            return nothing

        def phrase(before: str, after: str, verb: str = "=") -> str:
            said = [f"{code(name)} {verb} {self.prose.value(step.start, name)}" for name in wanted]
            return before + listed(said) + after

        return phrase

    def arithmetic(self, step: Step, statement: ast.AugAssign, name: str) -> "tuple[Text, Text] | None":
        """`total += price` on numbers, as "adding `price` = 4 to `total` = 3" and "3 + 4"; None for anything else."""
        sign, operand = _SIGNS.get(type(statement.op)), statement.value
        start, value = step.start, self.prose.value
        if sign is None or not _NUMBER.fullmatch(step.before.get(name, "")):
            return None

        def short() -> str:
            return value(start, operand.id) if isinstance(operand, ast.Name) else code(ast.unparse(operand))

        if isinstance(operand, ast.Name):
            if operand.id == name or not _NUMBER.fullmatch(step.before.get(operand.id, "")):
                return None
        elif not isinstance(operand, ast.Constant) or type(operand.value) not in (int, float):
            return None

        def long() -> str:
            by = f"{code(operand.id)} = {short()}" if isinstance(operand, ast.Name) else short()
            old = f"{code(name)} = {value(start, name)}"
            verb = {
                "+": f"adding {by} to {old}",
                "-": f"subtracting {by} from {old}",
                "*": f"multiplying {old} by {by}",
            }
            return verb[sign]

        return long, lambda: f"{value(start, name)} {sign} {short()}"


def _targets(target: ast.expr) -> Iterator[ast.Name]:
    """The plain names that an assignment to this binds."""
    if isinstance(target, ast.Name):
        yield target
    elif isinstance(target, (ast.Tuple, ast.List)):
        for each in target.elts:
            yield from _targets(each)
    elif isinstance(target, ast.Starred):
        yield from _targets(target.value)

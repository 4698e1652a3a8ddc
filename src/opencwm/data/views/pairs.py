"""One trace as a pair of prompt and completion, for each view that needs no model.

    Trace --VIEWS[name](trace, asking)--> Pair(prompt, completion, answer), or Left(why there is none)

`prose` and `output` ask what a call returns, to be answered with and without steps; `input` asks for arguments that
give an output; `debugger` and `inverse` are trajectories through the trace. A question is asked only where its answer
can be checked: the output is a literal that was not cut.
"""

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from opencwm.data.record import program_of
from opencwm.data.views.questions import input_question, is_literal, output_question, output_question_in_words
from opencwm.errors import DataError
from opencwm.trace import debugger_view
from opencwm.trace.compare import why_excluded
from opencwm.trace.narrate import Detail, narrate
from opencwm.trace.recording.frame import Trace
from opencwm.trace.stream import START_MARKER, Special
from opencwm.trace.view import output_of, view

MAX_INPUT_CHARS = 400
"""Nobody finds longer arguments again."""
_DEFINED = re.compile(r"\s*(?:async\s+)?def\s+(\w+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """What a view may depend on besides the trace."""

    seed: int = 0
    """Other words, other actions."""
    max_chars: int | None = 6_000
    """Prose is told in less detail where it would be longer; trajectories that are longer are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    prompt: str
    completion: str
    answer: str | None = None
    """The value or call that the completion ends with, where it ends with one."""
    call: tuple[str, str, str] | None = None
    """(source, call, output) of which running it has to show that the call returns the output."""


@dataclass(frozen=True, slots=True)
class Left:
    """No pair comes of a trace."""

    reason: str


Question = tuple[Callable[[bool], str], str]
"""A prompt, with steps or without, and the output asked for."""


def question_of(trace: Trace) -> Question | Left:
    """What the trace's entry point returns, as a question."""
    left = output_of(view(trace).frames)
    if trace.outcome != "returned" or left is None or left[0] != "returned":
        return Left("did not return")
    if why_excluded(trace) is not None or not is_literal(left[1]):
        return Left("no literal output")
    source, call = program_of(trace)
    if call is not None:
        return lambda steps: output_question(source, call, steps=steps), left[1]
    entry = trace.frames[0]
    name = _DEFINED.match(entry.source_line)
    if name is None or entry.locals is None:
        return Left("not a call")
    function, arguments = name.group(1), list(entry.locals.set.items())
    code = source.replace(START_MARKER, "")
    return lambda steps: output_question_in_words(code, function, arguments, steps=steps), left[1]


def prose(trace: Trace, asking: Asking) -> Pair | Left:
    """What does the call return? Told step by step by our own narrator."""
    question = question_of(trace)
    if isinstance(question, Left):
        return question
    prompt, output = question
    told = narrate(trace, seed=asking.seed, detail=Detail(max_chars=asking.max_chars))
    return Pair(prompt=prompt(True), completion=f"{told.text}\n\nANSWER: {output}", answer=output)


def output(trace: Trace, asking: Asking) -> Pair | Left:
    """What does the call return? Said at once."""
    question = question_of(trace)
    if isinstance(question, Left):
        return question
    prompt, value = question
    return Pair(prompt=prompt(False), completion=f"ANSWER: {value}", answer=value)


def input(trace: Trace, asking: Asking) -> Pair | Left:
    """Which arguments give this output? The ones that did; `call` is to be run to see that they do so again."""
    question = question_of(trace)
    if isinstance(question, Left):
        return question
    source, call = program_of(trace)
    called = None if call is None else _literal_call(call)
    if call is None or called is None:
        return Left("not a call on literals")
    if len(call) > MAX_INPUT_CHARS:
        return Left("arguments too long")
    if "".join(call.split()) in "".join(source.split()):
        return Left("the program tells the call")
    value = question[1]
    prompt = input_question(source, called, value, steps=False)
    return Pair(prompt=prompt, completion=f"ANSWER: {call}", answer=call, call=(source, call, value))


def debugger(trace: Trace, asking: Asking) -> Pair | Left:
    """A debugger's way through the trace."""
    return _trajectory(trace, asking, "forward")


def inverse(trace: Trace, asking: Asking) -> Pair | Left:
    """A debugger's way back through one of the trace's calls."""
    return _trajectory(trace, asking, "inverse")


VIEWS: Mapping[str, Callable[[Trace, Asking], Pair | Left]] = {
    "prose": prose,
    "debugger": debugger,
    "inverse": inverse,
    "output": output,
    "input": input,
}


def _trajectory(trace: Trace, asking: Asking, direction: debugger_view.Direction) -> Pair | Left:
    trajectory = debugger_view.sample(trace, seed=asking.seed, direction=direction)
    if trajectory is None:
        return Left("no such trajectory")
    try:
        text = debugger_view.render(trajectory)
    except DataError:
        return Left("contains a special token")
    if asking.max_chars is not None and len(text) > asking.max_chars:
        return Left("too long")
    context, separator, rest = text.partition(Special.FRAME_SEP.value)
    return Pair(prompt=context + separator, completion=rest)


def _literal_call(call: str) -> str | None:
    """The function's name where the expression is a call of a name on literals, at least one; else None."""
    node = ast.parse(call.strip(), mode="eval").body
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return None
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    are_literal = all(is_literal(ast.unparse(each)) for each in arguments if not isinstance(each, ast.Starred))
    is_plain = arguments and not any(isinstance(each, ast.Starred) for each in arguments)
    return node.func.id if is_plain and are_literal else None

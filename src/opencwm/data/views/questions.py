"""Questions about executions in plain words, the form of their answers, and how answers are checked.

    program, call --output_question | input_question--> prompt          reply --answer_in--> text --is it right?

Used for training pairs, for narrations and by the evaluation (`evals/cruxeval.py`), so that a model is asked as it
was taught. The last line of a reply is `ANSWER: ` and a literal or a call, with or without steps before it.
Deviation from arXiv 2604.03253, whose items are `assert f(x) == ??` between bracketed tags: here they are prose.
"""

import ast
import re
from collections.abc import Sequence

from opencwm.data.record import record_many
from opencwm.trace.compare import values_equal
from opencwm.trace.recording.options import Options
from opencwm.trace.view import output_of, view

OUTPUT_FORM = "ANSWER: <the returned value as a Python literal>"
STEPS = (
    "Go through the execution line by line and keep track of every variable that changes. "
    "When you are done, end your reply with one line of exactly this form:"
)
NO_STEPS = "Reply with one line of exactly this form, and nothing else:"
_ANSWER = re.compile(r"ANSWER:[*`\s]*(.*)")


def output_question(code: str, call: str, *, steps: bool) -> str:
    """What does this call return?"""
    return _asked(code, f"What does `{call}` return?", OUTPUT_FORM, steps)


def output_question_in_words(code: str, function: str, arguments: Sequence[tuple[str, str]], *, steps: bool) -> str:
    """The same where the call is known by the values of its arguments."""
    given = " and ".join(f"`{name}` = `{text}`" for name, text in arguments)
    how = f" when it is called with {given}" if given else " when it is called"
    return _asked(code, f"What does `{function}` return{how}?", OUTPUT_FORM, steps)


def input_question(code: str, function: str, output: str, *, steps: bool) -> str:
    """Which arguments make this function return this value?"""
    task = f"Find arguments for which the call to `{function}` returns `{output}`. Any that work will do."
    return _asked(code, task, f"ANSWER: {function}(<the arguments>)", steps)


def _asked(code: str, task: str, form: str, steps: bool) -> str:
    code = code.strip("\n")
    return f"Here is a Python program.\n\n```python\n{code}\n```\n\n{task}\n\n{STEPS if steps else NO_STEPS}\n\n{form}"


def answer_in(reply: str) -> str | None:
    """What the last line of the asked form says; None where there is none."""
    found = _ANSWER.findall(reply)
    answer = found[-1].strip().strip("`*").strip() if found else ""
    return answer or None


def is_literal(text: str) -> bool:
    """Whether a value's text stands for exactly that value: a literal, and nothing was cut off it."""
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
    return True


def is_right_output(answer: str, truth: str) -> bool:
    """Whether two literals are equal in type and value."""
    return is_literal(answer) and is_literal(truth) and values_equal(truth, answer)


def returns(calls: Sequence[tuple[str, str, str]], *, trusted: bool = False) -> list[bool]:
    """For each (source, call, output): whether running the call in the sandbox returns that output. A call that is no
    expression, raises or does not end does not. Raises ConfigError where code that is not trusted cannot be isolated.
    """
    results = [False] * len(calls)
    asked = [(number, source, call) for number, (source, call, _) in enumerate(calls) if _is_expression(call)]
    options = Options(max_frames=100_000, max_value_chars=None, max_items=None, max_depth=None, timeout_s=2.0)
    programs = ((source, call) for _, source, call in asked)
    for (number, _, _), recorded in zip(asked, record_many(programs, options=options, trusted=trusted), strict=True):
        if recorded.trace is not None and recorded.trace.outcome == "returned":
            left = output_of(view(recorded.trace).frames)
            results[number] = left is not None and left[0] == "returned" and values_equal(calls[number][2], left[1])
    return results


def _is_expression(call: str) -> bool:
    try:
        ast.parse(call.strip(), mode="eval")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return "\n" not in call.strip()

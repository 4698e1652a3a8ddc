"""Traces told by a language model that has them before it, kept where the answer it ends with is right.

    trace --request_for--> Model --reply--> told --> Told(text, answer) | Left(why not)

The published recipe (CWM sec. 2.2; arXiv 2604.03253, app. A): a model that need not be good at executing code is given
the program, the call and what happened line by line, and explains it as if it had worked it out itself; what ends in
another output than the real one is thrown away, by comparing literals. Any model behind an OpenAI-compatible server
will do (the paper's: Qwen3-32B-FP8, not thinking). The prompt is our own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from opencwm.data.answers import THOUGHT
from opencwm.data.record import program_of
from opencwm.data.views.pairs import Left, Pair, question_of
from opencwm.data.views.questions import OUTPUT_FORM, answer_in, is_right_output
from opencwm.errors import ConfigError
from opencwm.protocols import Completion, Message, Model, Request
from opencwm.trace.recording.frame import Trace
from opencwm.trace.stream import START_MARKER, Stack, without_marker

SYSTEM = "You explain, step by step and exactly, what Python programs do when they run."
TASK = """\
Below are a Python program, a call, and notes of what happens when the call is run, line by line. Explain how the call \
comes to its result.

Tell the steps in their order with the concrete values: what is called with which arguments, which conditions hold, \
what each variable becomes. Iterations of a loop that are all alike may be told in one sentence. The program may have \
mistakes, and its names may promise something else than it does: tell what the notes say, even where that looks wrong, \
and do not suggest corrections. Write as somebody who works it out from the program alone: never mention the notes. \
Use no tags in angle brackets.

When you are done, end with one line of exactly this form:

"""
_TELLS = re.compile(r"\b(?:the|these|those|your) notes\b", re.IGNORECASE)
_TAG = re.compile(r"</?(?:code|local|global|output|explanation|think)>", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Narrating:
    """How a model is asked."""

    max_tokens: int = 4096
    """Of one explanation."""
    temperature: float = 0.7
    max_note_chars: int = 20_000
    """Traces with longer notes are not told."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("max_tokens", "max_note_chars"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")


def tell(model: Model, traces: Sequence[Trace], how: Narrating | None = None) -> list[Pair | Left]:
    """A pair for each trace, or why there is none. Raises ProviderError where the server answers nothing at all."""
    how = how or Narrating()
    asked: list[Request | Left] = [request_for(trace, how) for trace in traces]
    requests = [each for each in asked if isinstance(each, Request)]
    replies = iter(model.generate(requests) if requests else [])
    return [
        each if isinstance(each, Left) else told(trace, next(replies))
        for trace, each in zip(traces, asked, strict=True)
    ]


def request_for(trace: Trace, how: Narrating) -> Request | Left:
    question = question_of(trace)
    if isinstance(question, Left):
        return question
    notes = notes_of(trace)
    if len(notes) > how.max_note_chars:
        return Left("too long")
    source, call = program_of(trace)
    code = source.replace(START_MARKER, "").strip("\n")
    what = "" if call is None else f"The call: `{call}`\n\n"
    text = f"{TASK}{OUTPUT_FORM}\n\nThe program:\n\n```python\n{code}\n```\n\n{what}The notes:\n\n{notes}"
    prompt = (Message(role="system", content=SYSTEM), Message(role="user", content=text))
    return Request(prompt=prompt, max_tokens=how.max_tokens, temperature=how.temperature, seed=how.seed)


def told(trace: Trace, completion: Completion) -> Pair | Left:
    """The reply as a completion to the question, where it may be believed."""
    question = question_of(trace)
    assert not isinstance(question, Left), "only traces with a question are asked about"
    if completion.finish == "failed":
        return Left("server failed")
    if completion.finish == "length":
        return Left("cut off")
    reply = THOUGHT.sub("", completion.text).strip()
    answer = answer_in(reply)
    if answer is None:
        return Left("no answer")
    if not is_right_output(answer, question[1]):
        return Left("wrong answer")
    text = reply[: reply.rindex("ANSWER:")].rstrip(" \n*`")
    if not text:
        return Left("no explanation")
    if _TELLS.search(text) or _TAG.search(text):
        return Left("mentions what it was given")
    prompt, output = question
    return Pair(prompt=prompt(True), completion=f"{text}\n\nANSWER: {output}", answer=output)


def notes_of(trace: Trace) -> str:
    """The execution for a reader: each line as it is about to run, after the variables that are new or changed."""
    stack, lines = Stack(), []
    for frame in trace.frames:
        before = {} if frame.event == "call" else dict(stack.top)
        indent = "    " * frame.depth
        after = stack.apply(frame)
        code = without_marker(frame.source_line).strip()
        if frame.event in ("call", "line"):
            changed = [f"{name} = {text}" for name, text in after.items() if before.get(name) != text]
            gone = [f"{name} is gone" for name in before if name not in after]
            if frame.event == "call":
                lines.append(f"{indent}call {code}" + (f"   with {', '.join(changed)}" if changed else ""))
                continue
            lines += [f"{indent}    (now {', '.join(changed + gone)})"] if changed or gone else []
            lines.append(f"{indent}    {code}")
        elif frame.event == "exception":
            lines.append(f"{indent}    raises {frame.value}")
        else:
            how = {"unwind": "left by the exception", "yield": f"yields {frame.value}", "await": "waits"}
            lines.append(f"{indent}{how.get(frame.cause or '', f'returns {frame.value}')}")
    return "\n".join(lines)

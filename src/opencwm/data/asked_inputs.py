"""Inputs that a model thinks of: calls of a function, asked for by its source.

    source, "f" --prompt--> Model --lines of its answer--> "f([1, 2], key='a')" ... those that are literal calls

The precursor of CWM had an 8B model write unit tests (arXiv 2503.05703); the paper has a 70B model write inputs (CWM
sec. 2.2). Nothing of an answer is run here: a line counts if it parses as a call of this function, or of a method of
this class on an object made in place, with literals only.
"""

import ast
from collections.abc import Sequence

from opencwm.data.answers import code_blocks
from opencwm.data.literal_calls import MAX_CALL_CHARS, is_literal
from opencwm.protocols import Message, Model, Request

SYSTEM = "You write inputs that show what a Python function does."
ASK = """\
```python
{source}```

Write {count} calls of `{name}`, one per line, in one block of code, without anything else. Use only literal arguments
(numbers, strings, lists, dicts and the like). Together they should run every line and every branch, with small and
varied values, also at the edges; one or two may raise an exception."""
MAX_TOKENS = 1024

Asked = tuple[str, str]
"""A source and the name of its function or class."""


def ask_for_calls(asked: Sequence[Asked], model: Model, *, count: int, seed: int = 0) -> list[list[str]]:
    """For each function, at most `count` calls; none where the answer holds none. Raises ProviderError where the server
    answers nothing."""
    requests = [
        Request(prompt=_prompt(source, name, count), max_tokens=MAX_TOKENS, temperature=0.7, top_p=0.95, seed=seed)
        for source, name in asked
    ]
    completions = model.generate(requests)
    return [calls_in(each.text, name)[:count] for each, (_, name) in zip(completions, asked, strict=True)]


def _prompt(source: str, name: str, count: int) -> tuple[Message, ...]:
    content = ASK.format(source=source, name=name, count=count)
    return (Message(role="system", content=SYSTEM), Message(role="user", content=content))


def calls_in(answer: str, name: str) -> list[str]:
    """The literal calls of `name` among the lines of an answer, as `ast.unparse` writes them."""
    lines = "\n".join(code_blocks(answer) or [answer]).splitlines()
    found = [call for line in lines if (call := _call(line.strip(), name)) is not None]
    return list(dict.fromkeys(found))


def _call(line: str, name: str) -> str | None:
    try:
        node = ast.parse(line, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    calls = [node, node.func.value] if is_method else [node]  # type: ignore[attr-defined]
    arguments: list[ast.expr] = []
    for call in calls:
        if not isinstance(call, ast.Call) or any(each.arg is None for each in call.keywords):
            return None
        arguments += [*call.args, *(each.value for each in call.keywords)]
        function = call.func
    if not isinstance(function, ast.Name) or function.id != name:
        return None
    if not arguments or not all(map(is_literal, arguments)):
        return None
    text = ast.unparse(node)
    return text if len(text) <= MAX_CALL_CHARS else None

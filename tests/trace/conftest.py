"""What the tests of the stream share: a trained tokenizer, arbitrary traces, the worked example of the trace format."""

import json
from typing import Any

import pytest
from half_program import TRACED
from hypothesis import strategies as st

from opencwm.tokenizer import Tokenizer
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.stream import ANY_SPECIAL, Special, Stack, without_marker

MARKUP = [special.value for special in Special]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda text: not ANY_SPECIAL.search(text))
TEXT_LIKE_MARKUP = st.lists(st.one_of(TEXT, st.sampled_from([*MARKUP, "..", '"', "\\", "\n"])), max_size=4).map("".join)


def frames_of(data: st.DataObject, text: st.SearchStrategy[str]) -> list[Frame]:
    """Frames in any order, a recorder's or not, with locals written as changes."""
    value = text.filter(lambda value: value != "..")
    line = text.map(lambda line: line.replace("\n", "").replace("\r", ""))
    name = st.one_of(st.sampled_from(["x", "xs", "total"]), text)
    stack, frames = Stack(), []
    for event in data.draw(st.lists(st.sampled_from(["call", "line", "line", "line", "return", "exception"]))):
        depth = stack.depth + (event == "call" and stack.is_open)
        shown, names = stack.top, None
        if event in ("call", "line"):
            changed = data.draw(st.dictionaries(name, value, max_size=3))
            kept = [] if event == "call" else data.draw(st.lists(st.sampled_from(sorted(shown)))) if shown else []
            removed = () if event == "call" else tuple(n for n in shown if n not in kept and n not in changed)
            bound = list(dict.fromkeys([*kept, *changed]))
            order = tuple(data.draw(st.permutations(bound))) if data.draw(st.booleans()) else None
            names = Locals(changed, removed, order)
        frame = Frame(
            event,
            depth,
            "a.py",
            data.draw(st.integers(1, 99)),
            data.draw(line),
            locals=names,
            value=None if names else data.draw(value),
        )
        stack.apply(frame)
        frames.append(frame)
    return frames


@st.composite
def traces(draw: st.DrawFn, text: st.SearchStrategy[str]) -> Trace:
    header = {"context": draw(text), "outcome": draw(st.sampled_from(["returned", "raised", "budget", "exit"]))}
    return Trace(header, frames_of(draw(st.data()), text))


@pytest.fixture(scope="session")
def plain_traces() -> st.SearchStrategy[Trace]:
    """Arbitrary traces that have a text form."""
    return traces(TEXT)


@pytest.fixture(scope="session")
def any_traces() -> st.SearchStrategy[Trace]:
    """Arbitrary traces, with texts that look like special tokens."""
    return traces(TEXT_LIKE_MARKUP)


@pytest.fixture(scope="session")
def tokenizer(example_text: str) -> Tokenizer:
    return Tokenizer.train([example_text], 500)


LINES = [without_marker(line) for line in TRACED.split("\n")]  # the first is the context's newline: indices are line_no
HALF_FRAMES: list[tuple[Any, ...]] = [
    ("call", "def main():", {}),
    ("line", "    return g([3, 4])", {}),
    ("call", "def g(xs):", {"xs": "[3, 4]"}),
    ("line", "    out = []", {"xs": ".."}),
    ("line", "    for x in xs:", {"xs": "..", "out": "[]"}),
    ("line", "        try:", {"xs": "..", "out": "..", "x": "3"}),
    ("line", "            out.append(half(x))", {"xs": "..", "out": "..", "x": ".."}),
    ("call", "def half(n):", {"n": "3"}),
    ("line", "    if n % 2:", {"n": ".."}),
    ("line", '        raise ValueError("odd")', {"n": ".."}),
    ("exception", '        raise ValueError("odd")', "ValueError('odd')"),
    ("return", '        raise ValueError("odd")', "None"),
    ("exception", "            out.append(half(x))", "ValueError('odd')"),
    ("line", "        except ValueError as e:", {"xs": "[3, 4]", "out": "[]", "x": "3"}),
    ("line", "            out.append(None)", {"xs": "..", "out": "..", "x": "..", "e": "ValueError('odd')"}),
    ("line", "    for x in xs:", {"xs": "..", "out": "[None]", "x": ".."}),
    ("line", "        try:", {"xs": "..", "out": "..", "x": "4"}),
    ("line", "            out.append(half(x))", {"xs": "..", "out": "..", "x": ".."}),
    ("call", "def half(n):", {"n": "4"}),
    ("line", "    if n % 2:", {"n": ".."}),
    ("line", "    return n // 2", {"n": ".."}),
    ("return", "    return n // 2", "2"),
    ("line", "    for x in xs:", {"xs": "[3, 4]", "out": "[None, 2]", "x": "4"}),
    ("line", "    return [y for y in out if y]", {"xs": "..", "out": "..", "x": ".."}),
    ("return", "    return [y for y in out if y]", "[2]"),
    ("return", "    return g([3, 4])", "[2]"),
]


@pytest.fixture(scope="session")
def example_text() -> str:
    """The stream of the worked example, written out from the trace format."""
    out = ["<|begin_of_text|><|trace_context_start|>", TRACED, "<|frame_sep|>"]
    for event, line, shown in HALF_FRAMES:
        field = json.dumps(shown)
        names = f"{field}<|action_sep|>" if isinstance(shown, dict) else "<|action_sep|>"
        value = "" if isinstance(shown, dict) else f"<|arg_sep|>{field}"
        out.append(f"<|{event}_sep|>{names}{line}\n{value}<|frame_sep|>")
    return "".join(out) + "<|end_of_text|>"


@pytest.fixture(scope="session")
def example() -> Trace:
    """The worked example as a recorder writes it: only what changed, and what disappeared."""
    frames, depth = [], -1
    for i, (event, line, shown) in enumerate(HALF_FRAMES):
        depth += event == "call"
        line_no = LINES.index(line)
        if isinstance(shown, dict):
            changed = {name: text for name, text in shown.items() if text != ".."}
            names = Locals(changed, ("e",) if i == 15 else ())
            frames.append(Frame(event, depth, "half.py", line_no, line, locals=names))
        else:
            frames.append(Frame(event, depth, "half.py", line_no, line, value=shown))
        depth -= event == "return"
    return Trace({"format": 1, "context": TRACED, "outcome": "returned"}, frames)

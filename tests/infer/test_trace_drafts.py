import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opencwm.evals.traces import load_traces
from opencwm.infer.drafts import Drafter
from opencwm.infer.engine import Engine
from opencwm.infer.grammar import TraceGrammar
from opencwm.infer.resolve import NANO
from opencwm.infer.trace_drafts import TraceDrafter, drafter_of
from opencwm.protocols import Request
from opencwm.recipes.nano import HELDOUT
from opencwm.tokenizer import Tokenizer
from opencwm.trace.recording.recorder import record_source
from opencwm.trace.tokens import render_frames

SOURCE = """\
def double(n):
    return n + n

def f(xs, text):
    out = []
    total = 0
    for x in xs:
        y = double(x)
        if y > 4:
            total += y
        out.append(y)
    word = text
    return total
"""


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.load(NANO)


@pytest.fixture(scope="module")
def item(tokenizer):
    return render_frames(record_source(SOURCE, call="f([1, 4, 7], 'ab')"), tokenizer)


def drafted(tokenizer, item, end: str, *, time: int = 1) -> tuple[str, str]:
    """What is drafted after the `time`th `end` in the frames, and what really comes, as far."""
    start = item.context_end
    ends = [at for at in range(start, len(item.ids)) if tokenizer.decode(item.ids[start:at]).endswith(end)]
    at = ends[time - 1]
    draft = TraceDrafter(item.ids[:at], tokenizer).draft(200)
    return tokenizer.decode(draft), tokenizer.decode(item.ids[at : at + len(draft)])


@pytest.mark.parametrize(
    ("end", "time", "told"),
    [
        # names and values of a call: literals of the caller's line; then the next line, with all as it was
        ("<|call_sep|>", 2, '{"xs": "[1, 4, 7]", "text": "\'ab\'"}<|action_sep|>def f(xs, text):\n<|frame_sep|>'),
        ("def f(xs, text):\n", 1, '<|frame_sep|><|line_sep|>{"xs": "..", "text": ".."}<|action_sep|>    out = []\n'),
        # what a line binds
        ("    total = 0\n", 1, '<|frame_sep|><|line_sep|>{"xs": "..", "text": "..", "out": "..", "total": "0"}'),
        (
            "    for x in xs:\n",
            1,
            '"total": "..", "x": "1"}<|action_sep|>        y = double(x)\n<|frame_sep|><|call_sep|>',
        ),
        # after the callee everything in full, with what it returned
        (
            '<|arg_sep|>"2"',
            1,
            '<|frame_sep|><|line_sep|>{"xs": "[1, 4, 7]", "text": "\'ab\'", "out": "[]", "total": "0",',
        ),
        ('<|arg_sep|>"2"', 1, '"x": "1", "y": "2"}<|action_sep|>        if y > 4:\n'),
        ("            total += y\n", 1, '"total": "8", "x": "..", "y": ".."}<|action_sep|>        out.append(y)\n'),
        ("        out.append(y)\n", 2, '"out": "[2, 8]"'),
        # the loop is over, the block of the `if` is not, the function returns
        ('"x": "7", "y": "14"}<|action_sep|>', 1, "        if y > 4:\n<|frame_sep|>"),
        ("    word = text\n", 1, '"word": "\'ab\'"}<|action_sep|>    return total\n<|frame_sep|><|return_sep|>'),
        ("    return total\n", 2, '<|arg_sep|>"22"<|frame_sep|><|return_sep|>'),
    ],
)
def test_what_can_be_told_is_drafted(tokenizer, item, end, time, told):
    draft, truth = drafted(tokenizer, item, end, time=time)
    assert told in draft
    assert told in truth


def test_a_value_that_cannot_be_told_ends_the_draft_and_what_is_after_it_is_drafted_again(tokenizer):
    source = "def f(n):\n    a = 1\n    b = n * n\n    return b\n"
    item = render_frames(record_source(source, call="f(6)"), tokenizer)
    draft, truth = drafted(tokenizer, item, "    b = n * n\n")
    assert draft == '<|frame_sep|><|line_sep|>{"n": "..", "a": "..", "b": "'
    assert truth == draft
    draft, _ = drafted(tokenizer, item, '"b": "36"}')
    assert draft.startswith("<|action_sep|>    return b\n<|frame_sep|><|return_sep|><|action_sep|>    return b\n")


def test_a_line_that_was_not_expected_is_found_by_its_beginning(tokenizer, item):
    draft, truth = drafted(tokenizer, item, '"x": "..", "y": ".."}<|action_sep|>        out')
    assert draft.startswith(".append(y)\n<|frame_sep|>")
    assert truth.startswith(".append(y)\n<|frame_sep|>")


def test_growing_is_the_same_as_starting_whole(tokenizer, item):
    grown = TraceDrafter(item.ids[: item.context_end], tokenizer)
    for at in range(item.context_end, len(item.ids), 7):
        assert grown.draft(12) == TraceDrafter(item.ids[:at], tokenizer).draft(12)
        grown.extend(item.ids[at : at + 7])


def test_only_traces_are_read_as_traces(tokenizer, item):
    assert type(drafter_of(item.ids, tokenizer)) is TraceDrafter
    assert type(drafter_of(item.ids, None)) is Drafter
    assert type(drafter_of(tokenizer.encode(SOURCE), tokenizer)) is Drafter


@settings(max_examples=30)
@given(data=st.data())
def test_any_tokens_are_read(tokenizer, item, data):
    """Pieces of a trace in any order, and any tokens between them."""
    size, special = len(item.ids), sorted(tokenizer.special.values())
    piece = st.tuples(st.integers(0, size), st.integers(1, 40)).map(lambda at: item.ids[at[0] : at[0] + at[1]])
    token = st.one_of(st.integers(0, tokenizer.vocab_size - 1), st.sampled_from(special)).map(lambda token: [token])
    pieces = data.draw(st.lists(st.one_of(piece, token), max_size=12))
    drafter = TraceDrafter(item.ids[: data.draw(st.sampled_from([2, item.context_end]))], tokenizer)
    for tokens in pieces:
        drafter.extend(tokens)
        draft = drafter.draft(9)
        assert len(draft) <= 9
        assert all(0 <= token < tokenizer.vocab_size for token in draft)


@pytest.mark.parametrize(
    "line",
    [
        "for i in range(10 ** 99):",
        "for i in range(0, 9, 0):",
        "x = y[z]",
        "x += 1",
        "def (",
        "x = " + "(" * 3000,
        "x = 1e999",
    ],
)
def test_odd_lines_are_read(tokenizer, line):
    special = tokenizer.special
    tokens = [special["trace_context_start"], *tokenizer.encode(f"\ndef f():\n    {line}\n"), special["frame_sep"]]
    for event, values in (("call_sep", "{}"), ("line_sep", '{"y": "[1]", "z": "5"}'), ("line_sep", '{"x": ".."}')):
        tokens += [special[event], *tokenizer.encode(values), special["action_sep"]]
        tokens += [*tokenizer.encode(f"    {line}\n"), special["frame_sep"]]
    drafter = TraceDrafter(tokens, tokenizer)
    drafter.extend([special["line_sep"]])
    assert len(drafter.draft(30)) <= 30


@pytest.mark.parametrize("has_grammar", [False, True])
def test_greedy_output_is_that_without_drafts(has_grammar):
    traces = [trace for trace in load_traces(HELDOUT, limit=40, seed=1) if len(trace.frames) < 40][:2]
    engines = [Engine.load(NANO, dtype=torch.float32, threads=1) for _ in range(2)]
    engines[0].num_drafted = 0
    tokenizer = engines[0].tokenizer
    requests = []
    for trace in traces:
        item = render_frames(trace, tokenizer)
        begun = item.ids[: item.frame_starts[1]]
        grammar = TraceGrammar(trace.context, tokenizer, prefix=begun[item.context_end :]) if has_grammar else None
        requests.append(Request(prompt=tuple(begun), max_tokens=50, grammar=grammar))
    plain, drafting = (engine.generate(requests) for engine in engines)
    assert [made.tokens for made in drafting] == [made.tokens for made in plain]

"""Each view of one trace, and why there is none."""

import pytest

from opencwm.data.record import program_of
from opencwm.data.views.pairs import VIEWS, Asking, Left, Pair
from opencwm.data.views.questions import answer_in, is_right_output, returns
from opencwm.trace import debugger_view
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.view import output_of, view

ASKING = Asking()


def made(traces, name, asking=ASKING):
    return [VIEWS[name](trace, asking) for trace in traces]


def test_a_call_and_its_output(traces):
    double = traces[0]
    assert VIEWS["output"](double, ASKING).completion == "ANSWER: [3, 4, 3, 4]"
    assert VIEWS["input"](double, ASKING).completion == "ANSWER: double([3, 4])"
    assert "double([3, 4])" not in VIEWS["input"](double, ASKING).prompt
    prose = VIEWS["prose"](double, ASKING)
    assert prose.prompt != VIEWS["output"](double, ASKING).prompt
    assert "`y`" in prose.completion
    assert answer_in(prose.completion) == prose.answer == "[3, 4, 3, 4]"


def test_answers_are_the_real_ones(traces):
    for name in ("prose", "output"):
        for trace, pair in zip(traces, made(traces, name), strict=True):
            kind, value = output_of(view(trace).frames)
            if isinstance(pair, Pair):
                assert kind == "returned"
                assert is_right_output(answer_in(pair.completion), value)


def test_inputs_give_the_output_they_are_asked_for(traces):
    pairs = [pair for pair in made(traces[:1] + traces[3:], "input") if isinstance(pair, Pair)]
    assert len(pairs) > 8
    calls = [(pair.call[0], answer_in(pair.completion), pair.call[2]) for pair in pairs]
    assert all(returns(calls, trusted=True))
    assert all(f"returns `{pair.call[2]}`" in pair.prompt for pair in pairs)


def test_trajectories_can_be_read(traces):
    for name in ("debugger", "inverse"):
        pairs = [pair for pair in made(traces, name) if isinstance(pair, Pair)]
        assert len(pairs) > 10
        for pair in pairs:
            assert debugger_view.parse(pair.prompt + pair.completion).error is None
            assert pair.prompt.endswith("<|frame_sep|>")


def test_another_seed_another_telling(traces):
    for name in ("prose", "debugger"):
        texts = {VIEWS[name](traces[5], Asking(seed=seed)).completion for seed in range(4)}
        assert len(texts) > 1
    assert VIEWS["prose"](traces[5], ASKING) == VIEWS["prose"](traces[5], ASKING)


def test_length_is_bounded(traces):
    short = Asking(max_chars=400)
    longest = max(traces, key=lambda trace: len(trace.frames))
    assert len(VIEWS["prose"](longest, short).completion) < len(VIEWS["prose"](longest, ASKING).completion)
    assert "too long" in {pair.reason for pair in made(traces, "debugger", short) if isinstance(pair, Left)}


@pytest.mark.parametrize(
    ("number", "view_name", "reason"),
    [
        (1, "prose", "did not return"),
        (1, "input", "did not return"),
        (2, "output", "no literal output"),
        (2, "prose", "no literal output"),
    ],
)
def test_what_cannot_be_checked_is_not_asked(traces, number, view_name, reason):
    assert VIEWS[view_name](traces[number], ASKING) == Left(reason)


def trace_of(context, frames, **header):
    return Trace({"format": 1, "context": context, "outcome": "returned", **header}, frames)


def called(source, call, value, name="f"):
    return trace_of(
        f"\n{source}\ndef main():  # << START_OF_TRACE\n    return {call}\n",
        [
            Frame("call", 0, "a.py", 1, "def main():", locals=Locals({})),
            Frame("return", 0, "a.py", 2, f"    return {call}", value=value),
        ],
    )


@pytest.mark.parametrize(
    ("source", "call", "reason"),
    [
        ("def f(a):\n    return a\n", "f(1) + 1", "not a call on literals"),
        ("def f(a=1):\n    return a\n", "f()", "not a call on literals"),
        ("def f(*a):\n    return a\n", "f(*[1])", "not a call on literals"),
        ("def f(a):\n    '''\n    >>> f( 1 )\n    '''\n", "f(1)", "the program tells the call"),
        ("def f(a):\n    return 1\n", f"f({'a' * 3000!r})", "arguments too long"),
    ],
)
def test_inputs_that_are_no_riddle_are_left_out(source, call, reason):
    assert VIEWS["input"](called(source, call, "1"), ASKING) == Left(reason)


def test_a_cut_value_is_no_answer():
    trace = called("def f(a):\n    return a\n", "f(1)", "1")
    trace.header["truncated"] = {"values": 1, "frames": False}
    assert VIEWS["output"](trace, ASKING) == Left("no literal output")


def test_a_function_level_trace_is_asked_about_in_words():
    frames = [
        Frame("call", 0, "a.py", 1, "def f(a, b):", locals=Locals({"a": "3", "b": "'x'"})),
        Frame("line", 0, "a.py", 2, "    return b * a", locals=Locals({})),
        Frame("return", 0, "a.py", 2, "    return b * a", value="'xxx'"),
    ]
    trace = trace_of("\ndef f(a, b):  # << START_OF_TRACE\n    return b * a\n", frames, entry="f")
    assert program_of(trace)[1] is None
    pair = VIEWS["prose"](trace, ASKING)
    assert "What does `f` return when it is called with `a` = `3` and `b` = `'x'`?" in pair.prompt
    assert "START_OF_TRACE" not in pair.prompt
    assert pair.answer == "'xxx'"
    assert VIEWS["input"](trace, ASKING) == Left("not a call on literals")


def test_what_looks_like_a_special_token_is_no_trajectory():
    trace = called("def f(a):\n    return a\n", "f('<|src_sep|>')", "'<|src_sep|>'")
    assert VIEWS["debugger"](trace, ASKING) == Left("contains a special token")

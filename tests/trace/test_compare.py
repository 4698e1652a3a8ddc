import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencwm.trace import compare as module
from opencwm.trace.compare import (
    METRICS,
    Outcome,
    compare,
    compare_frames,
    copy_baseline,
    frame_equal,
    length_of,
    outputs_equal,
    summarize,
    summarize_by_length,
    values_equal,
)
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.stream import ParseError
from opencwm.trace.text import parse_text, render_text
from opencwm.trace.view import FrameView, view


def frame(
    event: str, line: str = "x", *, value: str | None = None, removed: tuple[str, ...] = (), **names: str
) -> Frame:
    return Frame(event, 0, "a.py", 1, line, locals=None if value is not None else Locals(names, removed), value=value)


def trace(*frames: Frame, outcome: str = "returned", **header: object) -> Trace:
    return Trace({"context": "\nx\n", "outcome": outcome, **header}, list(frames))


TRUTH = (frame("call", x="1"), frame("line", y="[1, 2]"), frame("line", "z"), frame("return", "z", value="[3]"))


def replaced(index: int, *others: Frame) -> Trace:
    return trace(*TRUTH[:index], *others, *TRUTH[index + 1 :])


def test_the_truth_compared_with_its_own_stream_is_right(example, example_text):
    result = compare(example, parse_text(example_text))
    assert result.outcome is Outcome.RIGHT
    assert {getattr(result, name) for name in METRICS} == {1.0}
    assert (result.excluded, result.first_divergence, result.num_frames) == (None, None, 26)


WRONG = {
    "a value": (
        replaced(1, frame("line", y="[1, 3]")),
        {"state_exact": 1 / 3, "key_match": 1, "key_value_match": 5 / 9, "frame_exact": 0.5},
    ),
    "a name": (
        replaced(1, frame("line", w="[1, 2]")),
        {"state_exact": 1 / 3, "key_match": 5 / 9, "key_value_match": 5 / 9},
    ),
    "a line": (replaced(2, frame("line", "w")), {"action_exact": 0.75, "frame_exact": 0.75, "state_exact": 1.0}),
    "an event": (
        replaced(2, frame("return", "z", value="1")),
        {"state_exact": 2 / 3, "key_match": 2 / 3, "action_exact": 1.0},
    ),
    "the output": (
        replaced(3, frame("return", "z", value="[4]")),
        {"output_exact": 0, "frame_exact": 0.75, "state_exact": 1},
    ),
    "one missing": (
        trace(*TRUTH[:3]),
        {"action_exact": 0.75, "frame_exact": 0.75, "output_exact": 0, "state_exact": 1},
    ),
    "one more": (
        trace(*TRUTH, frame("line")),
        {"action_exact": 0.8, "frame_exact": 0.8, "output_exact": 1, "state_exact": 0.75},
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_kind_of_mistake_shows_in_its_metrics(case):
    predicted, expected = WRONG[case]
    result = compare(trace(*TRUTH), predicted)
    assert {name: getattr(result, name) for name in expected} == pytest.approx(expected)
    assert (result.outcome, result.trace_exact) == (Outcome.WRONG, False)
    assert (result.valid_format, result.valid_json) == (True, 1.0)


def test_changed_frames_are_measured_apart():
    result = compare(trace(*TRUTH), replaced(2, frame("line", "w")))
    assert (result.frame_exact_changed, result.frame_exact) == (1.0, 0.75)
    result = compare(trace(*TRUTH), replaced(0, frame("call", x="2")))
    assert result.frame_exact_changed == 0.0
    assert compare(trace(frame("call")), trace(frame("call"))).frame_exact_changed is None


def test_given_frames_are_not_scored():
    result = compare(trace(*TRUTH), replaced(0, frame("call", "w", x="1")), given=1)
    assert (result.action_exact, result.trace_exact, result.outcome) == (1.0, True, Outcome.RIGHT)
    assert result.first_divergence == 0


def test_states_are_compared_resolved_and_names_as_sets():
    truth = trace(frame("call", a="1", b="2"), frame("line"))
    shown_again = trace(frame("call", b="2", a="1"), frame("line", b="2", a="1"))
    assert compare(truth, shown_again).trace_exact


@pytest.mark.parametrize(
    ("stream", "outcome", "valid_format", "valid_json"),
    [
        ("<|end_of_text|>", Outcome.WRONG, True, 1.0),
        ("", Outcome.BUDGET, False, 1.0),
        ('<|line_sep|>{"x": ', Outcome.BUDGET, False, 1.0),
        ('<|line_sep|>{"x": <|action_sep|>', Outcome.MALFORMED, False, 0.5),
        ("<|line_sep|>{}<|frame_sep|>", Outcome.MALFORMED, False, 1.0),
        ("<|end_of_text|>x", Outcome.MALFORMED, False, 1.0),
    ],
)
def test_wrong_malformed_and_over_budget_are_told_apart(stream, outcome, valid_format, valid_json):
    text = render_text(trace(frame("call", x="1"), outcome="budget"))
    result = compare(trace(*TRUTH), parse_text(text + stream))
    assert (result.outcome, result.valid_format, result.valid_json) == (outcome, valid_format, valid_json)
    assert result.frames_right == (True, False, False, False)


def test_the_right_frames_without_an_end_are_not_the_trace():
    text = render_text(trace(*TRUTH)).removesuffix("<|end_of_text|>")
    result = compare(trace(*TRUTH), parse_text(text))
    assert (result.frame_exact, result.trace_exact, result.outcome) == (1.0, False, Outcome.BUDGET)


@pytest.mark.parametrize(
    ("truth", "reason"),
    [
        (trace(*TRUTH, truncated={"values": 0, "frames": False}), None),
        (trace(*TRUTH, truncated={"values": 2, "frames": False}), "cut values"),
        (trace(*TRUTH, truncated={"values": 0, "frames": True}), "cut frames"),
        (trace(*TRUTH, outcome="budget"), "budget"),
        (parse_text(render_text(trace(*TRUTH))), None),
        (parse_text(render_text(trace(*TRUTH, outcome="budget"))), "unfinished"),
    ],
)
def test_a_cut_truth_is_excluded(truth, reason):
    result = compare(truth, trace(*TRUTH))
    assert result.excluded == reason
    summary = summarize([result])
    assert dict(summary.excluded) == ({} if reason is None else {reason: 1})
    assert sum(summary.outcomes.values()) == (reason is None)
    assert bool(summary.metrics) == (reason is None)


EQUAL = [
    ("1", "1"),
    ("[1,2]", "[1, 2]"),
    ("{1, 2}", "{2, 1}"),
    ("'a'", '"a"'),
    ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
]
EQUAL += [("0.10", "0.1"), ("<A>", "<A>"), ("nan", "nan"), ("(1,)", "(1, )"), ("1e3", "1000.0"), (r"'\d'", r'"\d"')]
DIFFERENT = [
    ("1", "True"),
    ("1", "1.0"),
    ("[1]", "[True]"),
    ("[1]", "(1,)"),
    ("{1: 2}", "{1: 2.0}"),
    ("{1: 2}", "{True: 2}"),
]
DIFFERENT += [("{1}", "{True}"), ("..", "..."), ("<A>", "<B>"), ("1", ""), ("'1'", "1"), ("[1, 2]", "[1, 2, 3]")]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_texts_of_the_same_value_are_equal(a, b):
    assert values_equal(a, b)
    assert values_equal(b, a)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_texts_of_other_values_are_not(a, b):
    assert not values_equal(a, b)
    assert not values_equal(b, a)


@pytest.mark.parametrize(
    "text", ["'\\d'", "(" * 5000, "9" * 5000, "f(1)", "{[]: 1}", "\x00", "1 if 2 else 3", "-" * 9999 + "1"]
)
def test_no_text_upsets_the_comparison(text):
    assert not values_equal(text, "1")
    assert not outputs_equal(text, "1")
    assert values_equal(text, text)


def test_outputs_are_compared_by_python_equality():
    assert outputs_equal("1", "True")
    assert outputs_equal("[1, 2]", "[1,2.0]")
    assert not outputs_equal("[1, 2]", "(1, 2)")
    assert outputs_equal("<A>", "<A>")
    assert not outputs_equal("<A>", "1")


def test_a_raised_exception_is_no_returned_none():
    raised = trace(frame("call"), frame("exception", value="E()"), frame("return", value="None"), outcome="raised")
    returned = trace(frame("call"), frame("line"), frame("return", value="None"))
    assert not compare(raised, returned).output_exact
    other = trace(frame("call"), frame("exception", value="F()"), frame("return", value="None"), outcome="raised")
    assert not compare(raised, other).output_exact
    assert compare(raised, raised).output_exact
    assert not compare(raised, trace(frame("call"), frame("line"), frame("return", value="E()"))).output_exact


def test_a_name_that_never_had_a_value_is_wrong_not_malformed():
    truth = trace(frame("call", x="1"), frame("line", y="2"))
    text = render_text(trace(frame("call", x="1"), outcome="budget"))
    text += '<|line_sep|>{"x": "..", "y": ".."}<|action_sep|>x\n<|frame_sep|><|end_of_text|>'
    result = compare(truth, parse_text(text))
    assert (result.outcome, result.state_exact, result.key_match) == (Outcome.WRONG, 0.5, 1.0)


@pytest.mark.parametrize(
    "change",
    [{"event": "call"}, {"source_line": "w"}, {"locals": {"x": "2"}}, {"locals": {}}, {"locals": None, "value": "1"}],
)
def test_frames_are_equal_in_event_action_and_state(change):
    truth = FrameView(event="line", source_line="x", locals={"x": "1"}, depth=3)
    assert frame_equal(truth, dataclasses.replace(truth, depth=0))
    assert not frame_equal(truth, dataclasses.replace(truth, **change))
    assert not frame_equal(truth, None)
    left = FrameView(event="return", source_line="x", value="[1]")
    assert frame_equal(left, dataclasses.replace(left, value="[ 1 ]"))
    assert not frame_equal(left, dataclasses.replace(left, value="[2]"))


def test_teacher_forced_frames_are_scored_one_by_one():
    truth = trace(*TRUTH)
    seen = view(truth).frames
    assert compare_frames(truth, seen).outcome is Outcome.RIGHT
    bad = ParseError(index=0, reason="", frame=0, field="locals")
    result = compare_frames(truth, [seen[0], bad, seen[2], seen[3]])
    assert (result.outcome, result.frame_exact, result.valid_json, result.valid_format) == (
        Outcome.MALFORMED,
        0.75,
        0.75,
        False,
    )
    cut = dataclasses.replace(bad, field=None, cut=True)
    assert compare_frames(truth, [seen[0], cut, seen[2], seen[3]]).outcome is Outcome.BUDGET
    assert compare_frames(truth, [seen[0], cut, bad, seen[3]]).outcome is Outcome.MALFORMED
    assert compare_frames(truth, [bad, *seen[1:]], given=1).outcome is Outcome.RIGHT
    other = dataclasses.replace(seen[1], source_line="w")
    assert compare_frames(truth, [seen[0], other, seen[2], seen[3]]).outcome is Outcome.WRONG


def test_the_copy_baseline_changes_nothing_and_goes_to_the_next_line(example):
    guesses = copy_baseline(example)
    assert [(g.event, g.source_line) for g in guesses[:5]] == [
        ("call", "def main():"),
        ("line", "    return g([3, 4])"),
        ("line", ""),
        ("line", "    out = []"),
        ("line", "    for x in xs:"),
    ]
    assert guesses[6].locals == {"xs": "[3, 4]", "out": "[]", "x": "3"}
    assert guesses[22].locals == {"xs": "[3, 4]", "out": "[None]", "x": "4"}
    result = compare_frames(example, guesses)
    assert result.frame_exact == pytest.approx(9 / 26)
    assert result.frame_exact_changed == 0.0
    assert result.outcome is Outcome.WRONG


def test_the_copy_baseline_finds_the_line_by_its_number():
    frames = [
        Frame("call", 0, "a.py", 1, "def f():", locals=Locals({})),
        Frame("line", 0, "a.py", 4, "    x = 1", locals=Locals({})),
        Frame("line", 0, "a.py", 5, "    z", locals=Locals({"x": "1"})),
    ]
    truth = Trace({"context": "\ndef f():\n    x = 1\n    y\n    x = 1\n\n    z\n", "outcome": "returned"}, frames)
    assert [guess.source_line for guess in copy_baseline(truth)] == ["", "    x = 1", "    z"]


@given(st.integers(0, 500))
def test_every_length_has_its_class(num_frames):
    expected = (
        "<= 10" if num_frames <= 10 else "11-30" if num_frames <= 30 else "31-100" if num_frames <= 100 else "> 100"
    )
    assert length_of(num_frames) == expected


def test_a_summary_counts_outcomes_apart_and_averages_over_traces():
    truth = trace(*TRUTH)
    right, wrong = compare(truth, truth), compare(truth, replaced(2, frame("line", "w")))
    broken = compare(truth, parse_text("x"))
    cut = compare(trace(*TRUTH, outcome="budget"), truth)
    summary = summarize([right, wrong, broken, cut], num_infrastructure=2)
    assert (summary.num, dict(summary.excluded)) == (6, {"budget": 1})
    assert {str(outcome): num for outcome, num in summary.outcomes.items()} == {
        "right": 1,
        "wrong": 1,
        "malformed": 1,
        "budget": 0,
        "infrastructure": 2,
    }
    assert summary.metrics["trace_exact"].mean == pytest.approx(1 / 3)
    assert summary.metrics["frame_exact"].mean == pytest.approx((1 + 0.75 + 0) / 3)
    assert summary.metrics["frame_exact"].num == 3
    groups = summarize_by_length([right, wrong])
    assert {length: group.num for length, group in groups.items()} == {"<= 10": 2, "11-30": 0, "31-100": 0, "> 100": 0}


def test_an_interval_holds_the_mean_and_narrows_with_more_traces():
    truth = trace(*TRUTH)
    mixed = [compare(truth, truth), compare(truth, replaced(2, frame("line", "w"))), compare(truth, trace())]
    few, many = summarize(mixed * 5), summarize(mixed * 50)
    for name in ("trace_exact", "frame_exact"):
        small, large = few.metrics[name], many.metrics[name]
        assert small.low < large.low < large.mean < large.high < small.high
    assert summarize(mixed * 5, seed=1) == summarize(mixed * 5, seed=1)
    assert summarize(mixed * 5, seed=1) != summarize(mixed * 5, seed=2)


def test_the_interval_of_a_share_is_wilsons():
    # Wilson's interval for 8 of 10, from its published formula worked out by hand.
    assert module._wilson([1] * 8 + [0] * 2) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert module._wilson([0] * 10)[0] == 0.0

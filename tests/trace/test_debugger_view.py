"""Actions against a definition by depth alone, trajectories against the trace, streams against themselves."""

import json

import pytest
from half_program import HALF
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opencwm.data.programs import generate
from opencwm.data.record import record_many
from opencwm.errors import ConfigError, DataError
from opencwm.trace.debugger_view import Move, Policy, entries, follow, parse, path_of, render, sample
from opencwm.trace.recording.options import Options
from opencwm.trace.stream import START_MARKER
from opencwm.trace.view import view

STEPS = {"forward": "step_into", "inverse": "inv_step_into"}


def recorded(*programs, **options):
    results = list(record_many(programs, options=Options(**options), trusted=True))
    assert all(result.trace for result in results), [result.cause for result in results]
    return [result.trace for result in results]


@pytest.fixture(scope="module")
def traces():
    programs = [generate(seed) for seed in range(100, 130)]
    generator = "def g(n):\n    for i in range(n):\n        yield i\n\n\ndef f(n):\n    return sum(i for i in g(n))\n"
    own = [("\n" + HALF, "g([3, 4])"), (generator, "f(3)"), ("def f(x):\n    return x[0]\n", "f([])")]
    return recorded(*((program.source, program.call) for program in programs), *own)


@pytest.fixture(scope="module")
def half(traces):
    return next(trace for trace in traces if "def half" in trace.context)


def same_state(state, frame):
    event = "line" if state.event == "line_call" else state.event
    return (event, state.source_line, state.locals, state.value) == (
        frame.event,
        frame.source_line,
        frame.locals,
        frame.value,
    )


def walk_all(path):
    return follow(path, lambda at: Move(action=STEPS[path.direction]))


def test_stepping_into_everything_is_the_trace(traces):
    for trace in traces:
        trajectory = parse(render(walk_all(path_of(trace))))
        frames = view(trace).frames
        assert trajectory.error is None
        assert len(trajectory.states) == len(frames)
        assert all(map(same_state, trajectory.states, frames))
        assert trajectory.exit == ("normal" if trace.outcome == "returned" else "error")
        assert trajectory.context == view(trace).context


def test_forward_actions_lead_where_depth_says(traces):
    """A second definition: the same activation goes on at the next frame that is not deeper, and so forth."""
    for trace in traces:
        frames, path = view(trace).frames, path_of(trace)
        depths, end = [frame.depth for frame in frames], len(frames)
        for at, frame in enumerate(frames):
            later = range(at + 1, end)
            shallow = next((i for i in later if depths[i] <= depths[at]), end)
            over = at + 1 if frame.event == "return" else shallow
            back = next((i for i in range(at, end) if frames[i].event == "return" and depths[i] == depths[at]), end)
            assert path.after(at, Move(action="step_into")) == at + 1
            assert path.after(at, Move(action="step_over")) == over
            assert path.after(at, Move(action="step_return")) == (back if back > at else at + 1)
            assert path.after(at, Move(action="continue")) == end
        for line in {frame.source_line for frame in frames} | {"no such line"}:
            stops = [
                i for i, frame in enumerate(frames) if frame.event in ("call", "line") and frame.source_line == line
            ]
            move = Move(action="breakpoint", source_line=line)
            assert path.after(0, move) == next((i for i in stops if i > 0), end)


def test_backward_every_frame_comes_once_and_calling_lines_twice(traces):
    for trace in traces:
        for entry in entries(trace):
            path = path_of(trace, "inverse", entry=entry)
            frames = view(trace).frames
            states = walk_all(path).states
            end = next(
                i for i in range(entry, len(frames)) if frames[i].event == "return" and depth_back(frames, entry, i)
            )
            assert sorted(s.frame for s in states if s.event != "line_call") == list(range(entry, end + 1))
            calling = {s.frame for s in states if s.event == "line_call"}
            assert calling == {
                i for i in range(entry, end) if frames[i].event == "line" and frames[i + 1].event == "call"
            }
            assert all(same_state(state, frames[state.frame]) for state in states)
            assert (states[0].event, states[-1].event) == ("return", "call")


def depth_back(frames, entry, index):
    return frames[index].depth == frames[entry].depth


def test_the_arguments_that_lead_to_a_return(half):
    entry = next(i for i in entries(half) if "def half" in half.frames[i].source_line)
    moves = iter([Move(action="inv_step_call"), Move(action="inv_step_into")])
    path = path_of(half, "inverse", entry=entry)
    trajectory = follow(path, lambda at: next(moves))
    assert [(state.event, state.value, state.locals) for state in trajectory.states] == [
        ("return", "None", None),
        ("call", None, {"n": "3"}),
    ]
    assert trajectory.exit == "entry"
    assert trajectory.context == "\n" + HALF.replace("def half(n):", f"def half(n):{START_MARKER}")
    assert "[3, 4]" not in render(trajectory)


def test_a_trajectory_reads_like_this(half):
    script = {0: "step_into", 1: "step_over"}
    trajectory = follow(path_of(half, entry=2), lambda at: Move(action=script.get(at, "step_over")))
    text = render(trajectory)
    shown = text.partition(trajectory.context)[2].replace("<|frame_sep|>", "\n<|frame_sep|>").split("\n")[1:]
    names = [line.partition("<|arg_sep|>")[2].partition("<|action_sep|>")[0] for line in shown]
    assert names == [
        '{"xs": "[3, 4]"}',
        '{"..": ".."}',
        '{"out": "[]", "..": ".."}',
        '{"x": "3", "..": ".."}',
        '{"..": ".."}',
        "\"ValueError('odd')\"",
        '{"..": ".."}',
        '{"e": "ValueError(\'odd\')", "..": ".."}',
        '{"xs": "[3, 4]", "out": "[None]", "x": "3"}',  # `e` has disappeared: all names, and no ".."
        '{"x": "4", "..": ".."}',
        '{"..": ".."}',
        '{"out": "[None, 2]", "..": ".."}',
        '{"..": ".."}',
        '"[2]"',
        "",
    ]
    assert shown[-1] == "<|frame_sep|><|exit_normal|><|trace_end|>"
    assert shown[0].startswith("<|frame_sep|><|call_sep|><|src_sep|>def g(xs):<|arg_sep|>")


def test_locals_are_whole_after_calls_returns_and_breakpoints(half):
    line = "            out.append(None)"
    path = path_of(half, entry=2)
    moves = iter(
        [Move(action="breakpoint", source_line=line), *[Move(action="step_into")] * 3, Move(action="continue")]
    )
    trajectory = follow(path, lambda at: next(moves))
    assert trajectory.states[1].source_line == line
    assert trajectory.shown_in_full == (True, True, True, False, False)
    into = walk_all(path)
    after_return = [i + 1 for i, state in enumerate(into.states[:-1]) if state.event == "return"]
    assert all(into.shown_in_full[i] for i in after_return if into.states[i].locals is not None)


@given(seed=st.integers(0, 10**6), number=st.integers(0, 32), direction=st.sampled_from(["forward", "inverse"]))
@settings(max_examples=80)
def test_samples_are_deterministic_true_and_read_back(traces, seed, number, direction):
    trace = traces[number]
    trajectory = sample(trace, seed=seed, direction=direction)
    assert trajectory == sample(trace, seed=seed, direction=direction)
    assume(trajectory is not None)
    frames = view(trace).frames
    assert all(same_state(state, frames[state.frame]) for state in trajectory.states)
    assert parse(render(trajectory)) == trajectory
    assert render(parse(render(trajectory))) == render(trajectory)
    assert (trajectory.exit is None) == (len(trajectory.moves) == len(trajectory.states) - 1)


def test_the_mixture_is_the_published_one_scaled_to_one(traces):
    shortest = min(traces, key=lambda trace: len(trace.frames))
    counts: dict[str, int] = {}
    policy = Policy(share_stepping=0.0, max_states=2)
    for seed in range(800):
        first = sample(shortest, seed=seed, policy=policy).moves[0].action
        counts[first] = counts.get(first, 0) + 1
    for action, weight in policy.forward.items():
        assert counts[action] / 800 == pytest.approx(weight / 0.8, abs=0.05)
    stepping = Policy(share_stepping=1.0, max_states=2)
    firsts = [sample(shortest, seed=seed, policy=stepping).moves[0].action for seed in range(200)]
    assert set(firsts) == {"step_into", "step_over"}
    assert firsts.count("step_into") == pytest.approx(100, abs=35)


def test_a_limit_of_states_leaves_no_exit(half):
    trajectory = sample(half, policy=Policy(max_states=1))
    assert (len(trajectory.states), trajectory.moves, trajectory.exit) == (1, (), None)
    assert parse(render(trajectory)) == trajectory


def test_what_never_ends_says_so():
    trace = recorded(("def f():\n    while True:\n        pass\n", "f()"), max_frames=30)[0]
    path = path_of(trace)
    assert follow(path, lambda at: Move(action="continue")).exit == "never"
    assert path.after(3, Move(action="step_return")) == len(path.places)
    assert entries(trace) == []
    assert sample(trace, direction="inverse") is None
    assert path_of(trace, "inverse") is None


def test_backward_never_begins_where_the_context_tells_the_arguments(half):
    assert path_of(half, "inverse") is None
    assert 0 not in entries(half)
    for seed in range(20):
        assert "def main" not in sample(half, seed=seed, direction="inverse").context


def test_no_call_is_no_entry(half):
    with pytest.raises(ConfigError, match="frame 1 is no call"):
        path_of(half, entry=1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"forward": {"step_up": 1.0}}, "'step_up' is no forward action"),
        ({"inverse": {"step_into": 1.0}}, "'step_into' is no inverse action"),
        ({"forward": {"step_into": -1.0, "continue": 2.0}}, "must not be negative"),
        ({"inverse": {}}, "no inverse action has any weight"),
        ({"max_states": 0}, "at least 1"),
    ],
)
def test_a_bad_policy_is_refused(change, says):
    with pytest.raises(ConfigError, match=says):
        Policy(**change)


def test_what_looks_like_a_special_token_has_no_text_form():
    trace = recorded(("def f(x):\n    y = x + '<|src_sep|>'\n    return y\n", "f('')"))[0]
    with pytest.raises(DataError, match="src_sep"):
        render(walk_all(path_of(trace)))


def test_a_malformed_text_is_read_up_to_what_is_wrong(half):
    whole = walk_all(path_of(half))
    text = render(whole)
    for cut in range(0, len(text), 37):
        parsed = parse(text[:cut])
        assert parsed.states == whole.states[: len(parsed.states)]
        assert (parsed.exit is None) or parsed.error is not None
    broken = text.replace('"[None]"', "[None]", 1)
    parsed = parse(broken)
    assert "not JSON" in parsed.error.reason
    assert broken[parsed.error.index :].startswith('{"xs"')
    assert parsed.error.frame == len(parsed.states) < len(whole.states)
    assert "is missing" in parse(text + "<|frame_sep|>").error.reason or parse(text + "x").error is not None
    assert parse(text.replace("<|step_into|>", "<|inv_step_into|>", 1)).error is not None
    assert parse("").error is not None


@given(st.data())
@settings(max_examples=40)
def test_any_trace_makes_trajectories(plain_traces, data):
    trace = data.draw(plain_traces)
    trajectory = sample(trace, seed=data.draw(st.integers(0, 99)))
    assume(trajectory is not None)
    parsed = parse(render(trajectory))
    assert (parsed.error, parsed.states, parsed.moves) == (None, trajectory.states, trajectory.moves)


def test_changes_are_json_objects_of_texts(half):
    for part in render(sample(half, seed=4)).split("<|arg_sep|>")[1:]:
        assert json.loads(part.partition("<|action_sep|>")[0]) is not None

import ast
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencwm.data.inputs import choose, mutate, mutated_calls
from opencwm.trace.recording.frame import Frame, Trace

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
KEYS = st.integers() | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner) | st.sets(KEYS),
    max_leaves=8,
)


@given(VALUES, st.integers(0, 100))
def test_a_mutation_keeps_the_type(value, seed):
    assert type(mutate(value, random.Random(seed))) is type(value)


@given(VALUES, st.integers(0, 100))
def test_a_mutation_leaves_the_original_alone_and_follows_from_its_seed(value, seed):
    before = repr(value)
    one = mutate(value, random.Random(seed))
    assert repr(value) == before
    assert repr(one) == repr(mutate(value, random.Random(seed)))


@pytest.mark.parametrize(
    "value", [3, 2.5, "abc", b"abc", [1, 2, 3], (1, "a"), {1, 2}, frozenset({1, 2}), {"a": 1}, True]
)
def test_mutations_differ_from_the_value(value):
    seen = {repr(mutate(value, random.Random(seed))) for seed in range(40)}
    assert len(seen - {repr(value)}) >= (1 if value is True else 5)


def test_mutated_calls_are_new_and_callable():
    calls = ["f([3, 4], 'abc', key={'a': (1, 2.5)})", "f([], '', key={})"]
    made = list(mutated_calls(calls, random.Random(0), count=30))
    assert len(made) == len(set(made)) == 30
    assert not set(made) & set(calls)
    for call in made:
        xs, text, key = eval(call, {"f": lambda xs, text, key: (xs, text, key)})
        assert (type(xs), type(text), type(key)) == (list, str, dict)


def test_arguments_that_are_not_literals_stay():
    made = list(mutated_calls(["f(len, range(3), 5)"], random.Random(0), count=5))
    assert len(made) == 5
    assert all(call.startswith("f(len, range(3), ") for call in made)


def test_of_a_method_s_call_the_object_s_arguments_change_too():
    class C:
        def __init__(self, xs):
            self.xs = xs

        def m(self, *args):
            return self.xs, args

    made = list(mutated_calls(["C([3, 4]).m(5)"], random.Random(0), count=20))
    results = [eval(call, {"C": C}) for call in made]
    assert {xs == [3, 4] for xs, _ in results} == {args == (5,) for _, args in results} == {True, False}
    assert all(type(xs) is list for xs, _ in results)
    assert len(list(mutated_calls(["C([3, 4]).m()"], random.Random(0), count=5))) == 5


def test_a_call_without_literals_has_no_mutations():
    assert list(mutated_calls(["f()", "f(len)"], random.Random(0), count=5)) == []


def test_a_value_with_few_mutations_gives_few_calls():
    assert list(mutated_calls(["f(True)"], random.Random(0), count=5)) == ["f(False)"]


def test_the_same_seed_gives_the_same_calls():
    one, two = (list(mutated_calls(["f([1, 2], 'ab')"], random.Random(7), count=10)) for _ in range(2))
    assert one == two
    assert all(isinstance(ast.parse(call, mode="eval").body, ast.Call) for call in one)


def trace(lines, outcome="returned", exception=None, result="None"):
    frames = [Frame(event="line", depth=0, file="p.py", line_no=n, source_line="x") for n in lines]
    frames.append(Frame(event="return", depth=0, file="p.py", line_no=1, source_line="x", value=result))
    return Trace({"outcome": outcome, "exception": exception, "context": ""}, frames)


def test_traces_are_chosen_for_new_lines_outcomes_and_paths():
    traces = [
        trace([1, 2, 4]),
        trace([1, 2, 4]),
        trace([1, 3, 4]),  # a new line
        trace([1, 2, 2, 4]),  # a new path
        trace([1, 2, 4], "raised", "ValueError('a')"),
        trace([1, 2, 4], "raised", "ValueError('b')"),
        trace([1, 2, 4], "raised", "TypeError('a')"),
    ]
    assert choose(traces, 10) == [0, 2, 3, 4, 6]


def test_what_shows_most_comes_first():
    traces = [trace([1, 2], result="1"), trace([1, 2], result="2"), trace([1, 2, 3, 4]), trace([1, 5])]
    assert choose(traces, 1) == [2]
    assert choose(traces, 2) == [2, 3]
    assert choose(traces, 3) == [0, 2, 3]
    assert choose([], 3) == []


def test_a_few_traces_may_differ_in_their_result_only():
    assert choose([trace([1, 2], result=result) for result in "11234567"], 10) == [0, 2, 3]


@given(
    st.lists(st.tuples(st.lists(st.integers(1, 6), max_size=5), st.sampled_from("ab")), max_size=12), st.integers(0, 5)
)
def test_no_more_are_chosen_than_asked_for_and_no_line_is_lost_for_want_of_room(runs, count):
    traces = [trace(lines, result=result) for lines, result in runs]
    chosen = choose(traces, count)
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= count
    assert len(traces) == 0 or count == 0 or chosen
    if len(chosen) < count:
        assert {n for at in chosen for n in runs[at][0]} == {n for lines, _ in runs for n in lines}

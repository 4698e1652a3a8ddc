"""Episodes: pieces of a trace that are traces of their own, with the states of the whole."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencwm.data.length import CHARS_PER_TOKEN, estimate_tokens
from opencwm.data.programs import Dial, generate
from opencwm.data.repositories.episodes import MAX_SURVEYED, EpisodeConfig, Seen, choose, episodes_of, survey
from opencwm.data.repositories.sources import Function, Sources
from opencwm.errors import ConfigError
from opencwm.tokenizer import Tokenizer
from opencwm.trace.compare import why_excluded
from opencwm.trace.files import read_traces, write_traces
from opencwm.trace.recording.frame import Trace, dump
from opencwm.trace.recording.recorder import record_source
from opencwm.trace.stream import START_MARKER
from opencwm.trace.text import parse_text, render_text
from opencwm.trace.tokens import parse, render
from opencwm.trace.view import view

FILES = {
    "shop/__init__.py": "from .prices import *\n",
    "shop/prices.py": '''\
import math
from decimal import Decimal as D

RATES = {"low": 5, "high": 20}
UNUSED = [1, 2]


def rate_of(kind):
    """The rate.

    >>> rate_of("low")
    5
    """
    if kind not in RATES:
        raise KeyError(kind)
    return RATES[kind]


def with_tax(price, kind="high"):
    rate = rate_of(kind)
    return math.floor(price * (100 + rate) / 100)


def exact(price):
    return D(price)
''',
    "shop/basket.py": '''\
from dataclasses import dataclass, field
from shop import with_tax
from . import prices


@dataclass
class Line:
    """A line."""

    price: int
    kind: str = "high"

    def total(self):
        return with_tax(self.price, self.kind)


class Basket:
    LIMIT = 3

    def __init__(self):
        self.lines = []

    def add(self, *args):
        if len(self.lines) == self.LIMIT:
            return False
        self.lines.append(Line(*args))
        return True

    def totals(self):
        for line in self.lines:
            yield line.total()

    def total(self):
        total = 0
        for each in self.totals():
            total += each
        return total

    def safe_total(self):
        try:
            return self.total()
        except KeyError as e:
            return -1


def run():
    basket = Basket()
    for price, kind in ((100, "low"), (50, "high"), (10, "odd"), (1, "low")):
        basket.add(price, kind)
    return [basket.safe_total(), Line(3).total()]
''',
}


def episodes(trace, sources, **config):
    dropped = Counter()
    made = list(episodes_of(lambda: [trace], sources, EpisodeConfig(**config), dropped=dropped))
    return made, dropped


def by_name(made):
    return {episode.function.qualname: episode for episode in made}


@pytest.fixture
def shop(record_in):
    return record_in(FILES, "shop.basket", lambda module: module.run())


def check(episode, whole):
    """What holds for every episode of a trace."""
    trace = episode.trace
    seen = view(trace)
    # it is whole: from the entry's call to its return, and nothing open
    assert [trace.frames[0].depth, trace.frames[-1].depth] == [0, 0]
    assert (trace.frames[0].event, trace.frames[-1].event, seen.ended) == ("call", "return", True)
    assert [frame.depth for frame in trace.frames] == [frame.depth for frame in seen.frames]
    assert sum(frame.depth == 0 and frame.event == "call" for frame in trace.frames) == 1
    # its states are those of the whole trace at the same frames
    depth = whole.frames[episode.indices[0]].depth
    for index, frame in zip(episode.indices, seen.frames, strict=True):
        original = whole.frames[index]
        assert (frame.event, frame.source_line, frame.locals, frame.value, frame.depth + depth) == (
            original.event, original.source_line, original.locals, original.value, original.depth,
        )  # fmt: skip
    # it says where it begins, and every line that it quotes is in its context
    lines = trace.context.split("\n")
    marked = [line.removesuffix(START_MARKER) for line in lines if line.endswith(START_MARKER)]
    assert marked == [trace.frames[0].source_line]
    assert {frame.source_line for frame in trace.frames} <= {*lines, *marked}
    assert trace.header["num_frames"] == len(trace.frames)
    assert trace.header["num_bytes"] == sum(len(dump(frame.to_dict()).encode()) for frame in trace.frames)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 3), st.sampled_from([0.0, 0.4, 1.0]), st.sampled_from([12, 256]))
def test_episodes_of_any_program_are_traces_with_the_states_of_the_whole(seed, max_depth, step_in, max_frames):
    program = generate(seed, Dial(level=0.7, target_frames=(1, 400)))
    whole = record_source(program.source, call=program.call, filename="program.py")
    text = whole.context.replace(START_MARKER, "").removeprefix("\n")
    sources = Sources(["program.py"], lambda _: text.encode())
    config = {"max_depth": max_depth, "step_in": step_in, "max_frames": max_frames, "max_tokens": 10**6}
    made, dropped = episodes(whole, sources, min_frames=1, max_context_tokens=10**6, **config)
    assert made or max_frames == 12
    assert not dropped
    seen = view(whole)
    for episode in made:
        check(episode, seen)
        assert len(episode.trace.frames) <= max_frames
        assert max(frame.depth for frame in episode.trace.frames) <= max_depth + 1
        text = render_text(episode.trace)
        parsed = parse_text(text)
        assert (parsed.error, view(parsed)) == (None, view(episode.trace))
        assert render_text(parsed) == text


def test_each_function_of_a_repository_has_its_episode(shop, tmp_path):
    trace, sources = shop
    made, dropped = episodes(trace, sources, min_frames=1)
    assert not dropped
    names = "run Basket.__init__ Basket.add Basket.total Basket.safe_total Line.total with_tax rate_of"
    assert set(by_name(made)) == set(names.split())
    whole = view(trace)
    for episode in made:
        check(episode, whole)
    tokenizer = Tokenizer.train([render_text(episode.trace) for episode in made], 400)
    for episode in made:
        assert view(parse(render(episode.trace, tokenizer), tokenizer)) == view(episode.trace)
    write_traces(tmp_path / "episodes.parquet", [episode.trace for episode in made])
    assert list(read_traces(tmp_path / "episodes.parquet")) == [episode.trace for episode in made]


def test_outcomes_and_lines_are_chosen_before_repetitions(shop):
    made, _ = episodes(*shop, min_frames=1, per_function=2)
    found = [(each.function.qualname, each.trace.outcome, each.trace.header["exception"]) for each in made]
    assert found.count(("rate_of", "raised", "KeyError('odd')")) == 1
    assert found.count(("rate_of", "returned", None)) == 1
    added = [each.trace.frames[-1].value for each in made if each.function.qualname == "Basket.add"]
    assert sorted(added) == ["False", "True"]


def test_outcomes_come_before_new_lines_new_lines_before_paths_paths_before_length():
    function = Function(file="f.py", line_no=1, qualname="f", parameters=frozenset(), suspends=False, key="f")

    def seen(start, outcome, lines, path, num_frames):
        return Seen(0, start, function, outcome, frozenset(lines), path, str(start), num_frames)

    calls = [
        seen(0, "returned", {2, 3}, 1, 9),
        seen(1, "returned", {2, 3}, 2, 5),
        seen(2, "returned", {2, 4}, 3, 4),
        seen(3, "ValueError", {2}, 4, 3),
        seen(4, "returned", {2, 3}, 1, 8),
        seen(5, "returned", {2, 3, 4, 5}, 5, 7),
    ]
    assert [each.start for each in choose(calls, 6)] == [5, 3, 0, 1, 2, 4]
    assert [each.start for each in choose(calls[:3], 2)] == [0, 2]
    assert [each.start for each in choose(calls[:3] * 2, 6)] == [0, 2, 1]


def test_a_docstring_that_is_quoted_stays(record_in):
    text = 'def f():\n    """Left out."""\n    class C:\n        """Runs."""\n        x = 1\n    return C.x\n'
    trace, sources = record_in({"doc.py": text}, "doc", lambda module: module.f())
    made, dropped = episodes(trace, sources, step_in=1.0)
    assert not dropped
    check(made[0], view(trace))
    assert '        """Runs."""' in made[0].trace.context
    assert "Left out" not in made[0].trace.context


def test_a_call_that_is_not_stepped_into_keeps_its_call_its_exception_and_its_return(shop):
    made, _ = episodes(*shop, min_frames=1, step_in=0.0)
    safe = by_name(made)["Basket.safe_total"].trace
    assert [(frame.event, frame.depth, frame.value) for frame in safe.frames] == [
        ("call", 0, None), ("line", 0, None), ("line", 0, None),
        ("call", 1, None), ("exception", 1, "KeyError('odd')"), ("return", 1, "None"),
        ("exception", 0, "KeyError('odd')"), ("line", 0, None), ("line", 0, None), ("return", 0, "-1"),
    ]  # fmt: skip
    add = by_name(made)["Line.total"].trace
    assert [frame.event for frame in add.frames] == ["call", "line", "call", "return", "return"]
    assert add.frames[2].locals.set == {"price": "3", "kind": "'high'"}


def test_the_depth_is_limited_and_everything_below_it_is_stepped_over(shop):
    deep, _ = episodes(*shop, min_frames=1, step_in=1.0, max_depth=9)
    assert max(frame.depth for frame in by_name(deep)["run"].trace.frames) == 6
    for max_depth in (0, 1, 2):
        made, _ = episodes(*shop, min_frames=1, step_in=1.0, max_depth=max_depth)
        frames = by_name(made)["run"].trace.frames
        assert max(frame.depth for frame in frames) == max_depth + 1
        assert {frame.event for frame in frames if frame.depth > max_depth} <= {"call", "exception", "return"}


def test_calls_that_would_be_too_long_are_stepped_over(shop):
    made, _ = episodes(*shop, min_frames=1, step_in=1.0, max_depth=9)
    full = len(by_name(made)["run"].trace.frames)
    made, _ = episodes(*shop, min_frames=1, step_in=1.0, max_depth=9, max_frames=full - 1)
    assert 20 < len(by_name(made)["run"].trace.frames) < full
    made, _ = episodes(*shop, min_frames=1, step_in=1.0, max_depth=9, max_frames=full)
    assert len(by_name(made)["run"].trace.frames) == full


def test_calls_of_exactly_the_limits_are_episodes(shop):
    trace, sources = shop

    def sizes(**config):
        seen = survey([trace], sources, EpisodeConfig(**config), lambda function: True)
        return {each.function.qualname: each.num_frames for each in seen}

    assert [min(sizes(min_frames=size).values()) for size in (1, 3, 4)] == [3, 3, 4]
    made, _ = episodes(trace, sources, min_frames=1, step_in=0.0)
    shortest = len(by_name(made)["run"].trace.frames)
    assert sizes(max_frames=shortest)["run"] == shortest
    assert "run" not in sizes(max_frames=shortest - 1)


def test_calls_are_told_apart_by_the_class_that_they_raise_and_by_what_it_says(record_in):
    files = {
        "odd.py": """\
def fail(kind, n):
    raise kind(n)

def run():
    for kind in (ValueError, KeyError, MemoryError):
        for n in range(2):
            try:
                fail(kind, n)
            except Exception:
                pass
"""
    }
    trace, sources = record_in(files, "odd", lambda module: module.run())
    everything = list(survey([trace], sources, EpisodeConfig(min_frames=1), lambda function: True))
    failed = [seen for seen in everything if seen.function.qualname == "fail"]
    assert Counter(seen.outcome for seen in failed) == {"ValueError": 2, "KeyError": 2}  # no MemoryError: an accident
    assert len(choose(failed, 6)) == 4


def test_what_is_too_long_is_tried_again_with_every_call_stepped_over(shop):
    def run(**config):
        return by_name(episodes(*shop, min_frames=1, step_in=1.0, max_depth=9, **config)[0]).get("run")

    tokens = estimate_tokens(run().trace)
    assert run(max_tokens=tokens).trace == run().trace
    short = run(max_tokens=tokens - 1).trace
    assert max(frame.depth for frame in short.frames) == 1
    assert short.header["episode"]["step_in"] == 0.0
    assert run(max_tokens=60) is None


def test_choices_follow_from_the_seed(shop):
    def texts(**config):
        return [render_text(each.trace) for each in episodes(*shop, min_frames=1, **config)[0]]

    assert texts() == texts()
    assert any(texts(seed=seed) != texts() for seed in (1, 2, 3))


def test_each_call_has_choices_of_its_own(record_in):
    files = {
        "many.py": """\
def one(n):
    return n

def many(n):
    for i in range(7):
        n += one(i)
    return n

def run():
    many(1)
    many(2)
"""
    }
    trace, sources = record_in(files, "many", lambda module: module.run())

    def depths(each):
        return tuple(frame.depth for frame in each.trace.frames)

    named = [Trace({**trace.header, "test": {"id": name}}, trace.frames) for name in ("a", "b")]
    found = []
    for traces in ([trace], named[:1], named[1:]):
        made = episodes_of(lambda: traces, sources, EpisodeConfig())  # noqa: B023 - read before the next round
        first, second = (depths(each) for each in made if each.function.qualname == "many")
        assert first != second
        found.append(first)
    assert found[1] != found[2]


def test_a_trace_that_is_missing_changes_nothing_about_the_others(shop):
    trace, sources = shop
    empty = Trace({**trace.header, "test": {"id": "empty"}}, [])
    config = EpisodeConfig(min_frames=1)
    alone = [render_text(each.trace) for each in episodes_of(lambda: [trace], sources, config)]
    assert [render_text(each.trace) for each in episodes_of(lambda: [empty, trace], sources, config)] == alone


def test_generators_are_stepped_into_but_are_no_entry_points(shop):
    made, _ = episodes(*shop, min_frames=1, step_in=1.0)
    assert "Basket.totals" not in by_name(made)
    total = by_name(made)["Basket.total"].trace
    assert {"resume", "yield"} <= {frame.cause for frame in total.frames}
    assert "    def totals(self):" in total.context


def test_short_calls_and_unwanted_functions_are_left_out(shop):
    trace, sources = shop
    made, _ = episodes(trace, sources)
    assert "Basket.__init__" not in by_name(made)
    wanted = episodes_of(lambda: [trace], sources, EpisodeConfig(), is_wanted=lambda each: each.qualname == "run")
    assert [each.function.qualname for each in wanted] == ["run"]


def test_the_context_is_what_the_episode_needs(shop):
    made, _ = episodes(*shop, min_frames=1, step_in=0.0)
    assert (
        by_name(made)["Line.total"].trace.context
        == """
# shop/prices.py
import math
RATES = {"low": 5, "high": 20}

def rate_of(kind):
    if kind not in RATES:
        raise KeyError(kind)
    return RATES[kind]

def with_tax(price, kind="high"):
    rate = rate_of(kind)
    return math.floor(price * (100 + rate) / 100)

# shop/basket.py
from dataclasses import dataclass
from shop import with_tax

@dataclass
class Line:
    price: int
    kind: str = "high"

    def total(self):  # << START_OF_TRACE
        return with_tax(self.price, self.kind)
"""
    )


def test_what_does_not_fit_is_shortened_then_left_out_then_refused(shop):
    def context(tokens):
        made, dropped = episodes(*shop, min_frames=1, step_in=0.0, max_context_tokens=tokens)
        return by_name(made).get("Line.total"), dropped

    kinds = []
    for tokens in range(60, 140, 4):
        episode, _ = context(tokens)
        if episode is not None:
            check(episode, view(shop[0]))
            text = episode.trace.context
            assert len(text) <= tokens * CHARS_PER_TOKEN
            kinds.append("whole" if "raise KeyError" in text else "def rate_of(kind): ..." in text)
    assert list(dict.fromkeys(kinds)) == [False, True, "whole"]
    none, dropped = context(40)
    assert none is None
    assert sum(dropped.values()) > 0


def test_an_unfinished_trace_gives_the_calls_that_were_finished(record_in):
    trace, sources = record_in(FILES, "shop.basket", lambda module: module.run(), max_frames=40)
    assert trace.outcome == "budget"
    made, _ = episodes(trace, sources, min_frames=1)
    assert "run" not in by_name(made)
    assert by_name(made)["Basket.add"].trace.outcome == "returned"
    for episode in made:
        check(episode, view(trace))


def test_files_that_are_not_those_that_ran_give_nothing(shop):
    trace, _ = shop
    changed = {file: text.replace("total = 0", "total = 1") for file, text in FILES.items()}
    made, dropped = episodes(trace, Sources(changed, lambda file: changed[file].encode()), min_frames=1, step_in=0.0)
    assert {"Basket.total"} == set(by_name(episodes(*shop, min_frames=1, step_in=0.0)[0])) - set(by_name(made))
    assert sum(dropped.values()) == 1


def test_cut_values_are_counted_where_they_are(record_in):
    files = {
        "long.py": "def longer(n):\n    x = list(range(n))\n    return x\n\ndef run():\n    longer(3), longer(99)\n"
    }
    made, _ = episodes(*record_in(files, "long", lambda module: module.run()), min_frames=1)
    found = [(each.function.qualname, len(each.trace.frames[-1].value), why_excluded(each.trace)) for each in made]
    assert found == [("longer", 9, None), ("longer", 256, "cut values"), ("run", 4, "cut values")]


def test_texts_that_only_look_cut_are_not_counted(record_in):
    files = {
        "odd.py": """\
def odd(text):
    return text

def run(*texts):
    for each in texts:
        odd(each)
"""
    }
    exact = "a" * 510  # with its quotes as long as a value may be
    made, _ = episodes(*record_in(files, "odd", lambda module: module.run(exact, list(range(99)))), min_frames=1)
    numbers = {each.trace.frames[-1].value[1]: each.trace.header["truncated"]["values"] for each in made[:2]}
    assert (numbers["a"], numbers["0"] > 0) == (0, True)
    made, _ = episodes(*record_in(files, "odd", lambda module: module.run("...(+3)")), min_frames=1)
    assert made[0].trace.header["truncated"]["values"] == 0


def test_closures_recursion_and_methods_of_nested_classes_are_functions_too(record_in):
    files = {
        "deep.py": """\
class Outer:
    class Inner:
        def up(self, n):
            return n + self.step

        step = 2

    def go(self, n):
        def twice(x):
            y = x * k
            return y
        k = 2
        return n if n <= 0 else self.go(twice(n) - n - 1) + self.Inner().up(n)
"""
    }
    trace, sources = record_in(files, "deep", lambda module: module.Outer().go(3))
    made, dropped = episodes(trace, sources, min_frames=1)
    assert not dropped
    assert set(by_name(made)) == {"Outer.go", "Outer.Inner.up", "Outer.go.<locals>.twice"}
    for episode in made:
        check(episode, view(trace))
    up = by_name(made)["Outer.Inner.up"].trace.context
    assert "class Outer:\n    class Inner:\n        def up(self, n):  # << START_OF_TRACE" in up
    assert "step = 2" in up


def test_many_calls_of_one_function_are_chosen_from_without_keeping_all(record_in):
    one = "def one(n):\n    if n % 3:\n        n += 1\n    return n\n\n"
    files = {"one.py": one + "def run():\n    for i in range(900):\n        one(i)\n"}
    trace, sources = record_in(files, "one", lambda module: module.run())
    everything = survey([trace], sources, EpisodeConfig(min_frames=1), lambda function: True)
    chosen = [seen for seen in choose(everything, 50) if seen.function.qualname == "one"]
    assert Counter(len(seen.lines) for seen in chosen) == {2: 3, 3: 3}


def test_of_very_many_calls_the_first_ones_are_chosen_from():
    function = Function(file="f.py", line_no=1, qualname="f", parameters=frozenset(), suspends=False, key="f")
    count = MAX_SURVEYED + 9
    calls = [Seen(0, start, function, "returned", frozenset({2}), start, "", 5) for start in range(count)]
    assert {seen.start for seen in choose(calls, count)} == set(range(MAX_SURVEYED))


@pytest.mark.parametrize("config", [{"step_in": 1.1}, {"max_depth": -1}, {"max_frames": 0}, {"per_function": 0}])
def test_settings_that_make_no_sense_are_refused(config):
    with pytest.raises(ConfigError, match=next(iter(config))):
        EpisodeConfig(**config)

import dataclasses
import re

import pytest

from opencwm.data import stages
from opencwm.data.decontaminate import Detector
from opencwm.data.dedup import source_key
from opencwm.data.length import CHARS_PER_TOKEN, estimate_tokens
from opencwm.data.recipe import Recipe
from opencwm.data.record import Recorded, record_many
from opencwm.data.sources.base import Job, Package, Run, Take, Work
from opencwm.data.sources.generated import Generated
from opencwm.data.stages import Guard, Planned, Tally, clean, kept
from opencwm.data.stages import recorded as record_stage
from opencwm.trace.text import render_text

RECIPE = Recipe(max_frames=20, max_tokens=400)
COUNT = "def count(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total\n"
NO_GUARD = Guard(heldout=frozenset(), detector=Detector([]))


def work(source, *calls, max_rows=6):
    return Work(source=source, runs=tuple(Run(kind="generated", call=call) for call in calls), max_rows=max_rows)


def planned(source, *calls, position=0):
    return Planned(position=position, source=Generated(), work=work(source, *calls)), position + 1


def through(results, recipe=RECIPE, **settings):
    """What `kept` makes of these results of one program: the calls kept, and the tally."""
    tally = Tally()
    job = Job(work=work(COUNT, *(call for call, _ in results), **settings), keys=tuple(call for call, _ in results))
    takes = [Take(key=call, origin="generated", result=result) for call, result in results]
    rows = [each.row.trace_id for each, _ in kept([((job, takes), 1)], recipe, NO_GUARD, tally)]
    return rows, dict(tally.dropped)


@pytest.fixture(scope="module")
def recorded():
    programs = {
        "few": (COUNT, "count(2)"),
        "other": (COUNT, "count(3)"),
        "many": (COUNT, "count(30)"),
        "name": ("def f(x):\n    return y\n", "f(1)"),
        "raises": ("def f(x):\n    return 1 // x\n", "f(0)"),
        "exits": ("def f(x):\n    raise SystemExit(x)\n", "f(0)"),
        "wide": ("def f(x):\n    y = x * 2\n    return len(y)\n", f"f({'ab' * 300!r})"),
        "mail": ("def f(x):\n    y = x + '@lovelace.org'\n    return y\n", "f('ada')"),
        "broken": ("def f(x:\n", "f(0)"),
    }
    return dict(zip(programs, record_many(programs.values(), trusted=True), strict=True))


def test_useful_traces_are_kept(recorded):
    assert through([("few", recorded["few"]), ("raises", recorded["raises"])]) == (["few", "raises"], {})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("many", "too many frames"),
        ("raises", "too few frames"),
        ("wide", "too many tokens"),
        ("name", "NameError"),
        ("exits", "outcome exit"),
        ("broken", "not recorded: SyntaxError"),
    ],
)
def test_what_is_of_no_use_is_dropped_for_a_reason(recorded, name, reason):
    recipe = dataclasses.replace(RECIPE, min_frames=9) if reason == "too few frames" else RECIPE
    assert through([(name, recorded[name])], recipe) == ([], {reason: 1})


def test_what_shows_nothing_new_is_dropped(recorded):
    again = ("again", Recorded(trace=recorded["few"].trace))
    assert through([("few", recorded["few"]), again, ("other", recorded["other"])]) == (
        ["few", "other"],
        {"nothing new": 1},
    )


def test_no_more_than_asked_for_is_kept(recorded):
    results = [(name, recorded[name]) for name in ("few", "other", "raises")]
    assert through(results, max_rows=2) == (["few", "raises"], {"nothing new": 1})


def test_equal_programs_come_once():
    other_names = COUNT.replace("total", "acc").replace("count", "sum_up")
    stage = [planned(COUNT, "count(2)", "count(3)"), planned(other_names, "sum_up(3)", "sum_up(4)", position=1)]
    tally = Tally()
    jobs = [(run.call, state) for (_, job), state in clean(stage, NO_GUARD, tally) for run in job.work.runs]
    assert jobs == [("count(2)", 1), ("count(3)", 1), ("sum_up(4)", 2)]
    assert tally.dropped == {"duplicate": 1}


def test_code_without_a_permissive_licence_stays_out():
    package = Package(name="x", version="1", licence="GPL-3.0")
    theirs = Planned(position=0, source=Generated(), work=dataclasses.replace(work(COUNT, "count(1)"), package=package))
    tally = Tally()
    assert list(clean([(theirs, 1)], NO_GUARD, tally)) == []
    assert tally.dropped == {"licence": 1}
    assert len(list(clean([(theirs, 1)], dataclasses.replace(NO_GUARD, any_licence=True), Tally()))) == 1


def test_what_was_lost_before_is_run_again_among_the_others_and_dropped():
    stage = [planned(COUNT, "count(4)", "count(5)")]
    ((_, job), _) = next(clean(stage, NO_GUARD, Tally()))
    tally, guard = Tally(), dataclasses.replace(NO_GUARD, lost={job.keys[0]: "time"})
    cleaned = list(clean(stage, guard, tally))
    assert [run.call for run in cleaned[0][0][1].work.runs] == ["count(4)", "count(5)"]
    (row, _), *more = kept(record_stage(cleaned, RECIPE), RECIPE, guard, tally)
    assert not more
    assert row.row.trace_id == job.keys[1]
    assert tally.dropped == {"time": 1}
    assert tally.losses == {job.keys[0]: "time"}


@pytest.mark.parametrize("cause", ["unstable: two recordings differ", "memory: MemoryError"])
def test_accidents_are_counted_by_cause_and_remembered(cause):
    tally = Tally()
    job = Job(work=work(COUNT, "count(1)"), keys=("k",))
    takes = [Take(key="k", origin="generated", result=Recorded(trace=None, cause=cause))]
    assert list(kept([((job, takes), 1)], RECIPE, NO_GUARD, tally)) == []
    assert tally.losses == {"k": cause.partition(":")[0]}
    assert tally.dropped == {cause.partition(":")[0]: 1}


def test_a_trace_with_an_address_in_it_is_dropped(recorded):
    assert through([("mail", recorded["mail"])]) == ([], {"secret or address": 1})


class Suites:
    """A source whose work is no source text: each piece gives several traces, and it reads far ahead."""

    name, kinds, weight = "suites", ("suite",), 1.0

    def __init__(self, takes):
        self.takes = takes

    def record(self, jobs, options):
        for job in list(jobs):
            yield [Take(key=f"{job.keys[0]}/{n}", origin="suite", result=each) for n, each in enumerate(self.takes)]


def test_sources_of_different_kinds_keep_the_order_of_the_plan(recorded):
    suites = Suites([recorded["few"], recorded["raises"]])
    programs = [(Generated(), Job(work=work(COUNT, f"count({n})"), keys=(f"p{n}",))) for n in range(3)]
    suite = Work(source=None, runs=(Run(kind="suite"),), max_rows=9)
    others = [(suites, Job(work=suite, keys=(f"s{n}",))) for n in range(3)]
    mixed = [programs[0], others[0], others[1], programs[1], programs[2], others[2]]
    recipe = Mixed([Generated(), suites])
    results = list(stages.recorded(((each, n) for n, each in enumerate(mixed)), recipe))
    assert [job.keys[0] for (job, _), _ in results] == ["p0", "s0", "s1", "p1", "p2", "s2"]
    assert [state for _, state in results] == list(range(6))
    keys = [[take.key for take in takes] for (_, takes), _ in results]
    assert keys[:2] == [["p0"], ["s0/0", "s0/1"]]
    assert [take.result.trace.outcome for take in results[3][0][1]] == ["returned"]


class Mixed:
    def __init__(self, sources):
        self.sources, self.options = sources, RECIPE.options


def test_traces_of_work_without_a_source_are_guarded_by_their_context(recorded):
    guard = Guard(heldout=frozenset([source_key(COUNT)]), detector=Detector([]))
    job = Job(work=Work(source=None, runs=(Run(kind="suite"),), max_rows=9), keys=("s",))
    takes = [Take(key=name, origin="suite", result=recorded[name]) for name in ("few", "raises")]
    tally = Tally()
    assert [each.row.trace_id for each, _ in kept([((job, takes), 1)], RECIPE, guard, tally)] == ["raises"]
    assert tally.dropped == {"held out": 1}


@pytest.mark.parametrize("name", ["few", "many", "raises", "wide"])
def test_the_estimate_follows_the_text_that_a_model_reads(recorded, name):
    trace = recorded[name].trace
    text = re.sub(r"<\|\w+\|>", "####", render_text(trace))
    assert 0.75 < estimate_tokens(trace) * CHARS_PER_TOKEN / len(text) < 1.5

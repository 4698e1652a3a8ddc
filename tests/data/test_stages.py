import re

import pytest

from opencwm.data.decontaminate import Detector
from opencwm.data.recipe import Recipe
from opencwm.data.record import Recorded, record_many
from opencwm.data.stages import CHARS_PER_TOKEN, Candidate, Guard, Job, Tally, clean, estimate_tokens, kept
from opencwm.trace.text import render_text

RECIPE = Recipe(max_frames=20, max_tokens=400)
COUNT = "def count(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total\n"
NO_GUARD = Guard(heldout=frozenset(), detector=Detector([]))


def candidate(source, *calls, position=0, max_calls=6):
    return Candidate(
        position=position, source=source, calls=tuple((call, "generated") for call in calls), max_calls=max_calls
    )


def through(results, recipe=RECIPE, **settings):
    """What `kept` makes of these results of one program: the calls kept, and the tally."""
    one, tally = candidate(COUNT, **settings), Tally()
    stage = [((Job(key=call, call=call, origin="generated", of=one), result), 1) for call, result in results]
    rows = [row.trace_id for row, _ in kept(stage, recipe, tally)]
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
        "broken": ("def f(x:\n", "f(0)"),
    }
    return dict(zip(programs, record_many(programs.values(), trusted=True), strict=True))


def test_useful_traces_are_kept(recorded):
    assert through([("few", recorded["few"]), ("raises", recorded["raises"])]) == (["few", "raises"], {})


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("many", "too many frames"),
        ("wide", "too many tokens"),
        ("name", "NameError"),
        ("exits", "outcome exit"),
        ("broken", "not recorded: SyntaxError"),
    ],
)
def test_what_is_of_no_use_is_dropped_for_a_reason(recorded, name, reason):
    assert through([(name, recorded[name])]) == ([], {reason: 1})


def test_what_shows_nothing_new_is_dropped(recorded):
    again = ("again", Recorded(trace=recorded["few"].trace))
    assert through([("few", recorded["few"]), again, ("other", recorded["other"])]) == (
        ["few", "other"],
        {"nothing new": 1},
    )


def test_no_more_than_asked_for_is_kept(recorded):
    results = [(name, recorded[name]) for name in ("few", "other", "raises")]
    assert through(results, max_calls=2) == (["few", "other"], {"nothing new": 1})


def test_equal_programs_come_once():
    other_names = COUNT.replace("total", "acc").replace("count", "sum_up")
    stage = [
        (candidate(COUNT, "count(2)", "count(3)"), 1),
        (candidate(other_names, "sum_up(3)", "sum_up(4)", position=1), 2),
    ]
    tally = Tally()
    jobs = [(job.call, state) for job, state in clean(stage, NO_GUARD, tally)]
    assert jobs == [("count(2)", 1), ("count(3)", 1), ("sum_up(4)", 2)]
    assert tally.dropped == {"duplicate": 1}


@pytest.mark.parametrize("name", ["few", "many", "raises", "wide"])
def test_the_estimate_follows_the_text_that_a_model_reads(recorded, name):
    trace = recorded[name].trace
    text = re.sub(r"<\|\w+\|>", "####", render_text(trace))
    assert 0.75 < estimate_tokens(trace) * CHARS_PER_TOKEN / len(text) < 1.5

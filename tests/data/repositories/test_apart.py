"""Two recordings of a portion's tests: what is kept of both, what is told to be unstable, and what is lost."""

import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from answering import Answering

from opencwm.data.repositories.apart import LOST, PLUGIN, Portion, record_portion
from opencwm.data.repositories.suite import JOB, LOG, OUT, Environment, SuiteLimits
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.options import Options
from opencwm.trace.recording.recorder import Recorder

OPTIONS = Options(on_budget="stop_recording")
ENVIRONMENT = Environment(python=sys.executable, readable=(), native=None)


def double(n):
    m = n + n
    return m


@pytest.fixture(scope="module")
def trace():
    with Recorder(OPTIONS, [__file__]) as recorder:
        double(3)
    recorder.headers[0]["test"] = {"id": "t", "outcome": "passed"}
    (text,) = recorder.lines()
    return Trace.from_json(text)


def changed(trace, *, test="t", outcome=None, **end):
    """The trace of another test, or with another last frame."""
    header = {**trace.header, "test": {"id": test, "outcome": "passed"}, "outcome": outcome or trace.outcome}
    return Trace(header, [*trace.frames[:-1], replace(trace.frames[-1], **end)])


def left(*traces, lost=()):
    notes = "".join(json.dumps({"test": test, "cause": cause}) + "\n" for test, cause in lost)
    lines = "".join(trace.to_json() + "\n" for trace in traces)
    return {OUT: gzip.compress(lines.encode()), f"work/{LOST}": notes.encode(), LOG: b"first\nno tests ran\n"}


def record(sandbox, **known):
    return record_portion(
        Portion(root=".", files=("test_x.py",)), ENVIRONMENT, known=known, options=OPTIONS, sandbox=sandbox,
        limits=SuiteLimits(), test_s=1.0,
    )  # fmt: skip


def test_what_a_frame_showed_only_once_is_told_and_shown_to_nobody(trace):
    found = record(Answering(left(trace), left(changed(trace, value="7"))))
    last, thread = len(trace.frames) - 1, trace.header["thread"]
    assert (found.unstable, found.lost) == ({("t", thread): frozenset({last})}, {})
    assert [kept.frames for kept in found.traces] == [changed(trace, value="").frames]


def test_a_test_that_took_another_way_is_lost_and_the_others_are_not(trace):
    other = changed(trace, test="u")
    for again in ([changed(trace, line_no=99)], [], [trace, trace]):
        found = record(Answering(left(trace, other), left(*again, other)))
        assert found.lost == {"t": "unstable"}
        assert [kept.to_json() for kept in found.traces] == [other.to_json()]


def test_addresses_are_left_out_and_numbers_that_may_be_some_are_unstable(trace):
    first, again = (left(changed(trace, value=f"<object object at 0x7f{digits}>")) for digits in ("a" * 10, "b" * 10))
    found = record(Answering(first, again))
    assert [kept.frames[-1].value for kept in found.traces] == ["<object object>"]
    assert list(found.unstable.values()) == [frozenset()]
    number = left(changed(trace, value="140737344063600"))
    assert list(record(Answering(number, number)).unstable.values()) == [frozenset({len(trace.frames) - 1})]


def test_what_was_lost_once_is_not_run_again_but_what_was_unstable_is(trace):
    half, ours = changed(trace, test="u"), left(trace)
    sandbox = Answering(left(trace, half, lost=[("u", "crash")]), ours)
    found = record(sandbox, v="time", w="unstable")
    assert found.lost == {"u": "crash", "v": "time", "w": "unstable"}
    assert [kept.header["test"]["id"] for kept in found.traces] == ["t"]
    jobs = [json.loads(json.loads(files[JOB])["environment"]["OPENCWM_APART"]) for files in sandbox.asked]
    assert [job["known"] for job in jobs] == [["v"], ["u", "v"]]


def test_a_trace_that_the_clock_has_cut_is_not_kept(trace):
    cut = left(changed(trace, outcome="budget"))
    assert record(Answering(cut, cut)).traces == []


def test_why_a_portion_has_no_traces():
    assert record(Answering(left())) == "no tests: no tests ran"
    all_lost = left(lost=[("t", "crash")])
    assert record(Answering(all_lost, all_lost)).lost == {"t": "crash"}
    assert record(Answering({LOG: b"Traceback\nOSError: no\n"})) == "crash: OSError: no"
    assert record(Answering({**left(), f"work/{LOST}": b"[]\n"})).startswith("crash: its list of lost tests")


def test_the_parts_of_a_portion_are_all_of_it_and_chance_is_the_same_in_each():
    code = (
        "import random, opencwm_apart; items = list(range(10)); opencwm_apart.pytest_collection_modifyitems(items); "
        "print(items); print(random.random(), random.Random().random())"
    )
    parts, chances = [], set()
    for part in range(3):
        job = json.dumps({"part": [part, 3]})
        env = {**os.environ, "OPENCWM_APART": job, "PYTHONPATH": str(PLUGIN)}
        said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
        items, chance = said.splitlines()
        parts.append(json.loads(items))
        chances.add(chance)
    assert [item for part in parts for item in part] == list(range(10))
    assert [len(part) for part in parts] == [3, 3, 4]
    assert len(chances) == 1

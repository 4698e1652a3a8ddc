"""Suites of every kind, recorded by the plugin: a record per test id, results as without us."""

import os
import sys
from pathlib import Path

import pytest
from interpreters import need

from opencwm.trace.recording.options import Options

ODD = """\
import asyncio, builtins, io, json, os, threading, time, unittest
import hypothesis
import pytest
from hypothesis import strategies as st
from calc import half, later


@pytest.mark.parametrize("text", ["a b", "é→", "x/y", "[]", "\\n", "::", "\\x00", "\\u2028", "\\U0001f600"])
def test_id(text):
    assert half(len(text) * 2) == len(text)


def test_folder_is_gone(tmp_path):
    os.chdir(tmp_path)
    os.rmdir(tmp_path)
    assert half(4) == 2


def test_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(half(10)))
    thread.start()
    thread.join()
    assert found == [5]


def test_asyncio():
    async def both():
        return await asyncio.gather(later(2), later(4))

    assert asyncio.run(both()) == [1, 2]


class TestOld(unittest.TestCase):
    def test_fails(self):
        self.assertEqual(half(4), 3)

    def test_subtests(self):
        for n in (2, 4):
            with self.subTest(n=n):
                self.assertEqual(half(n), n // 2)

    @unittest.skip("not now")
    def test_skipped(self):
        half(2)


class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_later(self):
        self.assertEqual(await later(4), 2)


@pytest.mark.xfail
def test_xfails():
    assert half(2) == 5


@pytest.mark.xfail
def test_xpasses():
    assert half(2) == 1


def test_replaces_what_we_use(monkeypatch):
    monkeypatch.setattr(builtins, "open", None)
    monkeypatch.setattr(io, "open", None)
    monkeypatch.setattr(os, "getpid", lambda: 7)
    monkeypatch.setattr(json, "dumps", None)
    monkeypatch.setattr(time, "monotonic", lambda: 10.0**9)
    assert half(2) == 1


def test_nothing_is_printed(capfd):
    half(2)
    assert capfd.readouterr() == ("", "")


@hypothesis.given(st.integers())
@hypothesis.settings(deadline=0.001, database=None, max_examples=3)
def test_deadline(n):
    assert half(n * 2) == n


def test_a_session_inside():
    with open("inner_test.py", "w") as file:
        file.write("from calc import half\\ndef test_inner():\\n    assert half(2) == 1\\n")
    os.environ["RESULTS"] = os.devnull
    assert pytest.main(["-q", "-p", "no:cacheprovider", "inner_test.py"]) == 0
    os.remove("inner_test.py")


def test_request(request, monkeypatch):
    half(2)


@pytest.fixture(autouse=True)
def here(request):
    folder, results = os.getcwd(), os.environ["RESULTS"]
    half(100)
    yield
    half(100)
    os.chdir(folder)
    os.environ["RESULTS"] = results
"""


@pytest.fixture(scope="module")
def odd(project):
    found = project(ODD)
    return found, *found.record("--doctest-modules", "--ignore=results.py", "-W", "error")


def test_the_results_are_those_of_a_run_without_us(odd):
    found, suite, _, results = odd
    status, plain = found.run("--doctest-modules", "--ignore=results.py", "--deselect=test_it.py::test_deadline")
    assert (suite.status, status, suite.notes) == (1, 1, [])
    deadline = results["test_it.py::test_deadline"]  # fails without us: nothing is that quick
    results = {test: phases for test, phases in results.items() if not test.endswith("test_deadline")}
    assert results == plain
    assert [outcome for _, outcome, _ in deadline] == ["passed"] * 3


def test_every_test_has_one_record(odd):
    _, suite, traces, results = odd
    ran = {test.partition("::")[2] for test, phases in results.items() if any(when == "call" for when, *_ in phases)}
    assert traces.keys() == ran - {"TestOld::test_skipped"}
    assert (suite.num_recorded, suite.num_tests) == (len(traces), len(ran))
    assert suite.num_traces == sum(map(len, traces.values())) == len(traces) + 1  # and one more thread
    assert suite.outcomes == {"failed": 1, "passed": len(ran) - 4, "skipped": 1, "xfailed": 1, "xpassed": 1}
    outcomes = {name: trace.header["test"]["outcome"] for name, (trace, *_) in traces.items()}
    assert [outcomes[name] for name in ("TestOld::test_fails", "test_xfails", "test_xpasses", "calc.half")] == [
        "failed", "xfailed", "xpassed", "passed",
    ]  # fmt: skip


def test_records_stand_in_the_order_of_ids(odd):
    names = [trace.header["test"]["id"] for traces in odd[2].values() for trace in traces]
    assert names == sorted(names)


def test_a_record_is_of_the_call_alone(odd):
    for name, (trace, *_) in odd[2].items():
        assert trace.outcome in ("returned", "raised") or name == "calc.half", name  # doctest sets the trace function
        assert trace.frames[0].event == "call"
        assert not any("100" in frame.source_line for frame in trace.frames), f"{name} shows the fixture"
        assert any(frame.source_line == "def half(n):" for frame in trace.frames) or name == "test_thread", name


def test_what_leads_to_the_whole_session_is_not_read(odd):
    shown = odd[2]["test_request"][0].frames[0].locals.set
    assert (shown["request"][-8:], shown["monkeypatch"]) == ("Request>", "<MonkeyPatch>")
    shown = odd[2]["TestOld::test_fails"][0].frames[0].locals.set["self"]
    assert shown.startswith("<TestOld _testMethodName='test_fails' _outcome=<_Outcome> ")


def test_a_session_inside_a_test_is_part_of_it(odd):
    (trace,) = odd[2]["test_a_session_inside"]
    assert "def test_inner():" in [frame.source_line for frame in trace.frames]
    assert "test_inner" not in odd[2]


CRASH = """\
import os, signal
import pytest
from calc import half


def test_before():
    half(2)


def test_crash():
    half(2)
    WAY


def test_after():
    half(2)
"""


@pytest.mark.parametrize(
    ("way", "status"),
    [("os.kill(os.getpid(), signal.SIGKILL)", 128 + 9), ("os._exit(4)", 4), ("pytest.exit('enough')", 2)],
)
def test_what_was_recorded_before_a_crash_is_kept(project, way, status):
    suite, traces, _ = project(CRASH.replace("WAY", way)).record("-p", "no:faulthandler")
    assert suite.status == status
    if "exit('" in way:
        assert (list(traces), suite.notes) == (["test_before", "test_crash"], [])
        assert suite.outcomes == {"passed": 1, "stopped": 1}
        return
    assert (list(traces), suite.outcomes) == (["test_before"], {"passed": 1})
    assert suite.notes[-1] == "the interpreter did not come back from test_it.py::test_crash"
    assert (suite.notes[0] == "the interpreter was ended by SIGKILL; what it had recorded is kept") == (status > 128)


COVERED = """\
import pytest
from calc import half


def test_even():
    assert half(2) == 1


def test_odd():
    with pytest.raises(ValueError):
        half(1)
"""
COVERAGE = ["-p", "pytest_cov", "--cov=calc", "--cov-fail-under=70"]
"""Without the tests' own calls, coverage is below that."""


@pytest.mark.parametrize("workers", [[], ["-p", "xdist", "-n", "2"]], ids=["alone", "xdist"])
def test_coverage_is_switched_off_where_there_is_one_trace_function(project, workers):
    suite, traces, results = project(COVERED).record(*COVERAGE, *workers)
    assert (suite.status, list(traces), suite.outcomes) == (0, ["test_even", "test_odd"], {"passed": 2})
    assert len(results) == 2
    if sys.version_info < (3, 12):
        assert suite.notes == [
            "coverage was switched off: this interpreter has one trace function, and recording took it"
        ]


def other_environment(folder, version):
    """An interpreter of this version with pytest and coverage, and nothing of ours: it borrows pure-Python packages."""
    python = need(version)
    site = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    for name in (
        "pytest",
        "_pytest",
        "pluggy",
        "iniconfig",
        "packaging",
        "pygments",
        "pytest_cov",
        "coverage",
        "py.py",
    ):
        os.symlink(site / name, folder / name)
    for info in (*site.glob("pytest_cov-*"), *site.glob("pytest-*"), *site.glob("coverage-*")):
        os.symlink(info, folder / info.name)
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{folder}" exec {python} "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_coverage_and_recording_live_side_by_side_from_3_12_on(project, tmp_path, version):
    python = other_environment(tmp_path, version)
    found = project(COVERED + "\n\ndef test_ours_is_not_there():\n    pytest.importorskip('opencwm')\n")
    few = Options(max_frames=4)  # a spent budget takes nothing from coverage either
    suite, traces, _ = found.record(*COVERAGE, python=python, options=few)
    header = traces["test_even"][0].header
    assert (suite.status, suite.outcomes, header["outcome"]) == (0, {"passed": 2, "skipped": 1}, "budget")
    assert header["python"].startswith(version)
    assert suite.notes == [] or header["mechanism"] == "settrace"

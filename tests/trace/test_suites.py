"""A project's suite, recorded in its own process by the plugin: traces per test, results as without us."""

import re
import subprocess
import sys

import pytest

from opencwm.errors import ConfigError
from opencwm.trace.files import read_traces
from opencwm.trace.suites import record_suite

CALC = """\
def half(n):
    if n % 2:
        raise ValueError("odd")
    return n // 2
"""
TESTS = """\
import threading

import pytest

from calc import half


@pytest.mark.parametrize("n", [4, 6])
def test_even(n):
    assert half(n) * 2 == n


def test_wrong():
    assert half(8) == 5


def test_odd():
    with pytest.raises(ValueError):
        half(3)


def test_skipped():
    pytest.skip("not now")


def test_in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(half(10)))
    thread.start()
    thread.join()
    assert found == [5]
"""
ARGUMENTS = ["-q", "-p", "no:cacheprovider", "tests"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "calc.py").write_text(CALC)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_calc.py").write_text(TESTS)
    return folder


@pytest.fixture(scope="module")
def suite(project):
    made = record_suite(project / "out.jsonl", ARGUMENTS, folder=project)
    return made, list(read_traces(project / "out.jsonl"))


def by_test(traces):
    return {trace.header["test"]["id"].partition("::")[2]: trace for trace in traces if trace.header["thread"] == 0}


def test_every_test_has_its_trace_and_outcome(suite):
    made, traces = suite
    assert (made.status, made.num_tests, made.num_traces) == (1, 6, 7)
    assert made.num_frames == sum(len(trace.frames) for trace in traces)
    outcomes = {name: trace.header["test"]["outcome"] for name, trace in by_test(traces).items()}
    assert outcomes == {
        "test_even[4]": "passed", "test_even[6]": "passed", "test_wrong": "failed", "test_odd": "passed",
        "test_skipped": "skipped", "test_in_a_thread": "passed",
    }  # fmt: skip


def test_the_frames_are_those_of_the_test_and_what_it_calls(suite):
    trace = by_test(suite[1])["test_even[6]"]
    shown = [(f.event, f.depth, f.file, f.source_line.strip()) for f in trace.frames]
    assert shown == [
        ("call", 0, "tests/test_calc.py", "def test_even(n):"),
        ("line", 0, "tests/test_calc.py", "assert half(n) * 2 == n"),
        ("call", 1, "calc.py", "def half(n):"),
        ("line", 1, "calc.py", "if n % 2:"),
        ("line", 1, "calc.py", "return n // 2"),
        ("return", 1, "calc.py", "return n // 2"),
        ("return", 0, "tests/test_calc.py", "assert half(n) * 2 == n"),
    ]
    failed = by_test(suite[1])["test_wrong"]
    assert failed.outcome == "raised"
    assert failed.header["exception"].startswith("AssertionError(")


def test_threads_are_traces_of_their_own(suite):
    threads = [trace for trace in suite[1] if trace.header["thread"] > 0]
    assert [trace.header["test"]["id"] for trace in threads] == ["tests/test_calc.py::test_in_a_thread"]
    assert "def half(n):" in [frame.source_line for frame in threads[0].frames]


def test_the_scope_leaves_the_rest_out(project, tmp_path):
    made = record_suite(tmp_path / "out.jsonl", ARGUMENTS, folder=project, scope=[project / "calc.py"])
    files = {frame.file for trace in read_traces(tmp_path / "out.jsonl") for frame in trace.frames}
    assert (made.num_tests, made.num_recorded, files) == (6, 5, {"calc.py"})


def test_the_results_are_those_of_a_run_without_us(project, capfd):
    def summary(text):
        return re.sub(r" in [\d.]+s", "", text.strip().splitlines()[-1])

    argv = [sys.executable, "-m", "pytest", *ARGUMENTS]
    plain = subprocess.run(argv, cwd=project, capture_output=True, text=True)
    capfd.readouterr()
    made = record_suite(project / "again.jsonl", ARGUMENTS, folder=project)
    assert made.status == plain.returncode == 1
    assert summary(capfd.readouterr().out) == summary(plain.stdout)


def test_an_interpreter_without_pytest_is_refused_and_nothing_is_written(project, tmp_path):
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(ConfigError, match="has no pytest"):
        record_suite(tmp_path / "out.jsonl", folder=project, python=str(tmp_path / "python"))
    with pytest.raises(ConfigError, match="cannot be run"):
        record_suite(tmp_path / "out.jsonl", folder=project, python=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="there is no folder"):
        record_suite(tmp_path / "none" / "out.jsonl", folder=project)
    assert not (tmp_path / "out.jsonl").exists()

"""Processes that tests start: each is recorded up to its end, whichever way it takes, under the test's id."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import pytest
from interpreters import VERSIONS, need

from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.options import Options
from opencwm.trace.suites import PLUGIN, RECORDING, START_UP, native_of

CHILDREN = """\
import multiprocessing, os, subprocess, sys
import calc
from calc import half


def test_script():
    done = subprocess.run([sys.executable, calc.__file__, "8"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "4\\n", "")


def test_pool():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(half, [2, 4]) == [1, 2]
        pool.close()
        pool.join()  # without it the worker gets SIGTERM, at any moment


def test_fork():
    child = os.fork()
    if child == 0:
        half(2)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_spawn():
    child = multiprocessing.get_context("spawn").Process(target=half, args=(3,))
    child.start()
    child.join()
    assert child.exitcode == 1


def test_a_process_without_our_environment():
    assert subprocess.run([sys.executable, "-I", "-c", "x = 1"], env={}).returncode == 0


def test_a_child_that_comes_back():
    child = os.fork()
    assert child == 0 or os.waitpid(child, 0)[1] == 0
    half(2)
    if child == 0:
        os._exit(0)
"""


@pytest.fixture(scope="module")
def children(project):
    return project(CHILDREN).record("-W", "ignore::DeprecationWarning", with_children=True)


def test_every_process_has_its_traces_after_those_of_the_test(children):
    suite, traces, results = children
    assert (suite.status, suite.notes, suite.outcomes) == (0, [], {"passed": 6})
    assert {outcome for phases in results.values() for _, outcome, _ in phases} == {"passed"}
    shape = {
        name: [(t.header["process"], t.header["entry"], t.outcome) for t in found] for name, found in traces.items()
    }
    assert shape == {
        "test_script": [(0, "test_script", "returned"), (1, "<module>", "exit")],
        "test_pool": [(0, "test_pool", "returned"), (1, "test_pool", "exit")],
        "test_fork": [(0, "test_fork", "returned"), (1, "test_fork", "exit")],
        "test_spawn": [(0, "test_spawn", "returned"), (1, "half", "raised")],
        "test_a_process_without_our_environment": [(0, "test_a_process_without_our_environment", "returned")],
        "test_a_child_that_comes_back": [
            (0, "test_a_child_that_comes_back", "returned"), (1, "test_a_child_that_comes_back", "exit"),
        ],
    }  # fmt: skip
    assert suite.num_processes == 5
    assert traces["test_script"][1].header["exception"] == "SystemExit(3)"
    for found in traces.values():
        assert {trace.header["test"]["outcome"] for trace in found} == {"passed"}


def test_a_forked_process_shows_what_it_did_and_how_it_came_there(children):
    parent, child = children[1]["test_fork"]
    shown = [frame.source_line.strip() for frame in child.frames]
    assert shown[:3] == ["def test_fork():", "child = os.fork()", "if child == 0:"]
    assert shown[-1] == "os._exit(7)"
    assert "os._exit(7)" not in [frame.source_line.strip() for frame in parent.frames]


SCRIPT = """\
import calc, sys


class Local:
    x = 1


calc.half(4)
WAY
"""
ENDS = {
    "pass": ("returned", None, 0),
    "sys.exit(3)": ("exit", "SystemExit(3)", 3),
    "import os; os._exit(4)": ("exit", None, 4),
    "import os, signal; os.kill(os.getpid(), signal.SIGTERM)": ("exit", None, -15),
    "calc.half(3)": ("raised", "ValueError('odd')", 1),
}


@pytest.fixture
def start(project, tmp_path):
    """Runs a script as a test of a recorded suite would; its traces, what was printed, and its status."""

    def start(text, python=sys.executable, **more):
        folder = project("").folder
        (folder / "script.py").write_text(text)
        job = {
            "recording": str(RECORDING),
            "out": str(tmp_path),
            "scope": [str(folder)],
            "options": asdict(Options(on_budget="stop_recording")),
            "native": native_of(python),
            "with_children": True,
        }
        (tmp_path / "job.json").write_text(json.dumps(job))
        environment = {
            "OPENCWM_TRACE": str(tmp_path / "job.json"),
            "PYTHONPATH": os.pathsep.join([str(START_UP), str(PLUGIN), *more.pop("path", [])]),
            "PYTEST_CURRENT_TEST": "test_it.py::test (call)",
            **more,
        }
        done = subprocess.run([python, "script.py"], cwd=folder, env=environment, capture_output=True, text=True)
        lines = [line for part in sorted(tmp_path.glob("*.jsonl")) for line in part.read_text().splitlines()]
        return [Trace.from_json(line) for line in lines], done.stdout + done.stderr, done.returncode

    return start


@pytest.mark.parametrize("way", ENDS, ids=lambda way: way.split("(")[0].split()[-1])
def test_a_process_is_recorded_whichever_way_it_ends(start, way):
    (trace,), printed, status = start(SCRIPT.replace("WAY", way))
    assert (trace.outcome, trace.header["exception"], status) == ENDS[way]
    assert ("Traceback" in printed) == (status == 1)
    files = [(frame.file, frame.source_line) for frame in trace.frames if frame.event == "call"]
    assert files[:3] == [("script.py", "import calc, sys"), ("script.py", "class Local:"), ("calc.py", "def half(n):")]


@pytest.mark.parametrize("version", VERSIONS)
def test_it_works_on_every_interpreter(start, version):
    (trace,), printed, status = start(SCRIPT.replace("WAY", "print(calc.half(8))"), need(version))
    assert (printed, status, trace.outcome) == ("4\n", 0, "returned")
    assert trace.header["python"].startswith(version)


def test_the_project_s_own_start_up_runs_first(start, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys\nsys.own = __name__, __file__, sys.modules[__name__].__file__\n")
    (trace,), printed, status = start(
        "import sys, sitecustomize\nprint(sys.own, sitecustomize.__file__)\n", path=[str(own)]
    )
    path = str(own / "sitecustomize.py")
    assert (printed, status) == (f"{('sitecustomize', path, path)} {path}\n", 0)
    assert trace.outcome == "returned"


@pytest.mark.parametrize("phase", ["test_it.py::test (setup)", ""])
def test_processes_outside_a_test_s_call_are_left_alone(start, phase):
    text = "import sys\nprint('_opencwm_recording' in sys.modules, sys.gettrace())\n"
    assert start(text, PYTEST_CURRENT_TEST=phase) == ([], "False None\n", 0)

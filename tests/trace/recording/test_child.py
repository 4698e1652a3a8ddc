"""The child program: every way in, and every way that a program can end."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opencwm.trace import recording
from opencwm.trace.recording.frame import Trace

CHILD = Path(recording.__file__).parent / "child.py"


class Done:
    """What came out of one child."""

    def __init__(self, process, lines):
        self.status = process.returncode
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.lines = [json.loads(line) for line in lines]
        self.traces = [Trace.from_json(line) for line in lines if "header" in json.loads(line)]

    @property
    def outcomes(self):
        return [trace.outcome for trace in self.traces]


@pytest.fixture
def run(tmp_path):
    def run(job, stdin="", flags=("-I",)):
        (tmp_path / "job.json").write_text(json.dumps(job))
        argv = [sys.executable, *flags, str(CHILD), "job.json", "out.json"]
        process = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, cwd=tmp_path)
        return Done(process, (tmp_path / "out.json").read_text(encoding="utf-8").splitlines())

    return run


def test_a_source_and_a_call(run):
    done = run({"source": "def f(x):\n    return {x, 'a', 'b'}\n", "call": "f(3)"})
    assert (done.status, done.stdout, done.stderr, done.outcomes) == (0, "", "", ["returned"])
    header = done.traces[0].header
    assert (header["entry"], header["hash_seed"], header["thread"]) == ("main", 0, 0)
    again = run({"source": "def f(x):\n    return {x, 'a', 'b'}\n", "call": "f(3)"}, flags=("-s",))
    assert again.traces[0].frames == done.traces[0].frames


def test_a_script_has_its_arguments_input_and_neighbours(run, tmp_path):
    (tmp_path / "neighbour.py").write_text("name = 'n'\n")
    source = (
        "# -*- coding: latin-1 -*-\nimport sys, neighbour\nx = 'é'\nprint(__name__, sys.argv[1:], input(), x, end='')\n"
    )
    (tmp_path / "script.py").write_text(source, encoding="latin-1")
    done = run({"path": "script.py", "argv": ["a", "b"]}, stdin="typed\n")
    assert done.stdout == "__main__ ['a', 'b'] typed é"
    assert [frame.file for frame in done.traces[0].frames] == ["script.py"] * 5
    assert done.traces[0].frames[-2].locals.set == {"x": "'é'"}


def test_a_module_is_run_as_by_m(run, tmp_path):
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "other.py").write_text("def g():\n    return 1\n")
    (package / "__main__.py").write_text("from . import other\nprint(__name__, __package__, other.g())\n")
    done = run({"module": "pack", "scope": [str(package)]})
    assert done.stdout == "__main__ pack 1\n"
    assert {frame.file for frame in done.traces[0].frames} == {"__main__.py", "other.py"}
    assert run({"module": "pack.other", "call": "g()"}).traces[0].frames[-1].value == "1"


def test_output_is_the_programs_own(run):
    source = "import sys, traceback\nprint('out')\nprint('err', file=sys.stderr)\n"
    done = run({"source": source})
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_an_uncaught_exception_is_reported_as_the_interpreter_does(run, tmp_path):
    (tmp_path / "bad.py").write_text("def f():\n    return 1 / 0\n\nf()\n")
    done = run({"path": "bad.py"})
    plain = subprocess.run([sys.executable, "bad.py"], capture_output=True, text=True, cwd=tmp_path)
    last = plain.stderr.splitlines()[-1]
    assert done.outcomes == ["raised"]
    assert done.traces[0].header["exception"] == "ZeroDivisionError('division by zero')"
    assert done.stderr.splitlines()[-1] == last
    assert "recording" not in done.stderr


def test_ways_to_leave_a_process(run):
    done = run({"source": "import sys\ndef f():\n    sys.exit('bye')\nf()\n"})
    assert (done.outcomes, done.traces[0].header["exception"], done.stderr) == (["exit"], "SystemExit('bye')", "bye\n")
    done = run({"source": "import os\nx = 1\nos._exit(7)\n"})
    assert (done.status, done.outcomes) == (7, ["exit"])
    assert done.traces[0].frames[-1].source_line == "os._exit(7)"
    done = run({"source": "import os\nos.execvp('echo', ['echo', 'replaced'])\n"})
    assert (done.stdout, done.outcomes) == ("replaced\n", ["exit"])


def test_a_forked_child_is_none_of_ours(run):
    source = "import os, sys\npid = os.fork()\nif pid == 0:\n    x = 1\nelse:\n    os.waitpid(pid, 0)\n    y = 2\n"
    done = run({"source": source})
    assert done.outcomes == ["returned"]
    assert done.traces[0].frames[-1].source_line == "    y = 2"


STUBBORN = "def f():\n    while True:\n        try:\n            x = 1\n        except:\n            pass\n"


def test_a_program_that_will_not_stop_is_ended(run):
    jobs = [
        {"source": "def g():\n    return 1\n", "call": "g()"},
        {"source": STUBBORN, "call": "f()", "options": {"max_frames": 41}},
        {"source": "def g():\n    return 1\n", "call": "g()"},
    ]
    done = run({"jobs": jobs})
    assert (done.status, done.outcomes) == (0, ["returned", "budget"])
    assert done.traces[1].header["num_frames"] == 41
    assert done.traces[1].header["truncated"]["frames"]


@pytest.mark.parametrize(
    "source",
    [
        "import time\ndef f():\n    time.sleep(50)\n",
        "while True: pass\ndef f(): pass\n",
        "import time\ndef f():\n    while True:\n        try: time.sleep(50)\n        except BaseException: pass\n",
    ],
)
def test_time_runs_out_where_no_frame_is_recorded(run, source):
    since = time.monotonic()
    done = run({"source": source, "call": "f()", "options": {"timeout_s": 0.2}})
    assert (done.status, done.outcomes, done.stderr) == (0, ["budget"], "")
    assert time.monotonic() - since < 40


def test_a_well_behaved_program_stops_and_the_next_one_runs(run):
    loop = {"source": "def f():\n    while True:\n        pass\n", "call": "f()", "options": {"max_bytes": 2000}}
    done = run({"jobs": [loop, loop, {"source": "def g():\n    return 2\n", "call": "g()"}]})
    assert done.outcomes == ["budget", "budget", "returned"]
    assert 1800 < done.traces[0].header["num_bytes"] <= 2000


def test_threads_have_traces_of_their_own(run):
    source = "import threading\ndef work(n):\n    return n\n"
    source += "for i in (1, 2):\n    threading.Thread(target=work, args=(i,)).start()\n"
    done = run({"source": source})
    assert [trace.header["thread"] for trace in done.traces] == [0, 1, 2]
    assert sorted(trace.frames[-1].value for trace in done.traces[1:]) == ["1", "2"]
    assert [frame.depth for frame in done.traces[1].frames] == [0, 0, 0]
    assert len(run({"jobs": [{"source": source}]}).lines) == 1


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"source": "def f(:\n"}, "SyntaxError"),
        ({"source": "x = 1\0"}, "null byte"),
        ({"source": "x = 1", "call": "f("}, "SyntaxError"),
        ({"source": "x = 1", "call": "import os"}, "SyntaxError"),
        ({"path": "missing.py"}, "missing.py"),
        ({"module": "no_such_module"}, "no_such_module"),
        ({"source": "x = 1", "options": {"max_frame": 1}}, "max_frame"),
        ({"source": "x = 1", "options": {"values": "pretty"}}, "pretty"),
        ({}, "source"),
    ],
)
def test_what_cannot_be_run_is_one_line_that_says_why(run, job, says):
    done = run({"jobs": [job, {"source": "x = 1"}]})
    assert says in done.lines[0]["error"]
    assert "\n" not in done.lines[0]["error"]
    assert done.outcomes == ["returned"]


def test_our_modules_are_not_in_the_programs_way(run):
    source = "try:\n    import frame, values, engine\nexcept ImportError as e:\n    found = str(e)\nimport opencwm\n"
    for flags in (("-I",), ("-s",)):
        done = run({"source": source}, flags=flags)
        assert done.traces[0].frames[6].locals.set["found"] == "\"No module named 'frame'\""

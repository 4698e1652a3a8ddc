import json
import subprocess
import sys

import pytest

from opencwm.data.record import counted, finished_lines, program_of, record_many
from opencwm.errors import SandboxError
from opencwm.sandbox import Enforced, ExecResult
from opencwm.trace.recording import native
from opencwm.trace.recording.options import Options

ADD = "def add(a, b):\n    c = a + b\n    return c\n"
CRASH = "import os\n\ndef crash(n):\n    os.kill(os.getpid(), 9)\n"
HANG = "def hang(n):\n    return sum(range(n))\n"
LOOP = "def loop(n):\n    while True:\n        n += 1\n"


def values(results):
    return [None if each.trace is None else each.trace.frames[-1].value for each in results]


def test_each_program_gives_its_trace_in_order():
    results = list(record_many([(ADD, f"add({n}, 1)") for n in range(150)]))
    assert values(results) == [str(n + 1) for n in range(150)]
    assert all(each.trace.outcome == "returned" for each in results)


def test_a_program_that_is_not_python_costs_only_itself():
    results = list(record_many([(ADD, "add(1, 2)"), ("def f(:\n", "f(1)"), (ADD, "add(1, "), (ADD, "add(3, 4)")]))
    assert values(results) == ["3", None, None, "7"]
    assert all("SyntaxError" in each.cause for each in results[1:3])


def test_a_program_that_kills_its_child_costs_only_itself():
    programs = [(ADD, "add(1, 2)"), (CRASH, "crash(1)"), (CRASH, "crash(2)"), (ADD, "add(3, 4)"), (ADD, "add(5, 6)")]
    results = list(record_many(programs))
    assert values(results) == ["3", None, None, "7", "11"]
    assert [each.cause for each in results[1:3]] == ["crash: signal 9"] * 2


POISON = {
    "time": (HANG, "hang(10 ** 14)"),
    "crash": ("import ctypes\n\ndef f():\n    ctypes.string_at(0)\n", "f()"),
    "memory": ("def f():\n    return len([bytes(10 ** 8) for _ in range(10 ** 4)])\n", "f()"),
    "disk": (
        "def f():\n    for n in range(10000):\n        try:\n            open(str(n), 'wb').write(bytes(10 ** 6))\n"
        "        except OSError:\n            pass\n",
        "f()",
    ),
    "output": ("def f():\n    while True:\n        print('x' * 1000)\n", "f()"),
}


def test_poison_costs_only_itself_and_says_why():
    """Programs that hang inside C, crash the interpreter, eat memory, write 10 GB, flood their output."""
    programs = [(ADD, "add(1, 2)")]
    for poison in POISON.values():
        programs += [poison, (ADD, "add(1, 2)")]
    options = Options(timeout_s=1.0, max_frames=30_000)
    results = [counted(each, options) for each in record_many(programs, options=options, twice=True)]
    assert values(results[::2]) == ["3"] * (len(POISON) + 1)
    assert [each.kind for each in results[1::2]] == list(POISON)
    assert all(each.trace is None for each in results[1::2])


UNSTABLE = {
    "address": "def f():\n    return id(object())\n",
    "time": "import time\n\ndef f():\n    return time.time_ns()\n",
    "chance": "import random\n\ndef f():\n    return random.random()\n",
}


@pytest.mark.parametrize("name", UNSTABLE)
def test_what_differs_between_two_recordings_is_unstable(name):
    results = list(record_many([(ADD, "add(1, 2)"), (UNSTABLE[name], "f()"), (ADD, "add(3, 4)")], twice=True))
    assert values(results) == ["3", None, "7"]
    assert results[1].kind == "unstable"


def test_what_shows_an_address_is_unstable_even_where_addresses_are_fixed():
    code = f"""
from opencwm.data.addresses import fix_addresses
from opencwm.data.record import record_many
print(fix_addresses(), [each.kind for each in record_many([({UNSTABLE["address"]!r}, "f()")], twice=True)])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1)[1] == "['unstable']\n"


def test_what_a_program_leaves_behind_for_the_next_is_unstable():
    leave = ("import decimal\n\ndef f():\n    decimal.getcontext().prec = 3\n", "f()")
    use = ("import decimal\n\ndef g():\n    return str(decimal.Decimal(1) / 3)\n", "g()")
    results = list(record_many([(ADD, "add(1, 2)"), leave, use], twice=True))
    assert [each.kind for each in results] == ["", "", "unstable"]


def test_only_counted_limits_shape_a_trace():
    slow = ("import time\n\ndef f():\n    time.sleep(30)\n", "f()")
    endless = (LOOP, "loop(0)")
    wide = ("def f():\n    x = ''\n    while True:\n        x += 'abc' * 30\n", "f()")
    options = Options(timeout_s=0.5, max_frames=2000, max_bytes=200_000)
    results = [counted(each, options) for each in record_many([slow, endless, wide], options=options)]
    assert [each.kind for each in results] == ["time", "", ""]
    assert [each.trace.outcome for each in results[1:]] == ["budget", "budget"]


def test_an_endless_loop_ends_at_its_budget():
    (result,) = record_many([(LOOP, "loop(0)")], options=Options(max_frames=50))
    assert result.trace.outcome == "budget"
    assert len(result.trace.frames) <= 50


def test_a_program_that_raises_is_recorded():
    (result,) = record_many([("def f(x):\n    return x[3]\n", "f([1])")])
    assert result.trace.outcome == "raised"


def test_string_sets_have_one_order():
    source = "def f(words):\n    return list(set(words))\n"
    calls = [(source, "f(['one', 'two', 'three', 'four', 'five'])")]
    assert values(record_many(calls)) == values(record_many(calls))


@pytest.mark.parametrize("call", ["add(1, 2)", "add(a=1, b='return main()')"])
def test_the_program_is_found_again_in_its_trace(call):
    (result,) = record_many([(ADD, call)])
    assert program_of(result.trace) == (ADD, call)


def test_a_program_is_not_blamed_for_what_its_child_died_of():
    """Every child dies after two programs; whoever is next works in a child of its own."""
    programs = [(ADD, f"add({n}, {n})") for n in range(7)]
    results = list(record_many(programs, sandbox=ScriptedSandbox(lines_per_child=2)))
    assert values(results) == [str(2 * n) for n in range(7)]


def test_a_child_that_never_writes_is_given_up_program_by_program():
    results = list(record_many([(ADD, "add(1, 1)")] * 3, sandbox=ScriptedSandbox(lines_per_child=0)))
    assert [each.cause for each in results] == ["crash: signal 9 (no such option)"] * 3


def test_many_lost_children_in_a_row_are_our_own_failure():
    results = record_many([(ADD, "add(1, 1)")] * 40, sandbox=ScriptedSandbox(lines_per_child=0))
    with pytest.raises(SandboxError, match=r"16 recording children in a row ended without a result; .*no such option"):
        list(results)


def test_a_launcher_that_is_killed_is_started_again_once():
    sandbox = ScriptedSandbox(lines_per_child=2, lost={0, 2})
    assert values(record_many([(ADD, f"add({n}, {n})") for n in range(4)], sandbox=sandbox)) == ["0", "2", "4", "6"]
    with pytest.raises(SandboxError, match="died without a report"):
        list(record_many([(ADD, "add(1, 1)")], sandbox=ScriptedSandbox(lines_per_child=2, lost={0, 1})))


class ScriptedSandbox:
    """Every child writes some lines and half a line more, and is killed; of the runs in `lost`, so is the launcher."""

    def __init__(self, lines_per_child, lost=()):
        self.lines_per_child = lines_per_child
        self.lost = lost
        self.num_runs = 0

    def run(self, argv, *, files, collect, limits, trusted, readable, stdin=b""):
        self.num_runs += 1
        if self.num_runs - 1 in self.lost:
            raise SandboxError("the sandbox's launcher died without a report")
        traces = [one_trace(each) for each in json.loads(files["job.json"])["jobs"]]
        output = b"".join(each + b"\n" for each in traces[: self.lines_per_child]) + traces[-1][:20]
        names = ("user", "network", "processes", "filesystem", "ipc", "non_root", "syscalls")
        return ExecResult(
            ended="signalled",
            status=None,
            signal=9,
            stdout=b"",
            stderr=b"Traceback:\nno such option",
            files={collect[0]: output},
            wall_s=0.0,
            cpu_s=0.0,
            max_rss_bytes=0,
            enforced=Enforced(**dict.fromkeys(names, True)),
        )


def one_trace(job):
    a, b = eval(job["call"], {"add": lambda a, b: (a, b)})
    frame = {"event": "return", "depth": 0, "file": "p", "line_no": 1, "source_line": "x", "value": str(a + b)}
    return json.dumps({"header": {"context": "", "outcome": "returned"}, "frames": [frame]}).encode()


def test_half_a_line_is_no_result():
    assert finished_lines(b'{"a":1}\n{"b"') == (b'{"a":1}',)
    assert finished_lines(b"") == ()


def test_the_native_engine_records_in_the_guarded_child():
    assert native.built() is not None
    (recorded,) = record_many([("def f(x):\n    return x + 1\n", "f(2)")], trusted=True)
    assert recorded.trace.header["engine"] == "native"

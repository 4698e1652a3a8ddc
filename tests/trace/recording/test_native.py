"""The native engine's extension: built where it can be, done without where it cannot."""

import gc
import json
import os
import subprocess
import sys
import types
import weakref
from pathlib import Path

import interpreters
import pytest

from opencwm.trace import recording
from opencwm.trace.recording import native
from opencwm.trace.recording.recorder import Recorder, record_source

CHILD = Path(recording.__file__).parent / "child.py"
SOURCE = "def f(n):\n    return [n] * n\n"


def opencwm(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "opencwm", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def test_without_a_compiler_the_reference_engine_records_and_the_doctor_says_so(tmp_path):
    bare = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    checks = json.loads(opencwm("doctor", "--json", **bare).stdout)["checks"]
    (check,) = [check for check in checks if check["name"] == "native recorder"]
    assert not check["ok"]
    assert "cannot be run" in check["detail"]
    assert "the reference engine records" in check["detail"]
    (tmp_path / "f.py").write_text(SOURCE)
    code = (
        "from opencwm.trace.recording.recorder import record_source\n"
        f"trace = record_source({SOURCE!r}, call='f(2)')\n"
        "print(trace.header['engine'], trace.frames[-1].value)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ, **bare}
    )
    assert done.stdout == "python [2, 2]\n", done.stderr
    assert not list(tmp_path.glob("opencwm/*"))  # nothing half built is left behind


def test_the_doctor_says_where_the_extension_is():
    checks = json.loads(opencwm("doctor", "--json").stdout)["checks"]
    (check,) = [check for check in checks if check["name"] == "native recorder"]
    assert check["ok"]
    assert Path(check["detail"]).is_file()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("version", "knows CPython 3.11 to 3.13"),
        ("headers", "header files"),
        ("compiler", "failed"),
        ("folder", "cannot be written"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(what, says, tmp_path, monkeypatch):
    if what == "version":
        monkeypatch.setattr(native, "VERSIONS", ((3, 11), (3, 10)))
        says = "knows CPython"
    elif what == "headers":
        monkeypatch.setattr(native.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    elif what == "compiler":
        monkeypatch.setattr(native.sysconfig, "get_config_var", lambda name: "false" if name == "CC" else None)
    else:
        (tmp_path / "in the way").write_text("")
    with pytest.raises(native.NotBuilt, match=says):
        native.build(str(tmp_path / "in the way" if what == "folder" else tmp_path))
    assert [path.name for path in tmp_path.iterdir()] in ([], ["in the way"])


def test_an_extension_that_cannot_be_loaded_is_done_without(tmp_path, monkeypatch):
    monkeypatch.setattr(native, "_loaded", [])
    (tmp_path / "_native.so").write_bytes(b"not an extension")
    assert native.load(str(tmp_path / "_native.so")) is None
    assert record_source(SOURCE, call="f(2)").header["engine"] == "python"
    with pytest.raises(ValueError, match="opencwm doctor"):
        Recorder(engine="native")


@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_each_interpreter_builds_its_own_where_it_is_known(version, tmp_path):
    """As where the folder is injected: nothing else of ours is there."""
    python = interpreters.need(version)
    built = subprocess.run([python, "-I", CHILD, "--native"], capture_output=True, text=True, timeout=300)
    if version not in interpreters.GOLDEN:
        assert (built.returncode, built.stdout) == (1, "")
        assert built.stderr == "the native engine knows CPython 3.11 to 3.13\n"
    path = built.stdout.strip() or None
    assert path is None or version.replace(".", "") in Path(path).name
    (tmp_path / "job.json").write_text(json.dumps({"source": SOURCE, "call": "f(2)", "native": path}))
    subprocess.run([python, "-I", CHILD, "job.json", "out.json"], cwd=tmp_path, timeout=60, check=True)
    trace = json.loads((tmp_path / "out.json").read_text())
    assert trace["header"]["engine"] == ("native" if path else "python")
    assert trace["frames"][-1]["value"] == "[2, 2]"


def test_a_recording_leaves_nothing_behind():
    """Its engine goes with the recorder, no collection needed: a suite makes one per test."""
    with Recorder(scope=[__file__], engine="native") as recorder:
        interpreters.required()
    engine, thread = weakref.ref(recorder.engine), weakref.ref(recorder.engine.threads[0])
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        del recorder
        assert (engine(), thread()) == (None, None)
    finally:
        if is_collecting:
            gc.enable()


def run_on(version, program, folder):
    """A program, told where the recorder lies, on another interpreter."""
    (folder / "program.py").write_text(program)
    argv = [interpreters.need(version), "-B", folder / "program.py", CHILD.parents[1]]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


DROPPED = """
import sys
sys.path.insert(0, sys.argv[1])
from recording import native
from recording.recorder import Recorder

def f(n):
    return [n]

def g(is_late):
    recorder = Recorder(scope=[__file__], engine="native").__enter__()
    if is_late:
        f(1)
    recorder = None
    return f(2)

kept = [g(False), g(True), f(3)]
if native._MONITORING is not None:
    assert native._free_tool() == 4
at_exit = Recorder(scope=[__file__], engine="native").__enter__()
print(kept)
"""


@pytest.mark.parametrize("version", interpreters.GOLDEN)
def test_a_recorder_that_is_dropped_leaves_the_program_alone(version, tmp_path):
    done = run_on(version, DROPPED, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[[2], [2], [3]]\n", "")


def same(value):
    return value


def value_by(engine, value):
    with Recorder(scope=[__file__], engine=engine) as recorder:
        same(value)
    return recorder.trace.frames[-1].value


def test_what_an_instance_holds_beyond_the_cut_is_counted_alike():
    value = types.SimpleNamespace(**{f"a{i}": i for i in range(66)})
    vars(value)[1] = 2
    assert value_by("native", value) == value_by("python", value)
    assert value_by("native", value).endswith(" a63=63 ...(+2)>")


CHANGED = """
import collections, dataclasses, sys
sys.path.insert(0, sys.argv[1])
from recording.recorder import Recorder

def same(value):
    return value

def recorded(engine, value):
    with Recorder(scope=[__file__], engine=engine) as recorder:
        same(value)
    return recorder.trace.frames[-1].value

fields = ("_fields", ("a", 3)), ("_fields", 5), ("__dataclass_fields__", None)
for name, to in (("__qualname__", "A"), ("__name__", "B"), *fields):
    point, pair = dataclasses.make_dataclass("Point", ["x"]), collections.namedtuple("Pair", "a b")
    for value in point([1]), pair(1, [2]):
        getattr(type(value), "nothing", None)  # looked up in, a class has a version
        before = recorded("native", value)
        assert before == recorded("python", value), before
        setattr(type(value), name, to)
        after = recorded("native", value), recorded("python", value)
        assert after[0] == after[1], (name, to, *after)
"""


@pytest.mark.parametrize("version", interpreters.GOLDEN)
def test_a_class_that_is_changed_between_two_recordings(version, tmp_path):
    done = run_on(version, CHANGED, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


SMALL = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from recording.recorder import Recorder

class Node:
    def __init__(self, next):
        self.next = next

def f(nodes, items):
    items[0] = None
    return nodes

nodes, items = None, []
for _ in range(950):
    nodes, items = Node(nodes), [items, 1]
with Recorder(scope=[__file__], engine="native") as recorder:
    for size in (1 << 16, 1 << 19):
        threading.stack_size(size)
        thread = threading.Thread(target=f, args=(nodes, [items]))
        thread.start()
        thread.join()
print([trace.frames[-1].value[:20] for trace in recorder.traces[-2:]])
"""


@pytest.mark.parametrize("version", interpreters.GOLDEN)
def test_deep_values_in_threads_with_small_stacks(version, tmp_path):
    (tmp_path / "small.py").write_text(SMALL)
    argv = [interpreters.need(version), "-B", tmp_path / "small.py", CHILD.parents[1]]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['<Node next=<Node nex', '<Node next=<Node nex']\n", "")


THREADS = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from recording.recorder import Recorder

def f(n):
    return n

def stranger():
    is_there.set()
    may_go.wait()
    f(0)

is_there, may_go = threading.Event(), threading.Event()
before = threading.Thread(target=stranger)
before.start()
is_there.wait()
with Recorder(scope=[__file__], engine=sys.argv[2]) as recorder:
    may_go.set()
    before.join()
    for n in range(1, 4):
        thread = threading.Thread(target=f, args=(n,))
        thread.start()
        thread.join()
print([[frame.value for frame in trace.frames[2:]] for trace in recorder.traces])
"""


@pytest.mark.parametrize("engine", ["python", "native"])
@pytest.mark.parametrize("version", interpreters.GOLDEN)
def test_each_thread_has_its_own_trace_also_where_another_one_has_ended(version, engine, tmp_path):
    """The system gives the ended one's ident to the next."""
    (tmp_path / "threads.py").write_text(THREADS)
    argv = [interpreters.need(version), "-B", tmp_path / "threads.py", CHILD.parents[1], engine]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[[], ['1'], ['2'], ['3']]\n", "")

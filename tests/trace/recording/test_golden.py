"""Traces of small programs that cover every construct of the trace format's section 3, on every interpreter found.

`OPENCWM_UPDATE_GOLDEN=1` rewrites what is stored; look at the difference before committing it.
"""

import ast
import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path

import interpreters
import pytest

from opencwm.trace import recording

CHILD = Path(recording.__file__).parent / "child.py"
FOLDER = Path(__file__).parents[2] / "golden"
FIRST = interpreters.GOLDEN[0]
PROGRAMS = sorted(path.stem for path in (FOLDER / "programs").glob("*.py"))
DIFFERENCES = json.loads((FOLDER / "differences.json").read_text())
UNTRACED = """
import contextlib, io, json, sys
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        source = file.read()
    calls = "def run(" in source
    module = type(sys)("untraced" if calls else "__main__")
    sys.modules[module.__name__] = module
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            exec(compile(source, path, "exec"), module.__dict__)
            result = repr(module.run()) if calls else output.getvalue()
        except BaseException as exc:
            result = repr(exc)
    print(json.dumps(result))
"""


def source_of(program):
    return (FOLDER / "programs" / f"{program}.py").read_text()


def supported(program, version):
    return not program.endswith("_310") or version not in ("3.8", "3.9")


def job_of(program, **options):
    source = source_of(program)
    job = {"source": source, "filename": f"{program}.py", "options": options}
    return {**job, "call": "run()"} if "def run(" in source else job


@functools.cache
def native_of(version):
    """The native engine's extension for this version."""
    argv = [interpreters.need(version), "-I", CHILD, "--native"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout.strip()


@functools.cache
def recorded(version, engine="python"):
    """Trace by program: as stored, and again with whole values (to read the result from)."""
    python = interpreters.need(version)
    native = native_of(version) if engine == "native" else None
    programs = [program for program in PROGRAMS if supported(program, version)]
    jobs = [job_of(program) for program in programs]
    for program in programs:
        job = job_of(program, max_value_chars=None, max_items=None, max_depth=None)
        jobs.append({**job, "call": "repr(run())"} if "call" in job else job)
    jobs = [{**job, "native": native} for job in jobs]
    with tempfile.TemporaryDirectory() as folder:
        job_path, out_path = Path(folder, "job.json"), Path(folder, "out.json")
        job_path.write_text(json.dumps({"jobs": jobs}))
        done = subprocess.run([python, "-I", CHILD, job_path, out_path], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        traces = [json.loads(line) for line in out_path.read_text(encoding="utf-8").splitlines()]
    assert len(traces) == len(jobs)
    return dict(zip(programs, zip(traces, traces[len(programs) :], strict=False), strict=False)), done.stdout


@functools.cache
def untraced(version):
    programs = [program for program in PROGRAMS if supported(program, version)]
    paths = [str(FOLDER / "programs" / f"{program}.py") for program in programs]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    argv = [interpreters.need(version), "-c", UNTRACED, *paths]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, env=environment, check=True)
    return dict(zip(programs, map(json.loads, done.stdout.splitlines()), strict=True))


def stored_path(program, version):
    return FOLDER / "traces" / version / f"{program}.jsonl"


def stored(program, version):
    """What a version is held to: its own frames where they differ from the first version's, else those."""
    path = stored_path(program, version)
    return (path if path.exists() else stored_path(program, FIRST)).read_text()


def store(program, version, text):
    path = stored_path(program, version)
    path.parent.mkdir(parents=True, exist_ok=True)
    if version != FIRST and text == stored_path(program, FIRST).read_text():
        path.unlink(missing_ok=True)
    else:
        path.write_text(text)


def as_stored(trace):
    """One line for the outcome, then one per frame, without the file, which is the program's own."""
    header = {key: trace["header"][key] for key in ("outcome", "exception", "truncated")}
    frames = [{key: value for key, value in frame.items() if key != "file"} for frame in trace["frames"]]
    return "".join(json.dumps(line) + "\n" for line in [header, *frames])


def test_required_interpreters_are_there():
    for version in interpreters.required():
        interpreters.need(version)


@pytest.mark.parametrize("version", interpreters.GOLDEN)
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_frames_are_the_stored_ones(program, version):
    trace, _ = recorded(version)[0][program]
    if os.environ.get("OPENCWM_UPDATE_GOLDEN") == "1":
        store(program, version, as_stored(trace))
    assert as_stored(trace).splitlines() == stored(program, version).splitlines()


@pytest.mark.parametrize("version", interpreters.GOLDEN)
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_native_engine_gives_the_same_frames(program, version):
    trace, _ = recorded(version, "native")[0][program]
    assert trace["header"]["engine"] == "native"
    assert trace["header"]["mechanism"] == ("settrace" if version == "3.11" else "monitoring")
    assert as_stored(trace).splitlines() == stored(program, version).splitlines()


@pytest.mark.parametrize("program", PROGRAMS)
def test_versions_differ_only_where_it_was_reviewed(program):
    differing = [v for v in interpreters.GOLDEN if stored(program, v) != stored(program, FIRST)]
    assert differing == DIFFERENCES.get(program, {}).get("versions", [])


def test_every_reviewed_difference_is_a_program_with_a_reason():
    assert set(DIFFERENCES) <= set(PROGRAMS)
    assert all(difference["why"] for difference in DIFFERENCES.values())


ENGINES = [*[(version, "python") for version in interpreters.VERSIONS], *[(v, "native") for v in interpreters.GOLDEN]]


@pytest.mark.parametrize(("version", "engine"), ENGINES)
def test_a_traced_program_gives_what_the_untraced_one_gives(version, engine):
    traces, stdout = recorded(version, engine)
    expected = untraced(version)
    printed = ""
    for program, (_, trace) in traces.items():
        if trace["header"]["outcome"] == "returned" and trace["header"]["entry"] == "main":
            result = ast.literal_eval(trace["frames"][-1]["value"])
        elif trace["header"]["entry"] == "main":
            result = trace["header"]["exception"]
        elif trace["header"]["outcome"] == "returned":
            printed += expected[program]
            continue
        else:
            result = trace["header"]["exception"]
        assert result == expected[program], program
    assert stdout == printed * 2


@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_every_trace_is_whole(version):
    """Calls and returns match up, full locals stand where they must, depths follow the stack rule."""
    for program, (trace, _) in recorded(version)[0].items():
        stack = []
        for i, frame in enumerate(trace["frames"]):
            where = f"{program} on {version}, frame {i}: {frame}"
            if frame["event"] == "call":
                stack.append(set())
            assert frame["depth"] == len(stack) - 1, where
            if "locals" in frame:
                changes = frame["locals"]
                names = (stack[-1] - set(changes["removed"])) | set(changes["set"])
                assert set(changes["removed"]) <= stack[-1], where
                assert set(changes.get("order", names)) == names, where
                stack[-1] = names
            if frame["event"] == "return":
                stack.pop()
        assert stack == [], program
        assert trace["header"]["num_frames"] == len(trace["frames"])


@pytest.mark.parametrize("version", interpreters.GOLDEN)
def test_values_of_the_stored_traces_tell_no_address(version):
    for program in PROGRAMS:
        assert " at 0x" not in stored(program, version), program

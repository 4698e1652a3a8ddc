"""Hostile values, and programs that watch themselves: recorded whole, and changed in nothing."""

import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path

import interpreters
import pytest
from hazards import HAZARDS

from opencwm.trace import recording

CHILD = Path(recording.__file__).parent / "child.py"
ENGINES = [(version, "python") for version in ("3.8", "3.11", "3.13")]
ENGINES += [(version, "native") for version in interpreters.GOLDEN]
UNTRACED = """
import json, sys
for source in json.load(sys.stdin):
    module = type(sys)("untraced")
    sys.modules["untraced"] = module
    try:
        exec(compile(source, "untraced.py", "exec"), module.__dict__)
        module.main()
    except BaseException:
        pass
    sys.stdout.flush()
"""
ENDLESS = {"endless", "deep"}
"""Programs that are not waited for; `deep` ends, and its frames are counted instead."""


def python(version, *argv, **rest):
    command = [interpreters.need(version), *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **rest)


@functools.cache
def native_of(version):
    return python(version, "-I", CHILD, "--native").stdout.strip()


@functools.cache
def recorded(version, engine):
    """Name -> trace; name -> what `run()` returned. What went wrong is told once, and is an error in every test."""
    try:
        return record(version, engine)
    except (AssertionError, subprocess.TimeoutExpired) as exc:
        print(exc)
        return {}, {}


def record(version, engine):
    native = native_of(version) if engine == "native" else None
    jobs, lines, output = [], [], ""
    for name, hazard in HAZARDS.items():
        options = {"timeout_s": 20.0, **hazard.options}
        call = f"print({name!r}, ascii(run()))"
        jobs.append({"source": hazard.source, "call": call, "options": options, "native": native})
    while len(lines) < len(jobs):  # a program that will not stop ends its process
        found, printed = in_one_process(version, jobs[len(lines) :])
        lines += found
        output += printed
    return dict(zip(HAZARDS, lines, strict=True)), dict(line.split(" ", 1) for line in output.splitlines())


def in_one_process(version, jobs):
    with tempfile.TemporaryDirectory() as folder:
        job_path, out_path = Path(folder, "job.json"), Path(folder, "out.json")
        job_path.write_text(json.dumps({"jobs": jobs}))
        done = python(version, "-I", CHILD, job_path, out_path)
        lines = [json.loads(line) for line in out_path.read_text(encoding="utf-8").splitlines()]
    assert lines, f"{jobs[0]['source']}{done.stderr[-2000:]}"
    assert done.returncode == 0, f"{jobs[len(lines)]['source']}{done.stderr[-2000:]}"
    return lines, done.stdout


@functools.cache
def untraced(version):
    sources = [
        HAZARDS[name].source + f"\ndef main():\n    print({name!r}, ascii(run()))\n"
        for name in HAZARDS
        if name not in ENDLESS
    ]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = python(version, "-c", UNTRACED, input=json.dumps(sources), env=environment, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize(("version", "engine"), ENGINES)
@pytest.mark.parametrize("name", HAZARDS)
def test_the_trace_shows_what_happened(name, version, engine):
    hazard = HAZARDS[name]
    trace = recorded(version, engine)[0][name]
    header = trace["header"]
    assert header["engine"] == engine
    assert header["outcome"] in hazard.outcome.split(" or "), header["exception"]
    at_the_end = engine == "python" and "recursion" in name  # of the program's stack, where our Python finds no room
    assert header["exception"] is None or header["outcome"] == "exit" or at_the_end, header["exception"]
    texts = {}
    for frame in trace["frames"]:
        for variable, text in frame.get("locals", {}).get("set", {}).items():
            texts.setdefault(variable, []).append(text)
        assert "unprintable" not in json.dumps(frame.get("locals", frame.get("value")))
    for variable, expected in hazard.shows.items():
        found = texts.get(variable, [])
        assert len(found) >= len(expected), (variable, found)
        assert [f[: len(e)] for f, e in zip(found, expected, strict=False)] == expected, variable
        assert not expected or not hazard.options or len(found) == len(expected), (variable, found)


@pytest.mark.parametrize(("version", "engine"), ENGINES)
@pytest.mark.parametrize("name", [name for name in HAZARDS if name not in ENDLESS])
def test_the_program_is_as_it_is_untraced(name, version, engine):
    exempt = HAZARDS[name].exempt
    if engine in exempt or f"{engine} {version}" in exempt:
        return
    assert recorded(version, engine)[1].get(name) == untraced(version).get(name)

"""Run tests of an installed package where it lies, apart from what takes a process down, recorded, twice.

    Portion(root, files, part) --pytest_plugin/opencwm_apart.py in the sandbox, twice--> traces, tests that are lost

The folder is seen read-only. A test ends when its budget of frames is spent: calls that had ended by then are whole.
Lost is a test that took another way the second time, that took too long, or that took its process down; nothing of this
has an effect on the others. Of a test that took the same way, the frames are told that differ in a value, or that show
an address.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from opencwm.data.addresses import shows_address
from opencwm.data.record import CRASH, UNSTABLE, Recorded, counted
from opencwm.data.repositories.suite import (
    LOG,
    NO_TESTS,
    OUT,
    Environment,
    SuiteLimits,
    last_line,
    lines_of,
    loss_of,
    run_suite,
    trace_of,
)
from opencwm.errors import DataError, boundary
from opencwm.sandbox.base import Sandbox
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.recording.options import Options

PLUGIN = Path(__file__).with_name("pytest_plugin")
LOST = "lost.jsonl"
ADDRESS = re.compile(rb" at 0x[0-9a-f]{8,16}")
"""Where an object lies in memory is no fact about the program, and another one each time."""
QUIET = ("-q", "--tb=native", "-p", "no:cacheprovider", "-p", "opencwm_apart", "-W", "ignore", "-c", "pytest.ini")


@dataclass(frozen=True, kw_only=True, slots=True)
class Portion:
    """Some tests of one package."""

    root: str
    """The folder in which the package lies, and from which it is imported."""
    files: tuple[str, ...]
    """Of tests, relative to it."""
    part: tuple[int, int] = (0, 1)
    """(i, n): the i-th of n equal parts of these files' tests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    traces: list[Trace]
    unstable: dict[tuple[str, int], frozenset[int]]
    """(test, thread) -> the frames that were not the same twice: they are there without what they showed."""
    lost: dict[str, str]
    """Test -> cause."""


def record_portion(
    portion: Portion,
    environment: Environment,
    *,
    known: Mapping[str, str],
    options: Options,
    sandbox: Sandbox,
    limits: SuiteLimits,
    test_s: float,
) -> Recording | str:
    """The tests of a portion; a text: why there are none. `known`: tests lost before, with the causes."""
    try:
        lost = dict(known)
        runs = []
        for _ in range(2):
            run = _run(portion, environment, lost, options, sandbox, limits, test_s)
            if isinstance(run, str):
                return run
            runs.append(run[0])
            lost |= run[1]
        first, again = runs
        traces, unstable = [], {}
        for test in sorted((first.keys() | again.keys()) - lost.keys()):
            pairs = _compared(first.get(test, []), again.get(test, []), options)
            if pairs is None:
                lost[test] = UNSTABLE
                continue
            for trace, differing in pairs:
                if counted(Recorded(trace=trace), options).trace is not None:
                    traces.append(trace)
                    unstable[test, trace.header["thread"]] = differing
    except DataError as exc:  # a stranger's code ran where these files were written
        return f"{CRASH}: {exc}"
    return Recording(traces=traces, unstable=unstable, lost=dict(sorted(lost.items())))


def _compared(first: list[bytes], again: list[bytes], options: Options) -> list[tuple[Trace, frozenset[int]]] | None:
    """The traces of a test with the frames that differ in a value; None: it took another way the second time."""
    if len(first) != len(again):
        return None
    pairs = []
    for line, line_again in zip(first, again, strict=True):
        trace, differing = trace_of(line, options), frozenset[int]()
        if line != line_again:
            other = trace_of(line_again, options)
            if list(map(_step, trace.frames)) != list(map(_step, other.frames)):
                return None
            both = enumerate(zip(trace.frames, other.frames, strict=True))
            differing = frozenset(index for index, (frame, frame_again) in both if frame != frame_again)
        differing |= {index for index, frame in enumerate(trace.frames) if shows_address(frame)}
        for index in differing:
            trace.frames[index] = _emptied(trace.frames[index])
        pairs.append((trace, differing))
    return pairs


def _emptied(frame: Frame) -> Frame:
    """So that nothing is chosen by what it showed."""
    return replace(frame, locals=frame.locals and Locals({}), value=None if frame.value is None else "")


def _step(frame: Frame) -> tuple[str, int, str, int]:
    return frame.event, frame.depth, frame.file, frame.line_no


def _run(
    portion: Portion,
    environment: Environment,
    lost: Mapping[str, str],
    options: Options,
    sandbox: Sandbox,
    limits: SuiteLimits,
    test_s: float,
) -> tuple[dict[str, list[bytes]], dict[str, str]] | str:
    root = Path(portion.root).resolve()
    job = {
        "part": portion.part,
        "known": sorted(test for test, cause in lost.items() if cause != UNSTABLE),
        "seconds": test_s,
        "lost": LOST,
    }
    result = run_suite(
        {"pytest.ini": b"[pytest]\n"},
        [*QUIET, f"--rootdir={root}", *(str(root / file) for file in portion.files)],
        environment,
        options,
        sandbox,
        limits,
        scope=[root],
        variables={
            "OPENCWM_APART": json.dumps(job),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": os.pathsep.join([str(PLUGIN), str(root)]),
        },
        collect=(OUT, LOG, f"work/{LOST}"),
    )
    if OUT not in result.files:
        return loss_of(result)
    tests: dict[str, list[bytes]] = {}
    for raw in lines_of(result.files[OUT], options):
        line = ADDRESS.sub(b"", raw)
        with boundary(DataError, "its traces are not ours"):
            test = json.JSONDecoder().raw_decode(line[: line.index(b',"frames":[')].decode() + "}")[0]["header"]["test"]
        tests.setdefault(str(test["id"]), []).append(line)
    found = _lost(result.files.get(f"work/{LOST}", b""))
    if not tests and not found:
        return f"{NO_TESTS}: {last_line(result.files.get(LOG, b''))}"
    return tests, found


def _lost(noted: bytes) -> dict[str, str]:
    with boundary(DataError, "its list of lost tests is not ours"):
        notes = [json.loads(line) for line in noted.splitlines()]
        return {str(note["test"]): str(note["cause"]) for note in notes}

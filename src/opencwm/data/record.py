"""Record many small programs: batches of them in one guarded child, each program on its own account.

    programs --batches--> child (recorder) --one JSON line per program, flushed--> Recorded(trace | None, cause)

A program that takes the child down with it (a crash, a hang inside C, too much memory) costs only itself: the results
written before it are kept, and the next child starts at the first program without one. A program is only blamed when
it was the first of its child, so nobody pays for what an earlier one left behind.

Left out: programs with files, standard input or arguments of their own (`opencwm trace run` does those).
"""

import dataclasses
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from opencwm.trace import recording
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.recorder import Options

CHILD = Path(recording.__file__).parent / "child.py"
WRAPPER = "\ndef main():  # << START_OF_TRACE\n    return "
BATCH_SIZE = 64
BATCH_WALL_S = 30.0
"""Wall clock of one child; longer than any one program's own `timeout_s`, so every child gets at least one done."""
STARTUP_S = 5.0

Program = tuple[str, str | None]
"""A source and the call that is made on it (None: the module itself is run)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    trace: Trace | None
    """What was recorded; its outcome may be any of `frame.OUTCOMES`."""
    cause: str | None = None
    """Why there is no trace: one short sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Child:
    """What came out of one child: the lines it finished, and how it ended."""

    lines: tuple[bytes, ...]
    died: str | None
    """None, or what ended it before its last job: "ran out of time", "killed by signal 11", ..."""


Runner = Callable[[bytes, float], Child]
"""Runs a job file's content in a child, for at most so many seconds."""


def record_many(
    programs: Iterable[Program],
    *,
    options: Options | None = None,
    runner: "Runner | None" = None,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Recorded]:
    """One `Recorded` per program, in order; `programs` is read a batch at a time."""
    options = options or Options()
    runner = runner or run_plain
    source = iter(programs)
    while batch := list(islice(source, batch_size)):
        yield from _record_batch(batch, options, runner)


def _record_batch(batch: Sequence[Program], options: Options, runner: Runner) -> Iterator[Recorded]:
    wall_s = max(BATCH_WALL_S, options.timeout_s + STARTUP_S)
    while batch:
        child = runner(_job_file(batch, options), wall_s)
        yield from map(_result, child.lines)
        batch = batch[len(child.lines) :]
        if batch and not child.lines:
            yield Recorded(trace=None, cause=f"the child was lost: {child.died or 'it wrote no result'}")
            batch = batch[1:]


def _job_file(batch: Sequence[Program], options: Options) -> bytes:
    shared = dataclasses.asdict(options)
    jobs = [{"source": source, "call": call, "options": shared} for source, call in batch]
    return json.dumps({"jobs": jobs}).encode()


def _result(line: bytes) -> Recorded:
    data = json.loads(line)
    if "error" in data:
        return Recorded(trace=None, cause=str(data["error"]))
    return Recorded(trace=Trace.from_json(line.decode()))


def run_plain(job: bytes, wall_s: float) -> Child:
    """A child process without any guard, for programs of our own making."""
    with tempfile.TemporaryDirectory(prefix="opencwm-record-") as folder:
        job_path, out_path = Path(folder, "job.json"), Path(folder, "out.json")
        job_path.write_bytes(job)
        argv = [sys.executable, "-s", "-P", "-B", str(CHILD), str(job_path), str(out_path)]
        env = {"PYTHONHASHSEED": "0", "PATH": "/usr/bin:/bin"}
        died = None
        try:
            done = subprocess.run(
                argv, env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=wall_s
            )
            if done.returncode:
                died = f"status {done.returncode}"
        except subprocess.TimeoutExpired:
            died = "ran out of time"
        return Child(lines=finished_lines(out_path.read_bytes() if out_path.exists() else b""), died=died)


def finished_lines(output: bytes) -> tuple[bytes, ...]:
    """The lines that were written to their end: a killed child leaves half a line, which is not a result."""
    *lines, _ = output.split(b"\n")
    return tuple(lines)


def program_of(trace: Trace) -> tuple[str, str | None]:
    """The source and the call that a trace was recorded from: its context without the wrapper."""
    source, marker, call = trace.context.rpartition(WRAPPER)
    if not marker:
        return trace.context.removeprefix("\n"), None
    return source.removeprefix("\n"), call.removesuffix("\n")

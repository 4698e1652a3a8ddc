"""Record many small programs: batches of them in one guarded child, each program on its own account.

    programs --batches--> child (recorder) --one JSON line per program, flushed--> Recorded(trace | None, cause)

A program that takes the child down with it (a crash, a hang inside C, too much memory or disk) costs only itself: the
results written before it are kept, the first program without one is run again in a child of its own, and a new child
goes on after it. A program is blamed only when it fails alone, so nobody pays for what an earlier one left behind.

Recorded `twice`, each program is run in a second child too, in which the batch's other programs come in the opposite
order; what then differs by a single byte is unstable (time, addresses, or what another program has left behind).

Left out: programs with files, standard input or arguments of their own (`opencwm trace run` does those).
"""

import dataclasses
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from pathlib import Path

from opencwm.data.addresses import shows_address
from opencwm.errors import SandboxError
from opencwm.sandbox import ExecResult, Limits, NamespaceSandbox, Sandbox
from opencwm.trace import recording
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.native import built
from opencwm.trace.recording.options import Options

CHILD = Path(recording.__file__).parent / "child.py"
WRAPPER = "\ndef main():  # << START_OF_TRACE\n    return "
BATCH_SIZE = 512
"""Starting a guarded child takes about as long as recording twenty small programs."""
BATCH_WALL_S = 600.0
"""Wall clock of a child; what it has done by then is kept, so this only has to be long for one program."""
STARTUP_S = 20.0
"""What a child may need beyond its program's own time, on a loaded machine."""
MAX_LOST = 16
"""After so many children in a row are lost, a program that cannot fail is tried: is something wrong with the child?"""
HARMLESS = ("def add(a, b):\n    return a + b\n", "add(1, 1)")
JOB, OUT = "job.json", "out.jsonl"
UNSTABLE, TIME, MEMORY, DISK, OUTPUT, CRASH = "unstable", "time", "memory", "disk", "output", "crash"
LIMITS = frozenset({TIME, MEMORY})
ACCIDENTAL = frozenset({UNSTABLE, TIME, MEMORY, DISK, OUTPUT, CRASH})
"""Causes that may not be found again on another machine or another day."""
NEARLY = 0.9
"""A budget that was spent with at least this share of its bytes used was spent on bytes."""

Program = tuple[str, str | None]
"""A source and the call that is made on it (None: the module itself is run)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    trace: Trace | None
    """What was recorded; its outcome may be any of `frame.OUTCOMES`."""
    cause: str | None = None
    """Why there is no trace: one of the causes above or the name of an exception, a colon, and details for people."""

    @property
    def kind(self) -> str:
        """The cause without its details."""
        return (self.cause or "").partition(":")[0]


def record_many(
    programs: Iterable[Program],
    *,
    options: Options | None = None,
    sandbox: Sandbox | None = None,
    trusted: bool = False,
    batch_size: int = BATCH_SIZE,
    twice: bool = False,
) -> Iterator[Recorded]:
    """One `Recorded` per program, in order; `programs` is read a batch at a time.

    `trusted`: the programs are our own or the standard library's, and run also where nothing can be isolated; others
    are then refused with a ConfigError. `twice`: in two children each; where the traces differ, or show
    an address, there is none.
    """
    options = options or Options()
    sandbox = sandbox or NamespaceSandbox()
    argv = [sys.executable, "-s", "-P", "-B", str(CHILD), JOB, OUT]
    run = partial(sandbox.run, argv, collect=(OUT,), trusted=trusted, readable=recorder_folders())
    child = _Child(run, options)
    source = iter(programs)
    while batch := list(islice(source, batch_size)):
        lines = child.lines_of(batch)
        if twice:
            there = [index for index, line in enumerate(lines) if isinstance(line, bytes)][::-1]
            for index, again in zip(there, child.lines_of([batch[index] for index in there]), strict=True):
                if again != lines[index]:
                    lines[index] = f"{UNSTABLE}: two recordings differ" if isinstance(again, bytes) else again
        recorded = map(_recorded, lines)
        yield from map(_without_addresses, recorded) if twice else recorded


class _Child:
    """Children that record batches, one after the other."""

    def __init__(self, run: Callable[..., ExecResult], options: Options) -> None:
        self._run = run
        self._options = options
        self._num_lost = 0
        self._alone_s = (options.timeout_s or BATCH_WALL_S) + STARTUP_S

    def lines_of(self, batch: Sequence[Program]) -> list[bytes | str]:
        """For each program its line, or why there is none."""
        lines: list[bytes | str] = []
        is_suspect = False
        while len(lines) < len(batch):
            tried = batch[len(lines) :][: 1 if is_suspect else None]
            found, loss = self._try(tried, alone=is_suspect)
            lines += found
            if is_suspect:
                self._num_lost = 0 if found else self._num_lost + 1
                if not found:
                    lines.append(loss)
                    self._check_itself(loss)
            is_suspect = not is_suspect and len(found) < len(tried)
        return lines

    def _try(self, programs: Sequence[Program], *, alone: bool) -> tuple[list[bytes], str]:
        limits = Limits(wall_s=self._alone_s if alone else max(BATCH_WALL_S, self._alone_s))
        files = {JOB: _job_file(programs, self._options)}
        try:
            result = self._run(files=files, limits=limits)
        except SandboxError:  # the launcher was killed, by whatever: no fault of the programs'
            result = self._run(files=files, limits=limits)
        lines = finished_lines(result.files.get(OUT, b""))
        whole = list(takewhile(_is_json, lines[: len(programs)]))  # a full disk leaves pieces of lines
        return whole, _loss(result)

    def _check_itself(self, loss: str) -> None:
        if self._num_lost == MAX_LOST:
            self._num_lost = 0
            if not self._try([HARMLESS], alone=True)[0]:
                raise SandboxError(f"{MAX_LOST} recording children in a row ended without a result; {loss}")


def recorder_folders() -> tuple[Path, ...]:
    """What a recording child must be able to read."""
    native = built()
    return (CHILD.parent,) if native is None else (CHILD.parent, Path(native).parent)


def _job_file(batch: Sequence[Program], options: Options) -> bytes:
    shared = dataclasses.asdict(options)
    native = built()
    jobs = [{"source": source, "call": call, "options": shared, "native": native} for source, call in batch]
    return json.dumps({"jobs": jobs}).encode()


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _recorded(line: bytes | str) -> Recorded:
    if isinstance(line, str):
        return Recorded(trace=None, cause=line)
    data = json.loads(line)
    if "error" in data:
        return Recorded(trace=None, cause=str(data["error"]))
    return Recorded(trace=Trace.from_json(line.decode()))


def _without_addresses(recorded: Recorded) -> Recorded:
    """Two recordings with fixed addresses agree on them, other machines would not."""
    if recorded.trace is None or not any(map(shows_address, recorded.trace.frames)):
        return recorded
    return Recorded(trace=None, cause=f"{UNSTABLE}: it shows an address")


def counted(recorded: Recorded, options: Options) -> Recorded:
    """The recording, if only limits that count frames or bytes have shaped it; otherwise none, and why."""
    trace = recorded.trace
    if trace is None:
        return recorded
    if trace.outcome == "budget":
        header = trace.header
        if header["num_frames"] < options.max_frames and header["num_bytes"] < NEARLY * options.max_bytes:
            return Recorded(trace=None, cause=f"{TIME}: more than {options.timeout_s} s")
    if any(frame.event == "exception" and (frame.value or "").startswith("MemoryError(") for frame in trace.frames):
        return Recorded(trace=None, cause=f"{MEMORY}: MemoryError")
    return recorded


def _loss(result: ExecResult) -> str:
    """What ended a child whose program has no result: a cause, and details."""
    said = result.stderr[-2000:].decode(errors="replace").strip()
    last = said.rpartition("\n")[2]
    details = {"exited": f"exit status {result.status}", "signalled": f"signal {result.signal}"}.get(result.ended)
    is_late = result.ended == "timeout" or "Timeout (" in said or result.signal == signal.SIGXCPU
    if is_late:
        return f"{TIME}: stopped after {result.wall_s:.0f} s"
    if result.ended == "output":
        return f"{OUTPUT}: it printed too much"
    for cause, signs in ((MEMORY, ("MemoryError",)), (DISK, ("No space left", "File too large"))):
        if any(sign in said for sign in signs):
            return f"{cause}: {details} ({last})"
    return f"{CRASH}: {details}{last and f' ({last})'}"


def finished_lines(output: bytes) -> tuple[bytes, ...]:
    """The lines that were written to their end: a killed child leaves half a line, which is not a result."""
    *lines, _ = output.split(b"\n")
    return tuple(lines)


def program_of(trace: Trace) -> Program:
    """The source and the call that a trace was recorded from: its context without the wrapper."""
    source, marker, call = trace.context.rpartition(WRAPPER)
    if not marker:
        return trace.context.removeprefix("\n"), None
    return source.removeprefix("\n"), call.removesuffix("\n")

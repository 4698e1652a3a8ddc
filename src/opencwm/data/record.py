"""Record many small programs: batches of them in one guarded child, each program on its own account.

    programs --batches--> child (recorder) --one JSON line per program, flushed--> Recorded(trace | None, cause)

A program that takes the child down with it (a crash, a hang inside C, too much memory) costs only itself: the results
written before it are kept, the first program without one is run again in a child of its own, and a new child goes on
after it. A program is blamed only when it fails alone, so nobody pays for what an earlier one left behind.

Left out: programs with files, standard input or arguments of their own (`opencwm trace run` does those).
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from opencwm.errors import SandboxError
from opencwm.sandbox import ExecResult, Limits, NamespaceSandbox, Sandbox
from opencwm.trace import recording
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.native import built
from opencwm.trace.recording.options import Options

CHILD = Path(recording.__file__).parent / "child.py"
WRAPPER = "\ndef main():  # << START_OF_TRACE\n    return "
BATCH_SIZE = 256
"""Starting a guarded child takes about as long as recording twenty small programs."""
BATCH_WALL_S = 60.0
"""Wall clock of a child; what it has done by then is kept, so this only has to be long for one program."""
STARTUP_S = 5.0
MAX_LOST = 16
"""So many children in a row are not lost to their programs: something is wrong with the child itself."""
LOST = "lost its child"
JOB, OUT = "job.json", "out.jsonl"

Program = tuple[str, str | None]
"""A source and the call that is made on it (None: the module itself is run)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    trace: Trace | None
    """What was recorded; its outcome may be any of `frame.OUTCOMES`."""
    cause: str | None = None
    """Why there is no trace: one short sentence."""


def record_many(
    programs: Iterable[Program],
    *,
    options: Options | None = None,
    sandbox: Sandbox | None = None,
    trusted: bool = False,
    batch_size: int = BATCH_SIZE,
) -> Iterator[Recorded]:
    """One `Recorded` per program, in order; `programs` is read a batch at a time.

    `trusted`: the programs are our own or the standard library's, and run also where nothing can be isolated; others
    are then refused with a ConfigError.
    """
    options = options or Options()
    sandbox = sandbox or NamespaceSandbox()
    argv = [sys.executable, "-s", "-P", "-B", str(CHILD), JOB, OUT]
    run = partial(sandbox.run, argv, collect=(OUT,), trusted=trusted, readable=recorder_folders())
    source = iter(programs)
    num_lost = 0
    while batch := list(islice(source, batch_size)):
        for recorded in _record_batch(batch, options, run):
            num_lost = num_lost + 1 if recorded.cause and recorded.cause.startswith(LOST) else 0
            if num_lost == MAX_LOST:
                raise SandboxError(f"{num_lost} recording children in a row ended without a result; {recorded.cause}")
            yield recorded


def _record_batch(batch: Sequence[Program], options: Options, run: Callable[..., ExecResult]) -> Iterator[Recorded]:
    alone_s = (options.timeout_s or BATCH_WALL_S) + STARTUP_S
    is_suspect = False
    while batch:
        tried = batch[:1] if is_suspect else batch
        limits = Limits(wall_s=alone_s if is_suspect else max(BATCH_WALL_S, alone_s))
        result = run(files={JOB: _job_file(tried, options)}, limits=limits)
        lines = finished_lines(result.files.get(OUT, b""))
        yield from map(_recorded, lines)
        if is_suspect and not lines:
            yield Recorded(trace=None, cause=_loss(result))
        batch = batch[1 if is_suspect else len(lines) :]
        is_suspect = not is_suspect and len(lines) < len(tried)


def recorder_folders() -> tuple[Path, ...]:
    """What a recording child must be able to read."""
    native = built()
    return (CHILD.parent,) if native is None else (CHILD.parent, Path(native).parent)


def _job_file(batch: Sequence[Program], options: Options) -> bytes:
    shared = dataclasses.asdict(options)
    native = built()
    jobs = [{"source": source, "call": call, "options": shared, "native": native} for source, call in batch]
    return json.dumps({"jobs": jobs}).encode()


def _recorded(line: bytes) -> Recorded:
    data = json.loads(line)
    if "error" in data:
        return Recorded(trace=None, cause=str(data["error"]))
    return Recorded(trace=Trace.from_json(line.decode()))


def _loss(result: ExecResult) -> str:
    how = {"exited": f"exit status {result.status}", "signalled": f"signal {result.signal}"}
    said = result.stderr[-300:].decode(errors="replace").strip().rpartition("\n")[2]
    return f"{LOST}: {how.get(result.ended, result.ended)}{said and f' ({said})'}"


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

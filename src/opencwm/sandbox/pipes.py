"""The parent's end of a run: start the launcher, feed it, drain it, and never wait for ever.

    converse: job, stdin --> launcher and program --> stdout, stderr (cut at a limit), report

The job pipe is held open while the run is wanted; closing it is how a run is stopped, and what happens by itself when
this process dies.
"""

import io
import marshal
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from opencwm.errors import SandboxError, boundary

_START = "import sys; sys.path.append({folder!r}); from guard.launcher import main; main()"
_CHUNK = 1 << 16
END_S = 5.0  # how long a launcher may take to leave once its job pipe is closed


@dataclass(frozen=True, kw_only=True, slots=True)
class Launcher:
    process: subprocess.Popen[bytes]
    job: io.FileIO
    """Write end."""
    report: io.FileIO
    """Read end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    report: dict[str, Any]
    stdout: bytes
    stderr: bytes
    is_flooded: bool
    """Stopped by us because it wrote more than the limit."""


@contextmanager
def launch() -> Iterator[Launcher]:
    """A launcher waiting for its job. However the block is left, the launcher and its pipes are gone afterwards."""
    code = _START.format(folder=str(Path(__file__).parent))
    with boundary(SandboxError, "starting the sandbox's launcher"), ExitStack() as stack:
        job_read, job_write = (stack.enter_context(end) for end in _pipe())
        report_read, report_write = (stack.enter_context(end) for end in _pipe())
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, str(job_read.fileno()), str(report_write.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=(job_read.fileno(), report_write.fileno()),
            start_new_session=True,
            env={},
        )
        stack.pop_all()
    job_read.close()
    report_write.close()
    try:
        yield Launcher(process=process, job=job_write, report=report_read)
    finally:
        job_write.close()
        report_read.close()
        _end(process)


def _pipe() -> tuple[io.FileIO, io.FileIO]:
    read_end, write_end = os.pipe()
    return io.FileIO(read_end, "r"), io.FileIO(write_end, "w")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Normally it has gone by itself. If not, its death takes the guard along, and that the whole namespace."""
    try:
        process.wait(timeout=END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def converse(
    launcher: Launcher, job: dict[str, Any], *, stdin: bytes, output_bytes: int, patience_s: float
) -> Conversation:
    """Send the job and the input, collect the output and the report. Raises SandboxError when no report comes."""
    process = launcher.process
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    data = marshal.dumps(job)
    unsent: dict[IO[bytes], memoryview] = {
        launcher.job: memoryview(len(data).to_bytes(8, "little") + data),
        process.stdin: memoryview(stdin),
    }
    outputs = {process.stdout: bytearray(), process.stderr: bytearray()}
    report = bytearray()
    give_up = time.monotonic() + patience_s
    with selectors.DefaultSelector() as selector:
        for pipe in unsent:
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_WRITE)
        for pipe in (launcher.report, *outputs):
            selector.register(pipe, selectors.EVENT_READ)
        num_open = 1 + len(outputs)
        while num_open:
            left_s = give_up - time.monotonic()
            if left_s <= 0:
                raise SandboxError(f"the sandbox's launcher did not answer within {patience_s:.0f} s")
            for key, _ in selector.select(left_s):
                pipe = cast("IO[bytes]", key.fileobj)
                if pipe in unsent:
                    unsent[pipe] = _send(pipe, unsent[pipe])
                    if not unsent[pipe]:
                        selector.unregister(pipe)
                        if pipe is process.stdin:
                            pipe.close()
                elif part := os.read(pipe.fileno(), _CHUNK):
                    outputs.get(pipe, report).extend(part)
                else:
                    selector.unregister(pipe)
                    num_open -= 1
            for kept in outputs.values():
                if len(kept) > output_bytes:
                    del kept[output_bytes:]
                    launcher.job.close()  # long sent: the program has started
    stdout, stderr = (bytes(kept) for kept in outputs.values())
    if not report:
        tail = stderr[-500:].decode(errors="replace").strip()
        raise SandboxError(f"the sandbox's launcher died without a report: {tail or 'it said nothing'}")
    return Conversation(
        report=marshal.loads(bytes(report)), stdout=stdout, stderr=stderr, is_flooded=launcher.job.closed
    )


def _send(pipe: IO[bytes], data: memoryview) -> memoryview:
    """Write what fits; nothing is left when the other side does not want more."""
    try:
        return data[os.write(pipe.fileno(), data) :] if data else data
    except BrokenPipeError:
        return data[:0]

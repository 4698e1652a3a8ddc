"""Run the test suite of a tree of files in the sandbox, recorded, twice; keep what was the same both times.

    {path: bytes} --suite_child.py in the sandbox, twice--> traces.jsonl.gz, or why there are none

The code is a stranger's: it has no network, sees only its own files (a copy, which it may change) and the interpreters,
and is killed with all that it started when its time is over. What it does otherwise is its own business: tests that
fail are recorded like others. A test of which two recordings differ (it asks the clock, or chance) is left out.
"""

import gzip
import hashlib
import io
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import opencwm
from opencwm.data.record import CRASH, TIME, Recorded, counted
from opencwm.errors import ConfigError, DataError, boundary
from opencwm.sandbox import NamespaceSandbox
from opencwm.sandbox.base import MIB, ExecResult, Limits, Sandbox
from opencwm.trace.files import check_trace, write_jsonl
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.options import Options
from opencwm.trace.suites import check_pytest, native_of

CHILD = Path(__file__).with_name("suite_child.py")
OUT, LOG, JOB = "traces.jsonl.gz", "log", "job.json"
NO_TESTS = "no tests"
"""The cause where nothing was recorded: no tests, or none that could be collected."""
HEADER_BYTES = 16 << 20
"""What the header of a trace may have at most: it holds the source of the first file."""
_ASK = "import sys; print(sys.executable, sys.prefix, sys.base_prefix, sep='\\n')"


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """The interpreter that runs a repository's tests, with what they need installed; asked once."""

    python: str
    readable: tuple[Path, ...]
    """Its folders."""
    native: str | None
    """The native engine for it, where it can be had."""

    @classmethod
    def of(cls, python: str) -> "Environment":
        """Raises ConfigError where it cannot be run or has no pytest."""
        check_pytest(python)
        done = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise ConfigError(f"{python} cannot be run: {done.stderr.strip()}", fix="give a Python interpreter")
        executable, *prefixes = done.stdout.splitlines()
        return cls(
            python=executable,
            readable=tuple(Path(prefix) for prefix in dict.fromkeys(prefixes) if prefix not in ("/", "/usr")),
            native=native_of(python),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteLimits:
    """What one run of a test suite may take; the sandbox's."""

    wall_s: float = 600.0
    memory_bytes: int = 4096 * MIB
    disk_bytes: int = 1024 * MIB
    """Of the repository's copy, of what its tests write, and of the traces."""


def check_isolation(environment: Environment, source: str, *, is_allowed: bool) -> None:
    """Raises ConfigError where this machine cannot isolate tests and its user has not allowed them all the same."""
    enforced = NamespaceSandbox().enforced(sys.executable, environment.readable)
    if not (enforced.is_isolated or is_allowed):
        raise ConfigError(
            f"tests of {source} do not run here, because this machine cannot isolate them: {enforced.sentence}",
            fix=f"{source}.allow_unisolated=true runs them all the same, with your rights and your network",
        )


def record_tree(
    files: Mapping[str, bytes],
    arguments: Sequence[str],
    environment: Environment,
    output: Path,
    *,
    options: Options,
    sandbox: Sandbox,
    limits: SuiteLimits,
) -> str | None:
    """Record `pytest ARGUMENTS` on the files and write the traces to `output` (.jsonl.gz); why there are none, or None.

    Raises ConfigError where the sandbox refuses a stranger's code, SandboxError where it fails.
    """
    try:
        recordings = []
        for _ in range(2):
            result = run_suite(files, arguments, environment, options, sandbox, limits)
            if OUT not in result.files:
                return loss_of(result)
            if not any(lines_of(result.files[OUT], options)):
                return f"{NO_TESTS}: {last_line(result.files.get(LOG, b''))}"
            recordings.append(result.files[OUT])
        first, again = recordings
        known = {hashlib.sha256(line).digest() for line in lines_of(again, options)}
        stable = (line for line in lines_of(first, options) if hashlib.sha256(line).digest() in known)
        traces = (trace_of(line, options) for line in stable)
        write_jsonl(output, (trace for trace in traces if counted(Recorded(trace=trace), options).trace is not None))
    except DataError as exc:  # a stranger's code ran where these files were written
        return f"{CRASH}: {exc}"
    return None


def run_suite(
    files: Mapping[str, bytes],
    arguments: Sequence[str],
    environment: Environment,
    options: Options,
    sandbox: Sandbox,
    limits: SuiteLimits,
    *,
    scope: Sequence[Path] = (),
    variables: Mapping[str, str] | None = None,
    collect: Sequence[str] = (OUT, LOG),
) -> ExecResult:
    """Run the tests once. `scope`: folders that are read where they are, and recorded instead of the files."""
    package = Path(opencwm.__file__).parent
    readable = [package, *environment.readable, *scope]
    cache = None
    if environment.native is not None:
        readable.append(Path(environment.native).parent)
        cache = str(Path(environment.native).parent.parent)
    job = {
        "package_parent": str(package.parent),
        "python": environment.python,
        "arguments": list(arguments),
        "options": options.to_dict(),
        "cache": cache,
        "scope": [str(folder) for folder in scope],
        "environment": dict(variables or {}),
    }
    return sandbox.run(
        [sys.executable, "-s", "-P", "-B", str(CHILD), JOB],
        files={JOB: json.dumps(job).encode(), **{f"work/{name}": content for name, content in files.items()}},
        collect=collect,
        limits=Limits(
            wall_s=limits.wall_s,
            cpu_s=math.ceil(limits.wall_s) * 4,
            memory_bytes=limits.memory_bytes,
            disk_bytes=limits.disk_bytes,
            file_bytes=limits.disk_bytes,
            max_processes=256,
            open_files=1024,
        ),
        readable=readable,
    )


def lines_of(packed: bytes, options: Options) -> Iterator[bytes]:
    """The lines of a file that strangers' code may have written: a DataError where it cannot be ours."""
    longest = HEADER_BYTES + 8 * options.max_bytes
    with boundary(DataError, "its traces cannot be unpacked"), gzip.open(io.BytesIO(packed)) as file:
        while line := file.readline(longest + 1):
            if len(line) > longest or not line.endswith(b"\n"):
                raise DataError("a line of its traces is too long, or cut")
            yield line


def trace_of(line: bytes, options: Options) -> Trace:
    """A trace that was recorded as we asked; a DataError for anything else."""
    with boundary(DataError, "its traces are not ours"):
        trace = Trace.from_json(line.decode())
        check_trace(trace)
        header = trace.header
        numbers = [header["num_frames"], header["num_bytes"], header["truncated"]["values"]]
        numbers.extend(number for frame in trace.frames for number in (frame.depth, frame.line_no))
        texts = [header["test"]["id"], *(frame.file for frame in trace.frames)]
        if {*map(type, numbers)} != {int} or {*map(type, texts)} != {str} or header["options"] != options.to_dict():
            raise DataError("its traces are not ours: a part is of the wrong type")
    return trace


def loss_of(result: ExecResult) -> str:
    """What ended a suite that left no traces: a cause, and details."""
    if result.ended == "timeout":
        return f"{TIME}: its tests were stopped after {result.wall_s:.0f} s"
    return f"{CRASH}: {last_line(result.files.get(LOG, b'') + result.stderr)}"


def last_line(said: bytes) -> str:
    return said[-2000:].decode(errors="replace").strip().rpartition("\n")[2]

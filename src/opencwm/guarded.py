"""Record programs in the guarded child: what `trace run`, `predict --verify` and the demo do.

    source | file | module --job--> sandbox[ the recorder's child program ] --> Recording(trace, output, how guarded)

A program of the user's own may read the folder it lies in and whatever its interpreter can import, and write only into
a temporary directory. What it does is in the trace's outcome; only a program that cannot be started at all (no such
file, not Python, a name that does not exist) is an error. Left out: processes that the program starts.
"""

import ast
import json
import sys
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from opencwm.data.record import CHILD, JOB, OUT, finished_lines, recorder_folders
from opencwm.errors import ConfigError, SandboxError
from opencwm.prediction import check
from opencwm.sandbox import NamespaceSandbox
from opencwm.sandbox.base import MIB, Enforced, ExecResult, Limits, Sandbox
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.native import built
from opencwm.trace.recording.options import Options

STARTUP_S = 10.0
"""What a child may need beyond the recorder's own time: starting, and writing the trace."""
MEMORY_BYTES = 4096 * MIB
"""Address space of a recorded program; numpy alone maps more than a gigabyte."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    traces: tuple[Trace, ...]
    """One per thread that ran code in scope, the entry's first."""
    stdout: bytes
    stderr: bytes
    """What the program printed."""
    wall_s: float
    """Of the child as a whole, its start included."""
    enforced: Enforced

    @property
    def trace(self) -> Trace:
        return self.traces[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """Something to record."""

    source: str
    path: Path | None = None
    """Its file, where it has one."""
    package: str | None = None
    """What its relative imports are relative to, where it is run as a module."""
    folder: Path | None = None
    """What it may import lies in here; None: nothing of its own."""

    @property
    def name(self) -> str:
        return "the program" if self.path is None else self.path.name

    @classmethod
    def of_file(cls, path: Path) -> "Program":
        return cls(source=read_source(path), path=path.absolute(), folder=path.absolute().parent)

    @classmethod
    def of_module(cls, name: str) -> "Program":
        """A module by its dotted name, looked for where `python -m` looks: here first, then what is installed."""
        path, root = find_module(name)
        package = ".".join(path.parent.relative_to(root).parts)
        return cls(source=read_source(path), path=path, package=package, folder=root)


def record(
    program: Program,
    *,
    call: str | None = None,
    argv: Sequence[str] = (),
    stdin: bytes = b"",
    options: Options | None = None,
    sandbox: Sandbox | None = None,
    trusted: bool = True,
) -> Recording:
    """Record `call` on the program, or its run as a script. Raises ConfigError for what is no Python or calls what is
    not there, and SandboxError where the child is lost without a result."""
    check_program(program, call)
    options = options or Options()
    where = {"source": program.source} if program.path is None else {"path": str(program.path)}
    if program.folder is not None:
        where |= {"folder": str(program.folder)}
    if program.package is not None:
        where |= {"package": program.package}
    job = {**where, "call": call, "argv": list(argv), "options": options.to_dict(), "native": built()}
    result = run_child(
        json.dumps(job).encode(),
        sandbox or NamespaceSandbox(),
        wall_s=(options.timeout_s or 3600.0) + STARTUP_S,
        stdin=stdin,
        trusted=trusted,
        readable=[program.folder] if program.folder else [],
    )
    lines = finished_lines(result.files.get(OUT, b""))
    if not lines:
        raise SandboxError(f"{program.name} was not recorded: {died(result) or 'its child wrote no result'}")
    error = json.loads(lines[0]).get("error")
    if error is not None:
        raise ConfigError(f"{program.name} cannot be recorded: {error}", fix="correct it and run again")
    return Recording(
        traces=tuple(Trace.from_json(line.decode()) for line in lines),
        stdout=result.stdout,
        stderr=result.stderr,
        wall_s=result.wall_s,
        enforced=result.enforced,
    )


def run_child(
    job: bytes, sandbox: Sandbox, *, wall_s: float, stdin: bytes = b"", trusted: bool, readable: Sequence[Path] = ()
) -> ExecResult:
    """The recorder's child program on a job file, in the sandbox."""
    return sandbox.run(
        [sys.executable, "-s", "-P", "-B", str(CHILD), JOB, OUT],
        files={JOB: job},
        stdin=stdin,
        collect=[OUT],
        limits=Limits(wall_s=wall_s, memory_bytes=MEMORY_BYTES, max_processes=64, open_files=256),
        trusted=trusted,
        readable=[*recorder_folders(), *readable],
    )


def died(result: ExecResult) -> str | None:
    """What ended a child before its work was done, in words; None where it ended well."""
    if result.ended == "timeout":
        return f"it was killed after {result.wall_s:.0f} s"
    if result.ended == "output":
        return "it was killed because it printed too much"
    if result.ended == "signalled":
        return f"it was killed by signal {result.signal}"
    if result.status:
        last = result.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return f"it ended with status {result.status}" + (f" ({last})" if last else "")
    return None


def read_source(path: Path) -> str:
    """A file's text in the encoding that it declares; a ConfigError where there is none."""
    try:
        with tokenize.open(path) as file:
            return file.read()
    except FileNotFoundError as exc:
        raise ConfigError(f"there is no file {path}", fix="check the path") from exc
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigError(f"{path} cannot be read: {reason}") from exc
    except SyntaxError as exc:  # an encoding that does not exist
        raise ConfigError(f"{path} is not Python: {exc.msg}") from exc


def find_module(name: str) -> tuple[Path, Path]:
    """The file of a module (a package's `__main__`), and the folder from which it is imported."""
    search, parts = [str(Path.cwd()), *sys.path], name.split(".")
    root: Path | None = None
    for index in range(len(parts) + 1):
        at_end = index == len(parts)
        spec = PathFinder.find_spec("__main__" if at_end else parts[index], search)
        if spec is None or spec.origin is None:
            break
        path = Path(spec.origin)
        is_package = spec.submodule_search_locations is not None
        root = root or path.parents[1 if is_package else 0]
        if not is_package:
            return path, root
        search = list(spec.submodule_search_locations or [])
    raise ConfigError(f"there is no module {name!r} to run", fix="check the name; it is looked for as by python -m")


def check_program(program: Program, call: str | None) -> None:
    """Raise ConfigError where program or call are not Python, or where the call names what the program does not."""
    parse(program.source, program.name)
    if call is not None:
        check(program.source, call)


def parse(source: str, filename: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as exc:
        where = f"{filename}, line {exc.lineno}" if exc.lineno else filename
        raise ConfigError(f"{where}: not Python: {exc.msg}", fix="correct it and run again") from exc
    except (ValueError, RecursionError, MemoryError) as exc:
        raise ConfigError(f"{filename}: not Python: {exc}", fix="correct it and run again") from exc

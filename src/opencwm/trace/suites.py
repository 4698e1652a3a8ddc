"""Record a project's own test suite, in its own environment: `opencwm trace pytest`.

    folder, pytest's arguments --pytest with our plugin--> a folder of parts --merge--> Suite, traces on disk

The suite runs as its author would run it: same interpreter, same arguments, on this machine, with its files and
network. Run only suites that you would run anyway. Each test gives one record: the traces of its own threads, then,
where asked for, those of the processes it started. Records stand in the order of the tests' ids, so that a suite that
runs in parallel gives the same file.
"""

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from opencwm.errors import ConfigError
from opencwm.trace import recording
from opencwm.trace.files import replacing
from opencwm.trace.recording.frame import dump
from opencwm.trace.recording.options import Options

RECORDING = Path(recording.__file__).parent
PLUGIN = RECORDING.parent / "pytest_plugin"
START_UP = PLUGIN / "start_up"
PROCESS = "process"
"""In the place of an outcome in a part's index: a process that a test started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    status: int
    """pytest's exit status: 0 all passed, 1 some failed, 5 no tests; 128 + N where signal N ended the interpreter."""
    num_tests: int
    """Tests that ran, and were not only set up."""
    num_recorded: int
    """Those with frames in the scope."""
    num_processes: int
    """Processes that tests started, of which there are traces."""
    num_traces: int
    num_frames: int
    num_bytes: int
    """Of the file before it is packed."""
    outcomes: dict[str, int]
    """How many tests passed, failed, skipped, xfailed, xpassed."""
    engine: str
    notes: list[str]
    """What a reader of the traces should know: a test that was not recorded, an interpreter that died."""


def record_suite(
    output: Path,
    arguments: Sequence[str] = (),
    *,
    scope: Sequence[Path] = (),
    options: Options | None = None,
    python: str = sys.executable,
    folder: Path | None = None,
    with_children: bool = False,
    on_budget: str = "stop_recording",
    stdout: int | None = None,
) -> Suite:
    """Run `python -m pytest ARGUMENTS` in `folder` and write a line per trace to `output` (.jsonl or .jsonl.gz).

    `scope` are the files and folders whose frames are recorded (default: `folder`); `with_children` records the Python
    processes that tests start, too; `on_budget` says what becomes of a test whose budget is spent; `stdout` is where
    pytest's output goes, if not to ours. The file is written when the suite has ended, whatever its result, and holds
    all tests that had ended by then. Raises ConfigError where that interpreter has no pytest.
    """
    folder = (folder or Path.cwd()).absolute()
    if not output.absolute().parent.is_dir():  # before the suite has run for an hour
        raise ConfigError(f"there is no folder {output.parent} to write to", fix="make it, or give another name")
    check_pytest(python)
    native = native_of(python)
    with tempfile.TemporaryDirectory(prefix="opencwm-") as temporary:
        parts = Path(temporary, "parts")
        parts.mkdir()
        job = {
            "recording": str(RECORDING),
            "out": str(parts),
            "scope": [str(path.absolute()) for path in scope] or [str(folder)],
            "options": asdict(replace(options or Options(), on_budget=on_budget)),
            "native": native,
            "with_children": with_children,
        }
        job_path = Path(temporary, "job.json")
        job_path.write_text(json.dumps(job), encoding="utf-8")
        folders = [str(START_UP)] * with_children + [str(PLUGIN), os.environ.get("PYTHONPATH", "")]
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
            "OPENCWM_TRACE": str(job_path),
            "PYTHONPATH": os.pathsep.join(filter(None, folders)),
            "PYTEST_ADDOPTS": f"{os.environ.get('PYTEST_ADDOPTS', '')} -p opencwm_pytest".strip(),
            "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),
        }
        status = _run([python, "-m", "pytest", *arguments], folder, environment, stdout)
        found = _Records.read(parts)
        if status < 0:
            found.notes.insert(0, f"the interpreter was ended by {_name_of(-status)}; what it had recorded is kept")
        engines: set[str] = set()
        num_traces = num_frames = num_bytes = num_processes = 0
        with _packed(output) as file:
            for header, line in found.lines():
                engines.add(header["engine"])
                num_traces += 1
                num_processes += header["thread"] == 0 and header["process"] > 0
                num_frames += header["num_frames"]
                num_bytes += len(line)
                file.write(line)
    return Suite(
        status=status if status >= 0 else 128 - status,
        num_tests=len(found.outcomes),
        num_recorded=len(found.recorded),
        num_processes=num_processes,
        num_traces=num_traces,
        num_frames=num_frames,
        num_bytes=num_bytes,
        outcomes={
            outcome: list(found.outcomes.values()).count(outcome) for outcome in sorted(set(found.outcomes.values()))
        },
        engine=", ".join(sorted(engines)) or ("native" if native else "python"),
        notes=found.notes,
    )


def _run(command: Sequence[str], folder: Path, environment: dict[str, str], stdout: int | None) -> int:
    """The exit status. Ctrl-C is pytest's: it ends the suite in its own way, and what was recorded is kept."""
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=stdout) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass
class _Records:
    """What the processes of a suite have left: where the traces of each test are."""

    places: dict[str, list[tuple[int, Path, int, int]]] = field(default_factory=dict)
    """Test -> (0 for its own process, 1 for others; file, offset, size)."""
    outcomes: dict[str, str] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, parts: Path) -> "_Records":
        records = cls()
        for index in sorted(parts.glob("*.index")):
            records._read_index(index)
        return records

    def _read_index(self, index: Path) -> None:
        started, is_ended = None, False
        for text in index.read_text(encoding="ascii").splitlines():
            try:
                note = json.loads(text)
            except ValueError:  # the process died while it wrote this
                continue
            if "started" in note:
                started = note["started"]
            elif "ended" in note:
                is_ended = True
            elif "note" in note:
                self.notes += [note["note"]] * (note["note"] not in self.notes)
            else:
                self._add(note, index.with_suffix(".jsonl"))
        if started is not None and not is_ended:
            self.notes.append(f"the interpreter did not come back from {started}")

    def _add(self, note: dict[str, Any], file: Path) -> None:
        test, is_process = note["test"], note["outcome"] == PROCESS
        if note["failure"] is not None:
            self.notes.append(f"{test} was not recorded to its end: {note['failure']}")
        if note["outcome"] is None:
            return
        places = self.places.setdefault(test, [])
        if not is_process:
            self.outcomes[test] = note["outcome"]
            places[:] = [place for place in places if place[0]]  # a test that was tried again: the last one counts
        if note["size"]:
            places.append((int(is_process), file, note["offset"], note["size"]))

    def lines(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Header and line of every trace, test by test: of its own process (0), and of those it started."""
        for test in sorted(self.places):
            number = 0
            for is_process, file, offset, size in sorted(self.places[test]):
                number += is_process
                with open(file, "rb") as part:
                    part.seek(offset)
                    for line in part.read(size).removesuffix(b"\n").split(b"\n"):
                        yield self._named(line.decode("utf-8") + "\n", test, number)

    def _named(self, line: str, test: str, process: int) -> tuple[dict[str, Any], bytes]:
        start = '{"header":'
        assert line.startswith(start), f"a trace begins with {line[:40]!r}"
        header, end = json.JSONDecoder().raw_decode(line, len(start))
        header["test"] = {"id": test, "outcome": self.outcomes.get(test)}
        header["process"] = process
        self.recorded.add(test)
        return header, (start + dump(header) + line[end:]).encode("utf-8")


@contextmanager
def _packed(output: Path) -> Iterator[BinaryIO]:
    with replacing(output) as partial, open(partial, "wb") as raw:
        if output.suffix != ".gz":
            yield raw
            return
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
            yield cast(BinaryIO, packed)


def check_pytest(python: str) -> None:
    try:
        done = subprocess.run([python, "-c", "import pytest"], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ConfigError(f"{python} cannot be run: {exc}", fix="give --python the project's interpreter") from exc
    if done.returncode != 0:
        raise ConfigError(f"{python} has no pytest", fix="give --python the interpreter that runs the project's tests")


def native_of(python: str) -> str | None:
    """The native engine's extension for another interpreter, built if need be."""
    done = subprocess.run([python, "-I", str(RECORDING / "child.py"), "--native"], capture_output=True, timeout=180)
    return os.fsdecode(done.stdout).strip() if done.returncode == 0 else None

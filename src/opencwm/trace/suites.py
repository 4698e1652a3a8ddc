"""Record a project's own test suite, in its own environment: `opencwm trace pytest`.

    folder, pytest's arguments --pytest with our plugin--> Suite(status, traces on disk: one or more per test)

The suite runs as its author would run it: same interpreter, same arguments, on this machine, with its files and
network. Run only suites that you would run anyway.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from opencwm.errors import ConfigError, DataError
from opencwm.trace import recording
from opencwm.trace.recording.options import Options

RECORDING = Path(recording.__file__).parent
PLUGIN = RECORDING.parent / "pytest_plugin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    status: int
    """pytest's exit status: 0 all passed, 1 some failed, 5 no tests."""
    num_tests: int
    num_traces: int
    num_frames: int
    engine: str


def record_suite(
    output: Path,
    arguments: Sequence[str] = (),
    *,
    scope: Sequence[Path] = (),
    options: Options | None = None,
    python: str = sys.executable,
    folder: Path | None = None,
) -> Suite:
    """Run `python -m pytest ARGUMENTS` in `folder` and write a line per trace to `output` (.jsonl).

    `scope` are the files and folders whose frames are recorded (default: `folder`). The file is written when the suite
    has ended, whatever its result. Raises ConfigError where that interpreter has no pytest.
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
            "options": asdict(replace(options or Options(), on_budget="stop_recording")),
            "native": native,
        }
        job_path = Path(temporary, "job.json")
        job_path.write_text(json.dumps(job), encoding="utf-8")
        environment = {
            **os.environ,
            "OPENCWM_TRACE": str(job_path),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(PLUGIN), os.environ.get("PYTHONPATH", "")])),
            "PYTEST_ADDOPTS": f"{os.environ.get('PYTEST_ADDOPTS', '')} -p opencwm_pytest".strip(),
            "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),
        }
        done = subprocess.run([python, "-m", "pytest", *arguments], cwd=folder, env=environment)
        tests, num_traces, num_frames = set(), 0, 0
        partial = output.with_name(f".{output.name}.{os.getpid()}.part")
        try:
            with open(partial, "w", encoding="utf-8") as file:
                for part in sorted(parts.glob("*.jsonl")):
                    for line in part.read_text(encoding="utf-8").splitlines(keepends=True):
                        header = json.loads(line)["header"]
                        tests.add(header["test"]["id"])
                        num_traces += 1
                        num_frames += header["num_frames"]
                        file.write(line)
            partial.replace(output)
        except OSError as exc:
            raise DataError(f"{output} cannot be written: {exc.strerror or exc}") from exc
        finally:
            partial.unlink(missing_ok=True)
    return Suite(
        status=done.returncode,
        num_tests=len(tests),
        num_traces=num_traces,
        num_frames=num_frames,
        engine="native" if native else "python",
    )


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

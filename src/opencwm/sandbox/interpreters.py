"""The Python interpreters of this machine that programs can be recorded with.

Looked for on the PATH and where pyenv and uv keep theirs, newest patch release first; each one is started once, because
a file called python3.9 may be a launcher script that runs something else, or nothing.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

MINORS = range(8, 14)
"""The recorder is tested on 3.8 to 3.13."""

_FOLDERS = (
    "~/.pyenv/versions/3.{minor}.*/bin",
    "~/.local/share/uv/python/cpython-3.{minor}.*/bin",
    "/opt/python/3.{minor}*/bin",
    "/opt/hostedtoolcache/Python/3.{minor}.*/*/bin",
)
_ASK = "import platform, sys; print(platform.python_version(), sys.executable)"
_START_S = 20.0


def find_interpreters() -> dict[str, Path]:
    """Version without the patch level ("3.9") -> an interpreter that answers to it, the lowest first."""
    asked = {minor: [(path, _ask(path)) for path in _candidates(minor)] for minor in MINORS}
    found = {}
    for minor, answers in asked.items():
        for path, process in answers:
            answer = _answer(process)  # every one that was asked is waited for
            if f"3.{minor}" not in found and answer.startswith(f"3.{minor}."):
                found[f"3.{minor}"] = path
    return found


def _candidates(minor: int) -> Iterator[Path]:
    """At most one of each place, scripts left out: they are not the interpreter, and slow."""
    name = f"python3.{minor}"
    on_path = shutil.which(name)
    if on_path is not None and not _is_script(on_path):
        yield Path(on_path)
    for pattern in _FOLDERS:
        first, *rest = Path(pattern.format(minor=minor)).expanduser().parts
        folders = sorted(Path(first).glob(str(Path(*rest))), key=_patch_level, reverse=True)
        yield from (folder / name for folder in folders[:1] if (folder / name).exists())


def _patch_level(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(folder)))


def _is_script(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def _ask(path: Path) -> subprocess.Popen[str] | None:
    try:
        return subprocess.Popen(
            [path, "-I", "-S", "-c", _ASK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except OSError:
        return None


def _answer(process: subprocess.Popen[str] | None) -> str:
    if process is None:
        return ""
    try:
        return process.communicate(timeout=_START_S)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return ""

"""The files of a git repository at a commit, and which earlier commits to try.

    folder --head, earlier--> commits --files_at--> {path: bytes}

Nothing is checked out and no file of the repository is changed: the trees are read from git's own store. A folder that
is no repository is its files as they are, under the commit "".
"""

import os
import random
import subprocess
from pathlib import Path

from opencwm.data.repositories.sources import SKIPPED_FOLDERS
from opencwm.errors import ConfigError, DataError

MAX_FILES = 8_000
MAX_BYTES = 64 << 20
MAX_FILE_BYTES = 4 << 20
"""Larger files are left out: no test suite's source is that long."""
_QUIET = (
    "-c",
    "safe.directory=*",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "protocol.allow=never",
)


def head(folder: Path) -> str:
    """The commit that is checked out; "" where the folder is not the top of a git repository."""
    if not (folder / ".git").exists() and not (folder / "HEAD").is_file():
        return ""
    return _git(folder, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()


def earlier(folder: Path, commit: str, count: int, rng: random.Random) -> list[str]:
    """At most `count` commits before this one, in random order; merges, which bring nothing new, are left out."""
    if not commit or not count:
        return []
    commits = _git(folder, "rev-list", "--no-merges", f"{commit}^@").decode().split()
    return rng.sample(commits, min(count, len(commits)))


def files_at(folder: Path, commit: str) -> dict[str, bytes]:
    """The regular files of a commit. Raises DataError where there are too many for a test suite's sandbox."""
    if not commit:
        return _files_below(folder)
    listed = _git(folder, "ls-tree", "-r", "-z", "--full-tree", "--long", commit).split(b"\0")
    wanted: list[tuple[str, str]] = []
    total = 0
    for entry in filter(None, listed):
        meta, _, path = entry.partition(b"\t")
        mode, _, name, size = meta.split()
        if mode.startswith(b"100") and int(size) <= MAX_FILE_BYTES:
            wanted.append((os.fsdecode(path), name.decode()))
            total += int(size)
    _check(len(wanted), total, f"{folder} at {commit[:12]}")
    answer = _git(folder, "cat-file", "--batch", given="".join(f"{blob}\n" for _, blob in wanted).encode())
    files, at = {}, 0
    for file, blob in wanted:
        line = answer.index(b"\n", at)
        assert answer[at:line].startswith(blob.encode()), answer[at:line]
        end = line + 1 + int(answer[at:line].split()[2])
        files[file] = answer[line + 1 : end]
        at = end + 1
    return files


def _files_below(folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        for path in (Path(parent, name) for name in sorted(names)):
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_FILE_BYTES:
                total += path.stat().st_size
                _check(len(files), total, str(folder))
                files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def _check(num_files: int, num_bytes: int, what: str) -> None:
    if num_files > MAX_FILES or num_bytes > MAX_BYTES:
        raise DataError(f"{what} has {num_files:,} files, {num_bytes >> 20} MiB: too large for a test suite's sandbox")


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Git, kept from running anything that the repository's own configuration names, and from fetching."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}
    where = ["-C", str(folder)] if (folder / ".git").exists() else ["--git-dir", str(folder)]
    try:
        done = subprocess.run(["git", *_QUIET, *where, *arguments], input=given, capture_output=True, env=environment)
    except FileNotFoundError as exc:
        raise ConfigError("repositories are read with git, which is not installed", fix="install git") from exc
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise DataError(f"git cannot read {folder}: {said or f'it ended with status {done.returncode}'}")
    return done.stdout

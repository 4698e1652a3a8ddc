"""What a program sees of the host: system directories, its interpreter, and what the caller names.

Everything else does not exist inside: no home directory, no /etc, no /proc, no other /tmp. A path is shown at its own
place, so a program and its tracebacks look as they would outside. A user's Python comes with the file itself, the
links that lead to it, its `lib` and its `pyvenv.cfg`, and not with whatever else lies beside them.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from opencwm.errors import ConfigError

PATH = "/usr/local/bin:/usr/bin:/bin"
WORKDIR = "/box"
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"),
    *("/nix/store", "/etc/alternatives", "/etc/ld.so.cache"),
)
_TOO_WIDE = ("/", "/proc", "/sys", "/dev", WORKDIR)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    binds: tuple[tuple[str, str], ...]
    """(real path outside, path inside), read-only."""
    links: tuple[tuple[str, str], ...]
    """(what the link says, path inside)."""


def layout(argv0: str, readable: Sequence[str | Path]) -> Layout:
    """The view for one program. Raises ConfigError for a program or path that does not exist."""
    links = [(os.readlink(path), path) for path in SYSTEM if os.path.islink(path)]
    paths = [path for path in SYSTEM if os.path.exists(path) and not os.path.islink(path)]
    for kind, path in _interpreter_parts(find_program(argv0)):
        if kind == "link":
            links.append((os.readlink(path), path))
        else:
            paths.append(path)
    for path in map(_checked, readable):
        for shown in _opened(path):
            if os.path.islink(shown):
                links.append((os.readlink(shown), shown))
            else:
                paths.append(shown)
    kept = list(_outermost(paths))
    return Layout(
        binds=tuple((os.path.realpath(path), path) for path in kept),
        links=tuple(
            (text, path) for path, text in {path: text for text, path in links}.items() if not _is_below(path, kept)
        ),
    )


def find_program(argv0: str) -> str:
    """The absolute path of a program, looked up on the sandbox's own PATH."""
    found = shutil.which(argv0, path=PATH)
    if found is None or not os.path.isabs(found):
        raise ConfigError(
            f"there is no program {argv0!r} to run in the sandbox",
            fix=f"give its absolute path, or a name found on {PATH}",
        )
    return found


def _interpreter_parts(path: str) -> Iterator[tuple[str, str]]:
    """("link" or "path", path) for the program, each link that leads to it, and the library beside each."""
    for _ in range(40):  # as many links as the kernel follows
        home = os.path.dirname(os.path.dirname(path))
        for beside in ("lib", "pyvenv.cfg"):
            if os.path.basename(os.path.dirname(path)) == "bin" and _is_python_home(home):
                part = os.path.join(home, beside)
                if os.path.exists(part):
                    yield "path", part
        if not os.path.islink(path):
            yield "path", path
            return
        yield "link", path
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))


def _is_python_home(folder: str) -> bool:
    return folder != "/" and (
        os.path.exists(os.path.join(folder, "pyvenv.cfg")) or any(Path(folder, "lib").glob("python3*/os.py"))
    )


def _checked(path: str | Path) -> str:
    absolute = os.path.abspath(path)
    if not os.path.exists(absolute):
        raise ConfigError(f"the sandbox was asked to show {absolute}, which does not exist")
    if absolute in _TOO_WIDE or absolute.startswith(("/proc/", "/sys/", "/dev/")):
        raise ConfigError(f"the sandbox cannot show {absolute} to a program", fix="name the folder that it needs")
    return absolute


def _opened(path: str) -> list[str]:
    """The path itself; or what lies in it, where it is a folder of root's that other users may not enter.

    Bound as it is, it would hide itself, and an interpreter below it, from the user that the program runs as.
    """
    real = os.path.realpath(path)
    if os.geteuid() != 0 or not os.path.isdir(real) or os.stat(real).st_mode & 0o005 == 0o005:
        return [path]
    return [os.path.join(path, name) for name in os.listdir(real)]


def _outermost(paths: Iterable[str]) -> Iterator[str]:
    """Each path once, without those below another one."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not _is_below(path, kept):
            kept.append(path)
            yield path


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def is_open_to_others(path: str) -> bool:
    """Whether a user who owns nothing can reach and read `path`, by its mode and those of its parents."""
    real = os.path.realpath(path)
    parents = (str(parent) for parent in Path(real).parents)
    return bool(os.stat(real).st_mode & 0o004) and all(os.stat(parent).st_mode & 0o001 for parent in parents)

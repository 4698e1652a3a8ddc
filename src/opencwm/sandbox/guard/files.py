"""The program's files: its own root, what is put into its directory, and what is read back from it.

build_root: binds and links of the layout, five devices, one writable tmpfs --pivot_root--> the only thing there is
"""

from __future__ import annotations

import os
import stat

from . import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import Job

DEVICES = ("null", "zero", "full", "random", "urandom")
OLD_ROOT = "/old_root"


def build_root(job: Job) -> None:
    """A new root of empty directories, read-only binds and one writable directory; the old root is detached."""
    base = job["mountpoint"]
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("tmpfs", base, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "size=1m,mode=0755")
    os.mkdir(base + OLD_ROOT)
    syscalls.pivot_root(base, base + OLD_ROOT)
    os.chdir("/")
    os.mkdir(job["workdir"])
    for source, path in job["binds"]:
        _bind(OLD_ROOT + source, path)
        syscalls.make_readonly(path, recursive=True)
    for target, path in job["links"]:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)
    if not os.path.lexists("/tmp"):
        os.symlink(job["workdir"], "/tmp")
    for name in DEVICES:
        _bind(f"{OLD_ROOT}/dev/{name}", f"/dev/{name}")
    options = "size={disk_bytes},nr_inodes=16384,mode=0700".format(**job["limits"])
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("tmpfs", job["workdir"], "tmpfs", flags, f"{options},uid={job['uid']},gid={job['uid']}")
    syscalls.unmount(OLD_ROOT)
    os.rmdir(OLD_ROOT)
    syscalls.make_readonly("/", recursive=False)


def _bind(source: str, path: str) -> None:
    if os.path.isdir(source):
        os.makedirs(path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o444))
    syscalls.mount(source, path, "", syscalls.MS_BIND | syscalls.MS_REC)


def write_files(folder: str, files: dict[str, bytes], uid: int) -> None:
    for name, content in files.items():
        path = folder
        *parents, last = name.split("/")
        for part in parents:
            path = f"{path}/{part}"
            if not os.path.isdir(path):
                os.mkdir(path)
                os.chown(path, uid, -1)
        fd = os.open(f"{path}/{last}", os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644)
        with open(fd, "wb") as file:
            file.write(content)
            os.fchown(fd, uid, -1)


def collect(folder: str, names: list[str], max_bytes: int) -> dict[str, bytes]:
    """The named regular files. Everything inside is dead by now, so nothing changes while we look."""
    found = {}
    for name in names:
        content = _read_inside(folder, name.split("/"), max_bytes)
        if content is not None:
            found[name] = content
    return found


def _read_inside(folder: str, parts: list[str], max_bytes: int) -> bytes | None:
    """One file below `folder`, following no link on the way; None where there is no such regular file."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for index, part in enumerate(parts):
            is_last = index == len(parts) - 1
            kind = os.O_NONBLOCK if is_last else os.O_DIRECTORY
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | kind, dir_fd=fd)
            os.close(fd)
            fd = inner
        info = os.fstat(fd)
        # a second name could belong to a file outside, where the directory is not a file system of its own
        if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1 or info.st_size > max_bytes:
            return None
        with open(fd, "rb", closefd=False) as file:
            return file.read()
    except OSError:  # absent, a link, unreadable: all of them the program's doing
        return None
    finally:
        os.close(fd)

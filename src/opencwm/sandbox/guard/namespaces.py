"""Into namespaces of one's own, and finding out which of them the kernel allows."""

from __future__ import annotations

import os

from . import syscalls
from .files import build_root
from .program import INNER_ID, become, new_user_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import Job

KINDS = {
    "network": syscalls.CLONE_NEWNET,
    "processes": syscalls.CLONE_NEWPID,
    "filesystem": syscalls.CLONE_NEWNS,
    "ipc": syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS,
}


def enter(wanted: set[str], proc_fd: int, *, is_root: bool) -> None:
    """Leave for the wanted namespaces; the process namespace begins with the next fork."""
    kinds = wanted & KINDS.keys()
    if kinds and not is_root and "user" in wanted:  # root needs no user namespace to make the others
        new_user_namespace(proc_fd, inside=os.getuid())
    flags = 0
    for kind in kinds:
        flags |= KINDS[kind]
    if flags:
        syscalls.unshare(flags)
    if "ipc" in wanted:
        syscalls.set_host_name("sandbox")


def probe(job: Job) -> dict[str, str]:
    """Try each namespace as a run would, each in a child of its own; the refused ones with the kernel's reason."""
    refused = {}
    for kind in ("user", *KINDS):
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                _try(kind, job)
            except OSError as exc:
                os.write(write_end, str(exc.strerror or exc).encode())
            finally:
                os._exit(0)
        os.close(write_end)
        os.waitpid(pid, 0)
        reason = os.read(read_end, 4096).decode()
        os.close(read_end)
        if reason:
            refused[kind] = reason
    return refused


def _try(kind: str, job: Job) -> None:
    proc_fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    if kind == "user":
        if job["is_root"]:
            become(job["uid"])
        else:
            new_user_namespace(proc_fd, inside=os.getuid())
        new_user_namespace(proc_fd, inside=INNER_ID)
        return
    enter({"user", kind}, proc_fd, is_root=job["is_root"])
    if kind == "processes":
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    elif kind == "filesystem":
        build_root({**job, "binds": [], "links": [], "workdir": "/box"})

"""Start one program inside fresh namespaces, watch it, kill everything, and hand back what it left.

    parent --job pipe--> launcher --unshare, fork--> guard (pid 1 inside) --fork, exec--> the program
    parent <--report pipe----------------------------- guard

The job pipe stays open for as long as the parent wants the run: when it closes (the parent said stop, or died), the
guard kills everything. The program never holds either pipe: what the report says is said by the guard alone.
Each namespace is optional (`job["namespaces"]`); without one the next best thing is done: a subreaper in place of a
process namespace, a directory made by the parent in place of a file system.
Run as `python -I -S -c ... JOB_FD REPORT_FD`; not for import by the rest of the package.
"""

from __future__ import annotations

import marshal
import os
import select
import sys
import time

from . import syscalls
from .files import build_root, collect, write_files
from .namespaces import enter, probe
from .program import StartError, start

TYPE_CHECKING = False  # `typing` itself would cost 10 ms at every run
if TYPE_CHECKING:
    from typing import Any

    from . import Job

SIGKILL = 9
TICK_S = 0.1  # how often orphans are reaped while the program runs
KILL_S = 5.0  # how long a killed process may take to disappear, without a process namespace


def main() -> None:
    job_fd, report_fd = int(sys.argv[1]), int(sys.argv[2])
    for fd in (job_fd, report_fd):
        os.set_inheritable(fd, False)
    stage = "reading the job"
    try:
        job: Job = marshal.loads(_read_exactly(job_fd, int.from_bytes(_read_exactly(job_fd, 8), "little")))
        if job.get("probe"):
            _report(report_fd, {"refused": probe(job)})
            return
        stage = "entering the namespaces"
        proc_fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        enter(set(job["namespaces"]), proc_fd, is_root=job["is_root"])
        stage = "starting the guard"
        pid = os.fork()
    except (OSError, EOFError, ValueError) as exc:
        _report(report_fd, {"failed": f"{stage}: {exc}"})
        return
    if pid:
        os.close(report_fd)
        os.waitpid(pid, 0)
        os._exit(0)  # an orderly end of the interpreter would cost 2 ms more
    try:
        guard(job, job_fd, report_fd, proc_fd)
    except BaseException:  # a mistake of ours: the parent shows what stands on stderr when no report comes
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _read_exactly(fd: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            raise EOFError("the parent went away")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _report(fd: int, report: dict[str, Any]) -> None:
    data = memoryview(marshal.dumps(report))
    while data:
        data = data[os.write(fd, data) :]
    os.close(fd)


def guard(job: Job, job_fd: int, report_fd: int, proc_fd: int) -> None:
    """Prepare, run and end one program; the last thing it does is to report."""
    syscalls.die_with_parent()
    os.umask(0o022)
    is_init = "processes" in job["namespaces"]
    assert not is_init or os.getpid() == 1, f"pid {os.getpid()} in a process namespace of our own"
    stage = "making the file system"
    try:
        if "filesystem" in job["namespaces"]:
            build_root(job)
        if not is_init:
            syscalls.adopt_orphans()
        stage = "writing the files"
        if job["is_dropped"]:
            os.chown(job["workdir"], job["uid"], job["uid"])
        write_files(job["workdir"], job["files"], job["uid"])
        stage = "starting the program"
        began = time.monotonic()
        pid = start(job, proc_fd)
    except StartError as exc:
        _report(report_fd, {"not_started": exc.args})
        return
    except OSError as exc:
        _report(report_fd, {"failed": f"{stage}: {exc}"})
        return
    ended, status, usage = watch(pid, job_fd, began + job["limits"]["wall_s"])
    wall_s = time.monotonic() - began
    try:
        end_everything(pid, proc_fd, is_init=is_init)
    except OSError as exc:
        _report(report_fd, {"failed": f"killing what was left: {exc}"})
        return
    _report(
        report_fd,
        {
            "ended": ended,
            "code": os.waitstatus_to_exitcode(status) if ended == "itself" else None,
            "wall_s": wall_s,
            "cpu_s": usage.ru_utime + usage.ru_stime if usage else 0.0,
            "max_rss_bytes": usage.ru_maxrss * 1024 if usage else 0,
            "files": collect(job["workdir"], job["collect"], job["limits"]["file_bytes"]),
        },
    )


def watch(pid: int, job_fd: int, deadline: float) -> tuple[str, int, Any]:
    """Wait for the program, the deadline or the parent: (`itself`, `timeout` or `stopped`, status, rusage)."""
    poller = select.poll()
    poller.register(os.pidfd_open(pid), select.POLLIN)
    poller.register(job_fd, select.POLLIN)
    while True:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return "timeout", 0, None
        ready = {fd for fd, _ in poller.poll(min(left_s, TICK_S) * 1000 + 1)}
        for reaped, status, usage in _reap():
            if reaped == pid:
                return "itself", status, usage
        if job_fd in ready:
            return "stopped", 0, None


def _reap() -> list[tuple[int, int, Any]]:
    """Whoever has died so far; orphans come to us, and would count against the limit on processes."""
    reaped = []
    try:
        while (one := os.wait4(-1, os.WNOHANG))[0]:
            reaped.append(one)
    except ChildProcessError:
        pass
    return reaped


def end_everything(pid: int, proc_fd: int, *, is_init: bool) -> None:
    """Kill whatever is left, and return when it is gone."""
    if is_init:
        assert os.getpid() == 1  # anywhere else, -1 would be every process of this user
        _kill(-1)
        try:
            while True:
                os.waitpid(-1, 0)
        except ChildProcessError:
            return
    _kill(-pid)
    give_up = time.monotonic() + KILL_S
    while time.monotonic() < give_up:
        _reap()
        children = _children(proc_fd)
        if not children:
            return
        for child in children:  # as each dies, its own children become ours
            _kill(child)
        time.sleep(0.002)
    raise TimeoutError(f"processes {_children(proc_fd)} do not die")


def _kill(pid: int) -> None:
    try:
        os.kill(pid, SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # already gone


def _children(proc_fd: int) -> list[int]:
    fd = os.open("thread-self/children", os.O_RDONLY, dir_fd=proc_fd)  # there may be no /proc in our own view
    with open(fd) as file:
        return [int(word) for word in file.read().split()]

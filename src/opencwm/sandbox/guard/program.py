"""Fork, confine, exec: the program as another user, without rights, under its limits.

The order matters: the change of user needs rights that the user namespace takes, the limit on processes counts in the
namespace that is current, and the filter on system calls forbids what all of this is made of.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # not `signal`, which would cost 2 ms of enum at every run
import marshal
import os
import resource

from . import seccomp, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import Job

SIGPIPE, SIGXFSZ = 13, 25
INNER_ID = 1000  # user and group as the program sees them: the same in every run


def become(uid: int) -> None:
    """A real change of user and group, with no groups besides; only root can."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def new_user_namespace(proc_fd: int, *, inside: int) -> None:
    """A user namespace that knows this process's own user and group, there called `inside`, and nobody else."""
    uid, gid = os.getuid(), os.getgid()
    syscalls.own_proc_files()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    _write_proc(proc_fd, "self/setgroups", "deny")
    _write_proc(proc_fd, "self/uid_map", f"{inside} {uid} 1")
    _write_proc(proc_fd, "self/gid_map", f"{inside} {gid} 1")


def _write_proc(proc_fd: int, name: str, text: str) -> None:
    fd = os.open(name, os.O_WRONLY, dir_fd=proc_fd)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def start(job: Job, proc_fd: int) -> int:
    """Fork and exec the program; its pid. Raises OSError with the reason when it cannot start."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        stage = "preparing the program"
        try:
            _confine(job, proc_fd)
            stage = "exec"
            os.execvpe(job["argv"][0], job["argv"], job["env"])
        except BaseException as exc:  # whatever it is, it must reach the parent and never run on as a second guard
            number = exc.errno if isinstance(exc, OSError) else None
            os.write(write_end, marshal.dumps((stage, number or 0, str(exc))))
        finally:
            os._exit(127)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        failure = pipe.read()
    if failure:
        os.waitpid(pid, 0)
        stage, number, text = marshal.loads(failure)
        raise StartError(stage, number, text)
    return pid


class StartError(Exception):
    """The program could not be started: (stage, errno, text)."""


def _confine(job: Job, proc_fd: int) -> None:
    os.setsid()
    os.chdir(job["workdir"])
    for number in (SIGPIPE, SIGXFSZ):  # Python ignores these two; a program expects the defaults
        _signal.signal(number, _signal.SIG_DFL)
    _write_proc(proc_fd, "self/oom_score_adj", "1000")  # short of memory, the kernel kills this first
    if job["is_dropped"]:
        become(job["uid"])
    if "user" in job["namespaces"]:
        new_user_namespace(proc_fd, inside=INNER_ID)
        _forbid_user_namespaces(proc_fd, has_filter=job["syscalls"])
    _limit(job["limits"], is_counted="user" in job["namespaces"] or job["is_dropped"])
    syscalls.forbid_new_privileges()
    syscalls.drop_capabilities()
    if job["syscalls"]:
        seccomp.refuse_rare_calls()


def _forbid_user_namespaces(proc_fd: int, *, has_filter: bool) -> None:
    try:
        _write_proc(proc_fd, "sys/user/max_user_namespaces", "0")
    except OSError:  # containers show this file read-only; the filter on system calls forbids the same
        if not has_filter:
            raise


def _limit(limits: dict[str, int], *, is_counted: bool) -> None:
    """The rlimits. Processes are counted per user, so that one only holds where the user is ours alone."""
    wanted = [
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_CPU, limits["cpu_s"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ]
    if is_counted:
        wanted.append((resource.RLIMIT_NPROC, limits["max_processes"]))
    for kind, value in wanted:
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))

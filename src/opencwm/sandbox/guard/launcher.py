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

import _signal  # type: ignore[import-not-found]  # not `signal`, which would cost 2 ms of enum at every run
import marshal
import os
import resource
import select
import stat
import sys
import time

from . import seccomp, syscalls

TYPE_CHECKING = False  # `typing` itself would cost 10 ms at every run
if TYPE_CHECKING:
    from typing import Any

    Job = dict[str, Any]

SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25
KINDS = {
    "network": syscalls.CLONE_NEWNET,
    "processes": syscalls.CLONE_NEWPID,
    "filesystem": syscalls.CLONE_NEWNS,
    "ipc": syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS,
}
DEVICES = ("null", "zero", "full", "random", "urandom")
OLD_ROOT = "/old_root"
INNER_ID = 1000  # user and group as the program sees them: the same in every run
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


# ---- namespaces ------------------------------------------------------------------------------------------------


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


# ---- file system -----------------------------------------------------------------------------------------------


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


# ---- the program -----------------------------------------------------------------------------------------------


def become(uid: int) -> None:
    """A real change of user and group, with no groups besides; only root can."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


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


# ---- the guard -------------------------------------------------------------------------------------------------


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

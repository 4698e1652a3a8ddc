"""What a sandbox promises: run one program under limits, and say exactly what was enforced.

    argv, files, stdin --Sandbox.run--> ExecResult(how it ended, output, collected files, Enforced)

A program that fails, loops, is killed or floods its output is a *result*. Only a failure of our own (the launcher
died, a fork was refused) is an error. Backends: `namespaces.py` (this machine's kernel). Not here: persistent shells,
images and containers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

MIB = 1 << 20
ISOLATION = ("user", "network", "processes", "filesystem", "ipc")
"""The namespaces a run can have of its own, in the order in which reports name them."""

NO_FILES: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    wall_s: float = 10.0
    """Seconds of wall-clock time from the start of the program; then everything in the sandbox is killed."""
    cpu_s: int | None = None
    """Seconds of CPU time per process; None for `wall_s` rounded up, plus one."""
    memory_bytes: int = 1024 * MIB
    """Address space per process; an allocation beyond it fails inside the program."""
    max_processes: int = 32
    """Processes and threads alive at once, the program itself included."""
    open_files: int = 64
    """Open file descriptors per process."""
    file_bytes: int = 64 * MIB
    """Size of the largest file the program may write."""
    disk_bytes: int = 128 * MIB
    """Size of the temporary directory as a whole, which lives in memory (enforced with its own file system only)."""
    output_bytes: int = MIB
    """Bytes kept of each of stdout and stderr; the program is killed when it writes more."""


DEFAULT_LIMITS = Limits()
_IN_WORDS = {
    "user": "no user namespace",
    "network": "network not isolated",
    "processes": "processes not isolated",
    "filesystem": "files not isolated",
    "ipc": "shared memory not isolated",
    "non_root": "runs as root",
    "syscalls": "system calls not filtered",
    "disk_bytes": "disk use not limited",
    "max_processes": "number of processes not limited",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Enforced:
    """What really surrounded a run. A limit of `Limits` that is not named in `missing` was in force."""

    user: bool
    """A user namespace of its own, without capabilities and without further namespaces."""
    network: bool
    """No network: not even a loopback interface, no abstract sockets of the host."""
    processes: bool
    """A process namespace of its own: it sees and signals only itself, and dies as a whole."""
    filesystem: bool
    """Its own root: system directories and the interpreter read-only, one size-limited writable directory, no /proc."""
    ipc: bool
    """Its own System V and POSIX message queues, semaphores and shared memory."""
    non_root: bool
    """The real user id, as the host sees it, is not 0."""
    syscalls: bool
    """A filter refuses the system calls that no ordinary program needs (mounts, tracing, keys, BPF, ...)."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """What is not enforced, of the fields above and of `disk_bytes` and `max_processes` -> why."""

    @property
    def is_isolated(self) -> bool:
        """Fit for code that nobody has read."""
        return self.network and self.processes and self.filesystem and self.non_root

    @property
    def sentence(self) -> str:
        """One line for people, such as `network not isolated (unshare: Operation not permitted)`."""
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.missing.items():
            by_reason.setdefault(reason, []).append(_IN_WORDS[name])
        return "; ".join(f"{', '.join(words)} ({reason})" for reason, words in by_reason.items()) or "isolated"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecResult:
    ended: Literal["exited", "signalled", "timeout", "output"]
    """`output`: killed because it wrote more than `Limits.output_bytes` to stdout or stderr."""
    status: int | None
    """Exit status, exactly when it `exited`."""
    signal: int | None
    """Number of the signal that killed it, exactly when it was `signalled`."""
    stdout: bytes
    stderr: bytes
    files: Mapping[str, bytes]
    """The `collect`ed files that exist as regular files at the end, also after a timeout; others are absent."""
    wall_s: float
    cpu_s: float
    """User and system time of the program and the children it waited for; 0.0 when it had to be killed."""
    max_rss_bytes: int
    """Largest resident set of the program or of a child it waited for; 0 when it had to be killed."""
    enforced: Enforced

    @property
    def ok(self) -> bool:
        return self.ended == "exited" and self.status == 0


class Sandbox(Protocol):
    """Runs programs under limits. Instances may be used from several threads at once."""

    def run(
        self,
        argv: Sequence[str],
        *,
        files: Mapping[str, bytes] = NO_FILES,
        stdin: bytes = b"",
        collect: Sequence[str] = (),
        limits: Limits = DEFAULT_LIMITS,
        trusted: bool = False,
        readable: Sequence[str | Path] = (),
    ) -> ExecResult:
        """Run `argv` to its end and return how it went.

        The program starts in a fresh temporary directory, its only writable place, as a user who owns nothing else,
        with an environment of `PYTHONHASHSEED=0` and a fixed `PATH`, and nothing else. When `run` returns, no process
        it started is left and the directory is gone.

        argv: the program and its arguments. An absolute path of an interpreter brings its own library with it.
        files: name -> content, put into the directory first; names are relative, may contain `/`, never `..`.
        stdin: the bytes on standard input, then end of file.
        collect: names, as in `files`, to read back at the end. Links are not followed, special files are ignored.
        limits: see `Limits`.
        trusted: code that we wrote or that ships with the interpreter. It runs even where the kernel refuses to
            isolate it (then `enforced.missing` says so). Anything a model or a stranger wrote is not trusted.
        readable: further files and folders that the program may read, at their own paths.

        Returns whatever the program does: exit status, death by signal, timeout and flooding are results.
        Raises ConfigError for a name or argument that makes no sense, for a program that does not exist, and for
        untrusted code where this machine cannot isolate it; SandboxError when the sandbox itself fails.
        """
        ...

"""Run solutions on inputs, each in a forked process; run inside the sandbox by `judge.py`.

    jobs.json --fork per input--> one JSON line per solution on standard output, flushed

A job is {"source", "kind", "given": [text, ...]}: of kind `stdin` the source runs as a script with the text on its
standard input; of kind `call` it is defined and the text evaluated. A solution is not run again after an input on which
it does not end well. What was expected is not known here, so no solution can look it up; it holds the descriptors of
its own run only. No dependencies.
"""

import atexit
import json
import os
import resource
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from types import ModuleType
from typing import Any

Run = dict[str, Any]
CHUNK = 1 << 16


def main() -> None:
    with open("jobs.json", encoding="utf-8") as file:
        request = json.load(file)
    os.remove("jobs.json")
    out = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for job in request["jobs"]:
        runs: list[Run] = []
        for given in job["given"]:
            runs.append(run(job["source"], job["kind"], given, out, request))
            if runs[-1]["ended"] != "ok":
                break
        write(out, (json.dumps(runs) + "\n").encode())


def write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def run(source: str, kind: str, given: str, out: int, limits: dict[str, Any]) -> Run:
    """One solution on one input, to whatever end."""
    stdin = os.open("stdin", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.remove("stdin")
    if kind == "stdin":
        write(stdin, given.encode("utf-8", "surrogatepass"))
        os.lseek(stdin, 0, os.SEEK_SET)
    printed_read, printed_write = os.pipe()
    said_read, said_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            for fd in (out, printed_read, said_read):
                os.close(fd)
            os.dup2(stdin, 0)
            os.dup2(printed_write, 1)
            os.close(stdin)
            os.close(printed_write)
            signal.setitimer(signal.ITIMER_PROF, limits["cpu_s"])  # its signal ends the process
            whole_s = int(limits["cpu_s"]) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (whole_s, whole_s))  # for a program that stops the timer
            said = as_script(source) if kind == "stdin" else as_call(source, given)
            write(said_write, json.dumps(said).encode())
            os._exit(0)
        finally:
            os._exit(1)
    for fd in (stdin, printed_write, said_write):
        os.close(fd)
    deadline, room = time.monotonic() + limits["wall_s"], limits["output_bytes"]
    printed, said_bytes, stopped = listen(printed_read, said_read, deadline, room)
    for fd in (printed_read, said_read):
        os.close(fd)
    for target in (-pid, pid):  # the group does not exist before the child has made it
        with suppress(OSError):
            os.kill(target, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if stopped:
        return {"ended": stopped}
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGXCPU):
        return {"ended": "timeout"}
    if kind == "stdin" and not said_bytes and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        said_bytes = b'{"ended": "ok"}'  # it left by os._exit(0)
    return judged(said_bytes, printed, kind)


def listen(printed_fd: int, said_fd: int, deadline: float, room: int) -> tuple[bytes, bytes, str]:
    """What came from both until both were closed, or until the solution was `stopped`: `timeout` or `output`."""
    parts: dict[int, list[bytes]] = {printed_fd: [], said_fd: []}
    waiting = {printed_fd, said_fd}
    while waiting:
        ready, _, _ = select.select(list(waiting), [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return b"", b"", "timeout"
        for fd in ready:
            part = os.read(fd, CHUNK)
            room -= len(part)
            parts[fd].append(part)
            if not part:
                waiting.discard(fd)
        if room < 0:
            return b"", b"", "output"
        if parts[said_fd] and parts[said_fd][-1] == b"" and printed_fd in waiting:
            deadline = min(deadline, time.monotonic() + 1.0)  # a process that it left behind holds its output open
    return b"".join(parts[printed_fd]), b"".join(parts[said_fd]), ""


def judged(said: bytes, printed: bytes, kind: str) -> Run:
    """What a run said of itself, or that it died: nobody promises that it is well-formed."""
    with suppress(ValueError, KeyError, TypeError):
        answer = json.loads(said)
        if answer["ended"] == "raised":
            return {"ended": "raised", "text": str(answer["text"])}
        if answer["ended"] == "ok":
            return {"ended": "ok", "text": printed.decode(errors="replace") if kind == "stdin" else str(answer["text"])}
    return {"ended": "died"}


def as_script(source: str) -> Run:
    """In the forked process: run the source as `python FILE` does."""
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv = ["solution.py"]
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    ended = finished(source, module)
    try:
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException as exc:  # the program's own doing, as all of this
        return {"ended": "raised", "text": type(exc).__name__}
    return ended


def finished(source: str, module: ModuleType) -> Run:
    try:
        exec(compile(source, "solution.py", "exec"), module.__dict__)
    except SystemExit as exc:
        return {"ended": "ok", "text": ""} if exc.code in (None, 0) else {"ended": "raised", "text": "SystemExit"}
    except BaseException as exc:
        return {"ended": "raised", "text": type(exc).__name__}
    return {"ended": "ok", "text": ""}


def as_call(source: str, call: str) -> Run:
    """In the forked process: define the solution, evaluate the call."""
    module = ModuleType("solution")
    sys.modules["solution"] = module
    try:
        exec(compile(source, "solution.py", "exec"), module.__dict__)
        return {"ended": "ok", "text": repr(eval(compile(call, "<call>", "eval"), module.__dict__))}
    except BaseException as exc:
        return {"ended": "raised", "text": type(exc).__name__}


if __name__ == "__main__":
    sys.setrecursionlimit(1000)
    main()

"""Evaluate one expression after another, each in a forked process; run inside the sandbox by `judge.py`.

    jobs.json --fork per job--> one JSON line each on standard output, flushed

A job holds no descriptor but the write end of its own pipe, so it can lie about its own value and about nothing else;
the parent process of all jobs keeps the real standard output to itself. No dependencies: `python -I -S`.
"""

import json
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Any

Job = dict[str, str]
Answer = dict[str, Any]
MAX_TEXT = 100_000
"""Characters of a value's repr that are told."""


def main() -> None:
    with open("jobs.json", encoding="utf-8") as file:
        request = json.load(file)
    out = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for number, job in enumerate(request["jobs"]):
        answer = run(job, out, request["cpu_s"], request["wall_s"])
        answer["job"] = number
        os.write(out, (json.dumps(answer) + "\n").encode())


def run(job: Job, out: int, cpu_s: float, wall_s: float) -> Answer:
    """One job to its end, whatever that is."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(out)
            os.close(read_end)
            os.setpgid(0, 0)
            signal.setitimer(signal.ITIMER_PROF, cpu_s)  # its signal ends the process
            whole_s = int(cpu_s) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (whole_s, whole_s))  # for a job that stops the timer
            answer = evaluate(job)
            os.write(write_end, (json.dumps(answer) + "\n").encode())
        finally:
            os._exit(0)
    os.close(write_end)
    said, is_late = listen(read_end, time.monotonic() + wall_s)
    os.close(read_end)
    for target in (-pid, pid):  # the group does not exist before the child has made it
        with suppress(OSError):
            os.kill(target, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if is_late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGXCPU)):
        return {"ended": "timeout"}
    return parse(said)


def listen(fd: int, deadline: float) -> tuple[bytes, bool]:
    """One line, as far as it came; and whether the deadline passed before its end."""
    said = b""
    while not said.endswith(b"\n") and len(said) < 8 * MAX_TEXT:
        ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return said, True
        part = os.read(fd, 1 << 16)
        if not part:
            break
        said += part
    return said, False


def parse(said: bytes) -> Answer:
    """What a job said, or that it died: nobody promises that it is well-formed."""
    with suppress(ValueError, KeyError, TypeError):
        answer = json.loads(said)
        if answer["ended"] == "raised" and isinstance(answer["text"], str):
            return {"ended": "raised", "text": answer["text"]}
        if answer["ended"] == "passed":
            return {"ended": "passed"}
        if answer["ended"] == "value" and isinstance(answer["equal"], bool):
            return {"ended": "value", "text": str(answer["text"]), "equal": answer["equal"]}
    return {"ended": "died"}


def evaluate(job: Job) -> Answer:
    """In the forked process: run the setup, then the statement, or the expression beside what it should equal."""
    scope: dict[str, Any] = {}
    try:
        exec(compile(job["setup"], "<setup>", "exec"), scope)
        if "statement" in job:
            exec(compile(job["statement"], "<statement>", "exec"), scope)
            return {"ended": "passed"}
        expected = eval(compile(job["expected"], "<expected>", "eval"), scope)
        value = eval(compile(job["expression"], "<expression>", "eval"), scope)
        equal = bool(expected == value)
    except BaseException as exc:  # SystemExit and KeyboardInterrupt are the job's own doing too
        return {"ended": "raised", "text": type(exc).__name__}
    try:
        text = repr(value)[:MAX_TEXT]
    except BaseException:
        text = ""
    return {"ended": "value", "text": text, "equal": equal}


if __name__ == "__main__":
    sys.setrecursionlimit(1000)
    main()

"""Evaluate one expression after another, each in a forked process; run inside the sandbox by `judge.py`.

    jobs.json --fork per job, or per run of jobs that may share one--> one JSON line each on standard output, flushed

Jobs share a process only while all of them end well within the time of one; else each is run again alone.
A job holds no descriptor but the write end of its own pipe, so it can lie about its own value and about nothing else;
the parent process of all jobs keeps the real standard output to itself. No dependencies: `python -I -S`.
"""

import itertools
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
    number = 0
    for _, group in itertools.groupby(enumerate(request["jobs"]), sharing):
        jobs = [job for _, job in group]
        answers = run(jobs, out, request["cpu_s"], request["wall_s"])
        if len(jobs) > 1 and not all(answer["ended"] in ("value", "raised") for answer in answers):
            answers = [answer for job in jobs for answer in run([job], out, request["cpu_s"], request["wall_s"])]
        for answer in answers:
            os.write(out, (json.dumps({**answer, "job": number}) + "\n").encode())
            number += 1


def sharing(numbered: tuple[int, Job]) -> tuple[int, str]:
    """Equal for neighbours that may share a process."""
    number, job = numbered
    return (-1, job["setup"]) if "shares" in job else (number, "")


def run(jobs: list[Job], out: int, cpu_s: float, wall_s: float) -> list[Answer]:
    """Jobs to their end, whatever that is, in one process."""
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
            for job in jobs:
                os.write(write_end, (json.dumps(evaluate(job)) + "\n").encode())
        finally:
            os._exit(0)
    os.close(write_end)
    said, is_late = listen(read_end, time.monotonic() + wall_s, len(jobs))
    os.close(read_end)
    for target in (-pid, pid):  # the group does not exist before the child has made it
        with suppress(OSError):
            os.kill(target, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if is_late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGXCPU)):
        return [{"ended": "timeout"}] * len(jobs)
    lines = said.split(b"\n")
    return [parse(lines[at] if at < len(lines) else b"") for at in range(len(jobs))]


def listen(fd: int, deadline: float, num_lines: int) -> tuple[bytes, bool]:
    """So many lines, as far as they came; and whether the deadline passed before their end."""
    said = b""
    while said.count(b"\n") < num_lines and len(said) < num_lines * 8 * MAX_TEXT:
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

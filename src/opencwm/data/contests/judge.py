"""Which solutions of contest problems are right: run on every test in the sandbox, compared outside of it.

    (Problem, source) --judge_child.py in the sandbox--> printed, per test --checker.py--> Judged(verdict, why)

Solutions are a stranger's or a model's: they never run in this process, see no expected output, and each run has a
process of its own. A solution that runs into a limit gets the verdict `limit`, neither right nor wrong: another machine
may decide otherwise.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from opencwm.data.contests.checker import same_output, same_value
from opencwm.data.contests.problems import Problem
from opencwm.errors import ConfigError, SandboxError
from opencwm.sandbox import Limits, NamespaceSandbox, Sandbox
from opencwm.sandbox.base import MIB
from opencwm.sandbox.batches import in_batches

CHILD = Path(__file__).with_name("judge_child.py")
BATCH = 32
"""Solutions for one sandboxed child."""

Verdict = Literal["correct", "incorrect", "limit"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judging:
    """How solutions are judged."""

    cpu_s: float = 4.0
    """Computing time of one run; contests allow compiled languages 1 to 3."""
    max_cases: int | None = None
    """Tests of a problem that count, its first ones; None: all."""
    memory_bytes: int = 1024 * MIB
    """Address space of one run."""
    output_bytes: int = MIB
    """What one run may print."""

    def __post_init__(self) -> None:
        for name in ("cpu_s", "max_cases", "memory_bytes", "output_bytes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{name} is {value}: it must be more than 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    problem: Problem
    source: str
    verdict: Verdict
    why: str
    """`all tests passed`, `another output`, `raised NAME`, `not Python`, or the limit: `timeout`, `output`, `memory`,
    `died`."""
    failed: int | None
    """Index of the first test that was not passed."""


def judge(
    attempts: Iterable[tuple[Problem, str]], *, judging: Judging | None = None, sandbox: Sandbox | None = None
) -> Iterator[Judged]:
    """A verdict for each (problem, source), in order.

    Raises ConfigError where the sandbox refuses code that nobody has read, SandboxError where it fails.
    """
    judging = judging or Judging()
    ask = partial(_ask, judging=judging, sandbox=sandbox or NamespaceSandbox())
    waiting: list[tuple[Problem, str]] = []

    def told() -> Iterator[tuple[Problem, str]]:
        for attempt in attempts:
            waiting.append(attempt)
            yield attempt

    for runs in in_batches(told(), ask, size=BATCH):
        problem, source = waiting.pop(0)
        yield _judged(problem, source, runs)


def _ask(attempts: Sequence[tuple[Problem, str]], *, judging: Judging, sandbox: Sandbox) -> list[list[dict[str, Any]]]:
    """The runs of each solution, from one child; of fewer solutions where it did not live to the end."""
    jobs = [
        {"source": source, "kind": problem.kind, "given": [case.given for case in problem.cases[: judging.max_cases]]}
        for problem, source in attempts
    ]
    wall_s = 2 * judging.cpu_s + 5.0
    request = {"jobs": jobs, "cpu_s": judging.cpu_s, "wall_s": wall_s, "output_bytes": judging.output_bytes}
    num_runs = sum(len(job["given"]) for job in jobs)
    result = sandbox.run(
        [sys.executable, "-s", "-P", "-B", str(CHILD)],
        files={"jobs.json": json.dumps(request).encode()},
        limits=Limits(
            wall_s=30.0 + num_runs * (wall_s + 1.0),
            cpu_s=24 * 3600,
            memory_bytes=judging.memory_bytes,
            output_bytes=(num_runs + 1) * (2 * judging.output_bytes + 1024),
        ),
        readable=[CHILD],
    )
    lines = result.stdout.split(b"\n")[:-1]
    if result.ok and len(lines) < len(jobs):
        raise SandboxError(f"{len(jobs) - len(lines)} of {len(jobs)} verdicts are missing from a child that ended well")
    return [json.loads(line) for line in lines]


def _judged(problem: Problem, source: str, runs: list[dict[str, Any]] | None) -> Judged:
    """`runs` end with the first that did not end well; None: the solution took its child with it."""
    same = same_output if problem.kind == "stdin" else same_value
    for index, run in enumerate(runs if runs is not None else [{"ended": "died"}]):
        verdict, why = _verdict(run)
        if verdict is None and not same(problem.cases[index].expected, run["text"]):
            verdict, why = "incorrect", "another output"
        if verdict is not None:
            return Judged(problem=problem, source=source, verdict=verdict, why=why, failed=index)
    return Judged(problem=problem, source=source, verdict="correct", why="all tests passed", failed=None)


def _verdict(run: dict[str, Any]) -> tuple[Verdict | None, str]:
    """What a run's end alone says."""
    if run["ended"] == "ok":
        return None, ""
    if run["ended"] != "raised":
        return "limit", run["ended"]
    if run["text"] == "MemoryError":
        return "limit", "memory"
    if run["text"] in ("SyntaxError", "IndentationError", "TabError"):
        return "incorrect", "not Python"
    return "incorrect", f"raised {run['text']}"

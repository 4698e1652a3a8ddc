"""Is `assert EXPECTED == ANSWER` true, where ANSWER is text that a model wrote?

    answers --literal_eval, where that suffices--> verdict
            --judge_child.py in the sandbox------> value or exception --compared here--> verdict

Answers are never run in this process. What is a literal is compared without running anything. The rest runs in the
sandbox, untrusted, many to a child but each in a process of its own (calls of a setup's `f` on literals, which hold no
code of the model's, share one while all goes well); what comes back is the value, and the comparison with the truth is
made here. Only where a value is no literal (or the answer is more than one expression) does its own process's word
count: there, a program that sets out to forge its own verdict can.
"""

import ast
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opencwm.errors import SandboxError
from opencwm.sandbox import Limits, Sandbox
from opencwm.sandbox.batches import in_batches

CHILD = Path(__file__).with_name("judge_child.py")
BATCH = 200
"""Answers for one sandboxed child."""
CPU_S = 3.0
"""Computing time of one answer; that of the published scorer."""
WALL_S = 12.0
"""Time of one answer by the clock: stops what sleeps, and is generous for a loaded machine."""
_UNREADABLE = (SyntaxError, ValueError, MemoryError, RecursionError)  # everything the parser raises for bad text

Verdict = Literal["right", "wrong", "malformed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """`setup`, then `assert expected == answer`."""

    setup: str
    expected: str
    """A literal."""
    answer: str


def judge(claims: Sequence[Claim], sandbox: Sandbox, *, cpu_s: float = CPU_S) -> list[Verdict]:
    """A verdict per claim: `malformed` is no Python, `wrong` is false, raises, dies or takes more than `cpu_s`.

    Raises ConfigError where the sandbox refuses untrusted code, SandboxError where it fails.
    """
    verdicts: dict[Claim, Verdict] = {}
    jobs: dict[Claim, dict[str, str]] = {}
    for claim in claims:
        if claim not in verdicts and claim not in jobs:
            found = at_once(claim)
            if isinstance(found, dict):
                jobs[claim] = found
            else:
                verdicts[claim] = found
    answers = run(list(jobs.values()), sandbox, cpu_s)
    for claim, answer in zip(jobs, answers, strict=True):
        verdicts[claim] = verdict_of(claim, answer)
    return [verdicts[claim] for claim in claims]


def at_once(claim: Claim) -> Verdict | dict[str, str]:
    """The verdict where nothing needs to run, else the job that finds it."""
    statement = f"assert {claim.expected} == {claim.answer}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as invalid escapes in the model's strings
            answer = compared_expression(statement)
            if answer is None:
                return {"setup": claim.setup, "statement": statement}
            literal = literal_of(answer)
            expected = ast.literal_eval(claim.expected)
            if literal is None:
                job = {"setup": claim.setup, "expected": claim.expected, "expression": ast.unparse(answer)}
                return job | ({"shares": "process"} if is_literal_call(answer) else {})
    except _UNREADABLE:
        return "malformed"
    return "right" if expected == literal[0] else "wrong"


def compared_expression(statement: str) -> ast.expr | None:
    """X of a lone `assert EXPECTED == X`; None where the text is more than that. Raises what the parser raises."""
    body = ast.parse(statement).body
    test = body[0].test if len(body) == 1 and isinstance(body[0], ast.Assert) else None
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        return test.comparators[0]
    return None


def literal_of(expression: ast.expr | str) -> tuple[Any] | None:
    """The value in a 1-tuple; None where it is no literal."""
    try:
        return (ast.literal_eval(expression),)
    except (*_UNREADABLE, TypeError):  # TypeError: a list as a key
        return None


def is_literal_call(expression: ast.expr) -> bool:
    """`f(literal, ..., key=literal)`: the setup's own code on data. (`exec` on a literal would be the model's code.)"""
    if not isinstance(expression, ast.Call) or not isinstance(expression.func, ast.Name):
        return False
    arguments = [*expression.args, *(keyword.value for keyword in expression.keywords)]
    return expression.func.id == "f" and all(literal_of(argument) is not None for argument in arguments)


def verdict_of(claim: Claim, answer: dict[str, Any]) -> Verdict:
    if answer["ended"] == "passed":
        return "right"
    if answer["ended"] != "value" or not answer["equal"]:
        return "wrong"
    literal = literal_of(answer["text"])
    return "right" if literal is None or ast.literal_eval(claim.expected) == literal[0] else "wrong"


def run(jobs: Sequence[dict[str, str]], sandbox: Sandbox, cpu_s: float) -> list[dict[str, Any]]:
    """One answer per job. A job that takes the whole child down with it has died; the others are asked again."""
    answers = in_batches(jobs, lambda batch: run_child(batch, sandbox, cpu_s), size=BATCH)
    return [{"ended": "died"} if answer is None else answer for answer in answers]


def run_child(jobs: Sequence[dict[str, str]], sandbox: Sandbox, cpu_s: float) -> list[dict[str, Any]]:
    """The answers of one child, in order; fewer than jobs where it did not live to the end."""
    request = json.dumps({"jobs": list(jobs), "cpu_s": cpu_s, "wall_s": WALL_S})
    result = sandbox.run(
        [sys.executable, "-I", "-S", str(CHILD)],
        files={"jobs.json": request.encode()},
        limits=Limits(wall_s=30.0 + len(jobs) * (WALL_S + 1.0), cpu_s=3600, output_bytes=64 << 20),
        readable=[CHILD],
    )
    answers: list[dict[str, Any]] = []
    for line in result.stdout.splitlines(keepends=True):
        if line.endswith(b"\n"):
            answer = json.loads(line)
            assert answer["job"] == len(answers), f"answer {answer['job']} where {len(answers)} was due"
            answers.append(answer)
    if result.ok and len(answers) < len(jobs):
        raise SandboxError(
            f"{len(jobs) - len(answers)} of {len(jobs)} answers are missing from a child that ended well"
        )
    return answers

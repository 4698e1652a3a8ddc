"""Solutions to judge: those that come with a problem, and those that a model writes.

    Problem.solutions ----------------given_solutions--> (Problem, source)
    Problem --prompt--> Model --code--> write_solutions--> Written(problem, source | None, outcome)

A solution by call is a class or function that its site defines in a scope full of imports; here it gets the imports
that it lacks. The paper's solutions are written by Llama-3.1-70B-Instruct (CWM sec. 2.2); any model behind an
OpenAI-compatible server will do.
"""

import ast
import bisect
import collections
import functools
import heapq
import itertools
import math
import operator
import random
import re
import string
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from opencwm.data.answers import code_blocks
from opencwm.data.contests.problems import Problem
from opencwm.data.dedup import BUILTINS, FUNCTIONS
from opencwm.protocols import Message, Model, Request

SCOPE: tuple[ModuleType, ...] = (
    *(collections, math, itertools, functools, heapq, bisect, operator, re, string, random, typing),
)
"""The modules whose names a solution by call may use without importing them, the first one first."""
SYSTEM = "You solve programming contest problems in Python 3, with the standard library only."
ASK_STDIN = "Write a program that reads the input from standard input and prints the answer to standard output."
ASK_CALL = "Complete the code that is given. Keep its names and its signature."
ASK_BLOCK = "Answer with one block of Python code."


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """How a model is asked for solutions."""

    per_problem: int = 4
    temperature: float = 0.8
    max_tokens: int = 4096
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    problem: Problem
    source: str | None
    outcome: Literal["ok", "no code", "cut off", "failed"]
    """`failed`: the server's doing, not the model's."""


def given_solutions(problems: Iterable[Problem]) -> Iterator[tuple[Problem, str]]:
    for problem in problems:
        for source in problem.solutions:
            yield problem, runnable(problem, source)


def write_solutions(problems: Sequence[Problem], model: Model, asking: Asking | None = None) -> Iterator[Written]:
    """`per_problem` answers for each problem, by problem. Raises ProviderError where the server answers nothing."""
    asking = asking or Asking()
    asked = [(problem, attempt) for problem in problems for attempt in range(asking.per_problem)]
    requests = [
        Request(
            prompt=prompt_for(problem),
            max_tokens=asking.max_tokens,
            temperature=asking.temperature,
            seed=asking.seed + attempt,
        )
        for problem, attempt in asked
    ]
    for (problem, _), completion in zip(asked, model.generate(requests), strict=True):
        blocks = code_blocks(completion.text)
        if completion.finish == "failed":
            yield Written(problem=problem, source=None, outcome="failed")
        elif blocks:
            yield Written(problem=problem, source=runnable(problem, max(blocks, key=len)), outcome="ok")
        else:
            outcome: Literal["cut off", "no code"] = "cut off" if completion.finish == "length" else "no code"
            yield Written(problem=problem, source=None, outcome=outcome)


def prompt_for(problem: Problem) -> tuple[Message, ...]:
    ask = ASK_STDIN if problem.kind == "stdin" else ASK_CALL
    content = f"{problem.statement}\n\n{ask} {ASK_BLOCK}"
    return (Message(role="system", content=SYSTEM), Message(role="user", content=content))


def runnable(problem: Problem, source: str) -> str:
    """The source with the imports that its site takes for granted, and exactly one newline at its end."""
    source = source.replace("\r\n", "\n").strip("\n") + "\n"
    return source if problem.kind == "stdin" else with_imports(source)


def with_imports(source: str) -> str:
    """Imports of the names that the source uses, does not bind, and that `SCOPE` has; unchanged if it is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    bound, used, used_as_module = set[str](), set[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used_as_module.add(node.value.id)
    lines = set[str]()
    for name in used - bound - BUILTINS:
        modules = {module.__name__: module for module in SCOPE}
        if name in modules and name in used_as_module:
            lines.add(f"import {name}\n")
        elif owner := next((module for module in SCOPE if name in _public(module)), None):
            lines.add(f"from {owner.__name__} import {name}\n")
    return "".join(sorted(lines)) + ("\n\n" if lines else "") + source


@functools.cache
def _public(module: ModuleType) -> frozenset[str]:
    return frozenset(getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")])

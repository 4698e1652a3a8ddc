"""From judged solutions to programs whose recording stands on its own.

    Judged --balanced--> as many right as wrong ones --recordable--> (source, call | None), an input each

The input is part of the program, since a model must see it to predict the run: a solution by call is called, one that
reads gets its standard input from a text in front of it. What is recorded of the latter is the module, as of any
script. Of the tests of a wrong solution the one that it fails comes first, of all others the short ones.

Deviation from the paper (CWM sec. 2.2), which does not say how inputs are shown: this is ours. The cuts are the
paper's.
"""

import ast
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opencwm.data.contests.judge import Judged
from opencwm.data.contests.problems import Case
from opencwm.data.dedup import source_key
from opencwm.trace.recording.frame import Trace

MAX_LINE_FRAMES = 10_000
"""Paper: longer traces are dropped ..."""
MAX_BYTES = 1_000_000
"""... and so are larger ones."""
DESCRIPTORS = re.compile(r"\bopen\(\s*0|\bos\.(read|fdopen)\b|\bfileno\b|\bmmap\b")
"""Ways of reading standard input past `sys.stdin`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recordable:
    """One run of a solution."""

    source: str
    call: str | None
    judged: Judged
    case: int
    """Index of the test."""


def balanced(judged: Iterable[Judged], *, per_problem: int, seed: int = 0) -> list[Judged]:
    """As many correct as incorrect solutions: of each problem at most `per_problem` of either, and of the kind that
    there is more of a random choice. Solutions that differ in names and layout only count once; those that ran into
    a limit are left out."""
    chosen: dict[str, list[Judged]] = {"correct": [], "incorrect": []}
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in judged:
        keys = seen[each.problem.name, each.verdict]
        if each.verdict == "limit" or each.why == "not Python" or len(keys) == per_problem:
            continue
        key = source_key(each.source)
        if key not in keys:
            keys.add(key)
            chosen[each.verdict].append(each)
    count = min(map(len, chosen.values()))
    rng = random.Random(f"{seed}/balanced")
    picked = [rng.sample(range(len(each)), count) for each in chosen.values()]
    return [each[at] for each, places in zip(chosen.values(), picked, strict=True) for at in sorted(places)]


def recordable(judged: Judged, *, count: int, max_chars: int) -> Iterator[Recordable]:
    """At most `count` runs, on inputs of at most `max_chars`; none of a solution that reads its input in ways that
    cannot be shown."""
    is_call = judged.problem.kind == "call"
    if not is_call and DESCRIPTORS.search(judged.source):
        return
    cases = judged.problem.cases
    short = [index for index, case in enumerate(cases) if len(case.given) <= max_chars]
    for index in sorted(short, key=lambda index: (index != judged.failed, len(cases[index].given), index))[:count]:
        case = cases[index]
        source = judged.source if is_call else with_stdin(judged.source, case)
        yield Recordable(source=source, call=case.given if is_call else None, judged=judged, case=index)


def with_stdin(source: str, case: Case) -> str:
    """The program with its input in front of it, after a docstring and imports from `__future__`."""
    text = case.given.replace("\r\n", "\n")
    stream = f"io.TextIOWrapper(io.BytesIO({text.encode()!r}))" if "buffer" in source else f"io.StringIO({text!r})"
    lines, at = source.split("\n"), _after_future(source)
    return "\n".join([*lines[:at], "import io", "import sys", "", f"sys.stdin = {stream}", *lines[at:]])


def _after_future(source: str) -> int:
    """Number of lines that must stay in front."""
    end = 0
    for index, node in enumerate(ast.parse(source).body):
        is_docstring = index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_docstring and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        end = node.end_lineno or end
    return end


def is_within_cuts(trace: Trace) -> bool:
    """Whether a trace is kept: short enough, small enough, and whole."""
    num_lines = sum(frame.event == "line" for frame in trace.frames)
    return (
        num_lines <= MAX_LINE_FRAMES
        and int(trace.header.get("num_bytes", 0)) <= MAX_BYTES
        and trace.outcome in ("returned", "raised", "exit")
    )

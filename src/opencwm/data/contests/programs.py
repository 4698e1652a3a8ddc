"""From judged solutions to programs whose recording stands on its own.

    Judged --alternating--> as many right as wrong ones --shown_cases--> Cases --with_stdin--> a script, its input in it

The input is part of the program, since a model must see it to predict the run: a solution by call is called, one that
reads gets its standard input from a text in front of it. What is recorded of the latter is the module, as of any
script. Of the tests of a wrong solution the one that it fails comes first, of all others the short ones.

Deviation from the paper (CWM sec. 2.2), which does not say how inputs are shown: this is ours. The cuts are the
paper's.
"""

import ast
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from itertools import cycle

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


def alternating(judged: Iterable[Judged], *, per_problem: int) -> Iterator[Judged]:
    """A correct solution, an incorrect one, and so on, while there are both; of each problem at most `per_problem` of
    either. Solutions that differ in names and layout only count once; those that ran into a limit are left out. No
    more is judged than is asked for."""
    waiting: dict[str, deque[Judged]] = {"correct": deque(), "incorrect": deque()}
    judged = _distinct(judged, per_problem)
    for wanted in cycle(waiting):
        while not waiting[wanted]:
            found = next(judged, None)
            if found is None:
                return
            waiting[found.verdict].append(found)
        yield waiting[wanted].popleft()


def _distinct(judged: Iterable[Judged], per_problem: int) -> Iterator[Judged]:
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in judged:
        keys = seen[each.problem.name, each.verdict]
        if each.verdict != "limit" and each.why != "not Python" and len(keys) < per_problem:
            key = source_key(each.source)
            if key not in keys:
                keys.add(key)
                yield each


def shown_cases(judged: Judged, *, count: int, max_chars: int) -> list[Case]:
    """At most `count` tests to record the solution on, with inputs of at most `max_chars`; none for one that reads its
    input in ways that cannot be shown."""
    if judged.problem.kind == "stdin" and DESCRIPTORS.search(judged.source):
        return []
    cases = judged.problem.cases
    short = [index for index, case in enumerate(cases) if len(case.given) <= max_chars]
    chosen = sorted(short, key=lambda index: (index != judged.failed, len(cases[index].given), index))[:count]
    return [cases[index] for index in chosen]


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
    num_lines = sum(frame.event == "line" for frame in trace.frames)
    return num_lines <= MAX_LINE_FRAMES and int(trace.header.get("num_bytes", 0)) <= MAX_BYTES

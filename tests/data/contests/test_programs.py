from pathlib import Path

import pytest

from opencwm.data.contests.judge import Judged, judge
from opencwm.data.contests.problems import Case, Problem, read_problems
from opencwm.data.contests.programs import alternating, is_within_cuts, shown_cases, with_stdin
from opencwm.data.contests.solutions import given_solutions
from opencwm.data.record import record_many
from opencwm.trace.recording.frame import Frame, Trace

LEETCODE = Path(__file__).parent / "leetcode_100.jsonl.gz"
CASES = tuple(Case(given=f"{n} {n}\n", expected=f"{2 * n}\n") for n in (1000, 1, 20, 3))
SUM = Problem(name="sum", statement="Add.", kind="stdin", cases=CASES)
READS = {
    "input": "print(sum(map(int, input().split())))\n",
    "readline": "import sys\na, b = map(int, sys.stdin.readline().split())\nprint(a + b)\n",
    "read": "from sys import stdin\nprint(sum(map(int, stdin.read().split())))\n",
    "buffer": "import sys\ninput = sys.stdin.buffer.readline\nprint(sum(map(int, input().split())))\n",
    "future": '"""Adds."""\nfrom __future__ import annotations\nprint(sum(map(int, input().split())))\n',
}


def judged(source, verdict="correct", problem=SUM, failed=None):
    return Judged(problem=problem, source=source, verdict=verdict, why="", failed=failed)


@pytest.mark.parametrize("source", READS.values(), ids=READS.keys())
def test_a_program_with_its_input_in_front_of_it_does_what_it_does_on_standard_input(source):
    (case,) = shown_cases(judged(source), count=1, max_chars=100)
    (recorded,) = record_many([(with_stdin(source, case), None)])
    assert recorded.trace.outcome == "returned", recorded.trace.header["exception"]
    assert "1 1" in recorded.trace.context
    problem = Problem(name="p", statement="", kind="stdin", cases=(Case(given="", expected="2"),))
    (again,) = judge([(problem, with_stdin(source, Case(given="1 1\n", expected="")))])
    assert again.verdict == "correct"


def shown(source, verdict="correct", failed=None, **settings):
    return [CASES.index(case) for case in shown_cases(judged(source, verdict, failed=failed), **settings)]


def test_the_failed_test_comes_first_then_the_short_ones():
    assert shown("print(input())", "incorrect", failed=0, count=3, max_chars=100) == [0, 1, 3]
    assert shown("print(input())", count=2, max_chars=100) == [1, 3]


def test_long_inputs_are_left_out():
    assert shown("print(input())", count=9, max_chars=4) == [1, 3]


@pytest.mark.parametrize("source", ["print(open(0).read())", "import os\nos.read(0, 9)", "sys.stdin.fileno()"])
def test_input_read_past_sys_stdin_is_left_out(source):
    assert shown(source, count=1, max_chars=100) == []


RIGHT = [judged(f"print({n})") for n in range(5)]
WRONG = [judged(f"print(-{n})", "incorrect") for n in range(1, 3)]


def test_as_many_right_as_wrong_ones():
    chosen = list(alternating([*RIGHT, judged("print('a')", "limit"), *WRONG], per_problem=10))
    assert [each.verdict for each in chosen] == ["correct", "incorrect", "correct", "incorrect", "correct"]
    assert chosen == [RIGHT[0], WRONG[0], RIGHT[1], WRONG[1], RIGHT[2]]
    assert list(alternating(WRONG, per_problem=10)) == []
    assert len(list(alternating([*RIGHT, *WRONG], per_problem=1))) == 2


def test_no_more_is_judged_than_is_asked_for():
    asked = []
    stream = alternating((asked.append(each) or each for each in [*RIGHT[:2], *WRONG]), per_problem=10)
    next(stream), next(stream)
    assert asked == [*RIGHT[:2], WRONG[0]]


def test_equal_solutions_count_once():
    pair = [judged("x = 1"), judged("y = 1  # the same, renamed"), judged("z = 2")]
    wrong = [judged(f"print({n})", "incorrect") for n in range(3)]
    chosen = alternating([*pair, *wrong], per_problem=9)
    assert [each.source for each in chosen if each.verdict == "correct"] == ["x = 1", "z = 2"]


def test_published_solutions_are_recorded_by_call():
    problems = list(read_problems(LEETCODE))[:8]
    runs = [
        (each, case) for each in judge(given_solutions(problems)) for case in shown_cases(each, count=1, max_chars=500)
    ]
    results = list(record_many([(each.source, case.given) for each, case in runs]))
    assert len(results) == 8
    for (_, case), result in zip(runs, results, strict=True):
        assert result.trace.frames[-1].value == case.expected


def trace(num_lines, num_calls=1, num_bytes=1000):
    frame = {"depth": 0, "file": "p.py", "line_no": 1, "source_line": ""}
    frames = [Frame(event="call", **frame)] * num_calls + [Frame(event="line", **frame)] * num_lines
    return Trace({"outcome": "returned", "num_bytes": num_bytes, "context": ""}, frames)


def test_the_paper_s_cuts():
    assert is_within_cuts(trace(10_000, num_calls=500, num_bytes=1_000_000))
    assert not is_within_cuts(trace(10_001))
    assert not is_within_cuts(trace(10, num_bytes=1_000_001))

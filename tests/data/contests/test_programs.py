from pathlib import Path

import pytest

from opencwm.data.contests.judge import Judged, judge
from opencwm.data.contests.problems import Case, Problem, read_problems
from opencwm.data.contests.programs import balanced, is_within_cuts, recordable, with_stdin
from opencwm.data.contests.solutions import given_solutions
from opencwm.data.record import record_many
from opencwm.trace.recording.frame import Frame, Trace
from opencwm.trace.recording.options import Options

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
    (run,) = recordable(judged(source + "result = a + b if 'a' in dir() else None\n"), count=1, max_chars=100)
    (recorded,) = record_many([(run.source, run.call)])
    assert recorded.trace.outcome == "returned", recorded.trace.header["exception"]
    assert "1 1" in recorded.trace.context
    problem = Problem(name="p", statement="", kind="stdin", cases=(Case(given="", expected="2"),))
    (again,) = judge([(problem, with_stdin(source, Case(given="1 1\n", expected="")))])
    assert again.verdict == "correct"


def test_the_failed_test_comes_first_then_the_short_ones():
    runs = recordable(judged("print(input())", "incorrect", failed=0), count=3, max_chars=100)
    assert [run.case for run in runs] == [0, 1, 3]
    assert [run.case for run in recordable(judged("print(input())"), count=2, max_chars=100)] == [1, 3]


def test_long_inputs_are_left_out():
    assert [run.case for run in recordable(judged("print(input())"), count=9, max_chars=4)] == [1, 3]


@pytest.mark.parametrize("source", ["print(open(0).read())", "import os\nos.read(0, 9)", "sys.stdin.fileno()"])
def test_input_read_past_sys_stdin_is_left_out(source):
    assert list(recordable(judged(source), count=1, max_chars=100)) == []


def test_as_many_right_as_wrong_ones():
    right = [judged(f"print({n})") for n in range(5)]
    wrong = [judged(f"print(-{n})", "incorrect") for n in range(1, 3)]
    other = [judged("print('a')", "limit"), judged("x = 1"), judged("y = 1  # the same, renamed")]
    chosen = balanced([*right, *other, *wrong], per_problem=10, seed=1)
    assert [each.verdict for each in chosen] == ["correct"] * 2 + ["incorrect"] * 2
    assert chosen == balanced([*right, *other, *wrong], per_problem=10, seed=1)
    assert len(balanced([*right, *wrong], per_problem=1)) == 2
    seeds = {tuple(each.source for each in balanced([*right, *wrong], per_problem=9, seed=n)) for n in range(9)}
    assert len(seeds) > 1


def test_equal_solutions_count_once():
    pair = [judged("x = 1"), judged("y = 1  # the same, renamed"), judged("z = 2")]
    wrong = [judged(f"print({n})", "incorrect") for n in range(3)]
    assert len([each for each in balanced([*pair, *wrong], per_problem=9) if each.verdict == "correct"]) == 2


def test_published_solutions_are_recorded_by_call():
    problems = list(read_problems(LEETCODE))[:8]
    verdicts = list(judge(given_solutions(problems)))
    runs = [run for each in verdicts for run in recordable(each, count=1, max_chars=500)]
    results = list(record_many([(run.source, run.call) for run in runs]))
    assert len(results) == 8
    for run, result in zip(runs, results, strict=True):
        assert is_within_cuts(result.trace)
        assert result.trace.frames[-1].value == run.judged.problem.cases[run.case].expected


def trace(num_lines, num_calls=1, num_bytes=1000, outcome="returned"):
    frame = {"depth": 0, "file": "p.py", "line_no": 1, "source_line": ""}
    frames = [Frame(event="call", **frame)] * num_calls + [Frame(event="line", **frame)] * num_lines
    return Trace({"outcome": outcome, "num_bytes": num_bytes, "context": ""}, frames)


def test_the_paper_s_cuts():
    assert is_within_cuts(trace(10_000, num_calls=500, num_bytes=1_000_000))
    assert not is_within_cuts(trace(10_001))
    assert not is_within_cuts(trace(10, num_bytes=1_000_001))
    assert not is_within_cuts(trace(10, outcome="budget"))
    (spent,) = record_many([("def f(n):\n    while n:\n        n += 1\n", "f(60)")], options=Options(max_frames=50))
    assert not is_within_cuts(spent.trace)

import os
from pathlib import Path

import pytest

from opencwm.data.contests.judge import Judging, judge
from opencwm.data.contests.problems import Case, Problem, read_problems
from opencwm.data.contests.solutions import given_solutions
from opencwm.errors import ConfigError

LEETCODE = Path(__file__).parent / "leetcode_100.jsonl.gz"
CASES = (Case(given="1 2\n", expected="3\n"), Case(given="5 5\n", expected="10\n"))
SUM = Problem(name="sum", statement="Add.", kind="stdin", cases=CASES)
TWICE = Problem(name="twice", statement="Double.", kind="call", cases=(Case(given="f(2)", expected="4"),))
ADD = "print(sum(map(int, input().split())))\n"
READS = {
    "input": ADD,
    "readline": "import sys\na, b = map(int, sys.stdin.readline().split())\nprint(a + b)\n",
    "buffer": "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))\n",
    "iteration": "import sys\nfor line in sys.stdin:\n    print(sum(map(int, line.split())))\n",
    "descriptor": "import os\nos.write(1, b'%d' % sum(map(int, os.read(0, 100).split())))\n",
    "main guard": f"def main():\n    {ADD}\nif __name__ == '__main__':\n    main()\n",
    "exit": ADD + "import sys\nsys.exit()\n",
    "os exit": ADD + "import os, sys\nsys.stdout.flush()\nos._exit(0)\n",
    "atexit": f"import atexit\natexit.register(lambda: {ADD.strip()})\n",
    "thread": f"import threading\nthreading.Thread(target=lambda: {ADD.strip()}).start()\n",
}
TROUBLE = {
    "another output": ("incorrect", "another output", 1, "print(3)"),
    "a bug": ("incorrect", "raised IndexError", 0, "[][1]"),
    "no Python": ("incorrect", "not Python", 0, "print(3"),
    "exit status": ("incorrect", "raised SystemExit", 0, "print(3)\nexit(1)"),
    "endless": ("limit", "timeout", 0, "while True: pass"),
    "asleep": ("limit", "timeout", 0, "import time\ntime.sleep(1000)"),
    "flood": ("limit", "output", 0, "while True: print('x' * 1000)"),
    "memory": ("limit", "memory", 0, "x = [0] * 10**10"),
    "crash": ("limit", "died", 0, "import os\nos.kill(os.getpid(), 9)"),
    "kills its parent": ("limit", "died", 0, "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"),
}


def verdicts(attempts, **judging):
    return [(each.verdict, each.why, each.failed) for each in judge(attempts, judging=Judging(**judging))]


def test_every_way_of_reading_is_judged():
    assert verdicts([(SUM, source) for source in READS.values()]) == [("correct", "all tests passed", None)] * len(
        READS
    )


def test_each_kind_of_trouble_has_its_name_and_costs_only_itself():
    attempts = [attempt for _, _, _, source in TROUBLE.values() for attempt in ((SUM, source), (SUM, ADD))]
    expected = [
        each
        for verdict, why, failed, _ in TROUBLE.values()
        for each in ((verdict, why, failed), ("correct", "all tests passed", None))
    ]
    assert verdicts(attempts, cpu_s=0.5) == expected


def test_calls_are_judged_by_what_they_return_not_by_what_they_print():
    sources = ["def f(x):\n    print(7)\n    return 2 * x\n", "def f(x):\n    print(4)\n", "def g(x):\n    return 4\n"]
    found = verdicts([(TWICE, source) for source in sources])
    assert [why for _, why, _ in found] == ["all tests passed", "another output", "raised NameError"]


def test_all_published_leetcode_solutions_pass():
    problems = list(read_problems(LEETCODE))
    judged = list(judge(given_solutions(problems)))
    assert [each.problem.name for each in judged if each.verdict != "correct"] == []
    assert len(judged) == 100


def test_a_wrong_solution_of_a_published_problem_fails():
    problem = next(read_problems(LEETCODE))
    (judged,) = judge([(problem, "class Solution:\n    def minOperations(self, nums, k):\n        return k + 2\n")])
    assert (judged.verdict, judged.failed) == ("incorrect", 1)


def test_the_expected_output_is_nowhere_in_the_sandbox():
    problem = Problem(name="p", statement="", kind="stdin", cases=(Case(given="1", expected="sesame"),))
    peek = (
        "import os, sys, gc\nfor name in os.listdir('.'):\n    print(name, open(name).read())\n"
        "for fd in range(3, 20):\n    try:\n        print(os.read(fd, 10000))\n    except OSError:\n        pass\n"
        "print([x for x in gc.get_objects() if type(x) is dict and 'expected' in x and len(x) < 5])\n"
    )
    assert verdicts([(problem, peek)], cpu_s=1.0)[0][0] != "correct"


def test_secrets_of_this_process_are_not_seen(monkeypatch):
    monkeypatch.setitem(os.environ, "SECRET_OF_THE_TEST", "sesame")
    problem = Problem(name="p", statement="", kind="stdin", cases=(Case(given="", expected="None"),))
    peek = "import os\nprint(os.environ.get('SECRET_OF_THE_TEST'))"
    assert verdicts([(problem, peek)]) == [("correct", "all tests passed", None)]


def test_only_the_first_tests_count_where_asked():
    assert verdicts([(SUM, "print(3)")], max_cases=1) == [("correct", "all tests passed", None)]


@pytest.mark.parametrize("key", ["cpu_s", "max_cases", "memory_bytes", "output_bytes"])
def test_limits_must_be_positive(key):
    with pytest.raises(ConfigError, match=key):
        Judging(**{key: 0})

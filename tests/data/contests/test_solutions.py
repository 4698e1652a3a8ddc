from pathlib import Path

import pytest

from opencwm.data.contests.judge import judge
from opencwm.data.contests.problems import Case, Problem, read_problems
from opencwm.data.contests.solutions import Asking, given_solutions, with_imports, write_solutions
from opencwm.fakes import ScriptedModel, last_message
from opencwm.protocols import Completion
from opencwm.provider import ServerModel

LEETCODE = Path(__file__).parent / "leetcode_100.jsonl.gz"
SUM = Problem(name="sum", statement="Add two.", kind="stdin", cases=(Case(given="1 2\n", expected="3\n"),))


def fenced(code):
    return f"I think:\n```python\n{code}\n```\n"


def test_a_model_writes_solutions_and_what_is_none_is_counted_apart():
    answers = [
        fenced("print(sum(map(int, input().split())))"),
        fenced("print(4)"),
        "I cannot.",
        Completion(tokens=(), text="```python\nprint(", finish="length"),
        Completion(tokens=(), text="", finish="failed", error="status 500"),
    ]
    model = ScriptedModel(answers)
    written = list(write_solutions([SUM], model, Asking(per_problem=5, temperature=0.7, seed=10)))
    assert [each.outcome for each in written] == ["ok", "ok", "no code", "cut off", "failed"]
    verdicts = [each.verdict for each in judge((each.problem, each.source) for each in written if each.source)]
    assert verdicts == ["correct", "incorrect"]
    assert [(request.temperature, request.seed) for request in model.requests] == [(0.7, 10 + n) for n in range(5)]
    assert "Add two." in last_message(model.requests[0])
    assert "standard input" in last_message(model.requests[0])


def test_an_openai_compatible_server_writes_solutions(chat_server):
    url, asked = chat_server(lambda message: fenced("print(3)" if "Add two." in message else "?"))
    written = list(write_solutions([SUM], ServerModel(url, "writer"), Asking(per_problem=2)))
    assert [(each.outcome, each.source) for each in written] == [("ok", "print(3)\n")] * 2
    assert [body["model"] for body in asked] == ["writer"] * 2
    assert sorted(body["seed"] for body in asked) == [0, 1]


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        (
            "def f(x: List[int]):\n    return Counter(x)\n",
            ["from collections import Counter", "from typing import List"],
        ),
        ("def f(x):\n    return math.sqrt(x)\n", ["import math"]),
        ("def f(x):\n    return bisect.bisect(x, 1)\n", ["import bisect"]),
        (
            "def f(x):\n    return bisect(x, 1) + len(ascii_lowercase)\n",
            ["from bisect import bisect", "from string import ascii_lowercase"],
        ),
        ("def f(x):\n    return pow(x, 2, 5)\n", []),
        ("from math import sqrt\ndef f(x):\n    return sqrt(x) + nowhere\n", []),
        ("def f(x:\n", []),
    ],
)
def test_a_solution_gets_the_imports_that_it_lacks(source, imports):
    assert with_imports(source) == "".join(f"{line}\n" for line in imports) + ("\n\n" if imports else "") + source


def test_published_solutions_get_no_import_that_they_do_not_use():
    problems = list(read_problems(LEETCODE))
    given = [source for _, source in given_solutions(problems)]
    assert sum(source.startswith(("from", "import")) for source in given) < 100
    assert all("import *" not in source for source in given)

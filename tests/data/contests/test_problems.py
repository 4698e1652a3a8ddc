import gzip
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from opencwm.data.contests.problems import Case, by_name, read_problems
from opencwm.errors import ConfigError, DataError

HERE = Path(__file__).parent
RELEASED = {
    "name": "1_A. Sum",
    "description": "Add them.\n",
    "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
    "private_tests": {"input": ["1 2\n", "5 5\n"], "output": ["3\n", "10\n"]},
    "generated_tests": {"input": [], "output": []},
    "solutions": {"language": [2, 3, 1], "solution": ["int main(){}", "print(3)", "print 3"]},
    "incorrect_solutions": {"language": [3], "solution": ["print(4)"]},
}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_codecontests_flattened():
    problems = list(read_problems(HERE / "code_contests.jsonl.gz"))
    assert len(problems) == 6
    assert {problem.kind for problem in problems} == {"stdin"}
    assert "Mr. Chanek lives in a city" in problems[0].statement
    assert all(2 <= len(problem.cases) <= 12 for problem in problems)


def test_codeforces():
    problems = list(read_problems(HERE / "codeforces.jsonl.gz"))
    assert len(problems) == 12
    assert problems[0].name == "codeforces/1"
    assert problems[0].cases[0].given.startswith("10\n1 9\n")
    assert problems[0].cases[0].expected.endswith("3 3\n0 0\n9 9")


def test_leetcode():
    problems = list(read_problems(HERE / "leetcode_100.jsonl.gz"))
    assert len(problems) == 100
    assert {(problem.kind, len(problem.solutions)) for problem in problems} == {("call", 1)}
    assert problems[0].cases[0] == Case(given="Solution().minOperations(nums=[3, 1, 5, 4, 2], k=2)", expected="4")
    assert sum(len(problem.cases) for problem in problems) == 255


def test_codecontests_as_released(tmp_path):
    (problem,) = read_problems(write(tmp_path / "cc.jsonl", RELEASED))
    assert problem.name == "1_A. Sum"
    assert problem.cases == (Case(given="1 2\n", expected="3\n"), Case(given="5 5\n", expected="10\n"))
    assert problem.solutions == ("print(3)", "print(4)")


def test_codecontests_as_released_in_parquet(tmp_path):
    path = tmp_path / "cc.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([RELEASED]), path)
    (problem,) = read_problems(path)
    assert (problem.cases[1].expected, problem.solutions) == ("10\n", ("print(3)", "print(4)"))


def test_languages_may_be_words_and_solutions_a_list(tmp_path):
    tests = {"inputs": ["1"], "outputs": ["1"]}
    solutions = [{"language": "PYTHON3", "solution": "print(1)"}, {"language": "CPP", "solution": "x"}, "print(2)"]
    (problem,) = read_problems(write(tmp_path / "p.jsonl", {"problem": "p", "tests": tests, "solutions": solutions}))
    assert problem.solutions == ("print(1)", "print(2)")


def test_what_cannot_be_judged_is_left_out(tmp_path):
    tests = {"inputs": ["1"], "outputs": ["1"]}
    check = "def check(candidate):\n    assert is_same(candidate(1), 2)\n\ncheck(f)"
    rows = [
        {**RELEASED, "input_file": "input.txt"},
        {"problem": "p", "tests": {"inputs": [], "outputs": []}},
        {"problem": "p", "tests": {"functional": check}},
        {"problem": "good", "tests": tests},
    ]
    assert [each.statement for each in read_problems(write(tmp_path / "p.jsonl", *rows))] == ["good"]


def test_humaneval_checks_are_read_too(tmp_path):
    check = "METADATA = {}\n\ndef check(candidate):\n    assert candidate([1], 2) == -1\n\ncheck(f)"
    (problem,) = read_problems(write(tmp_path / "p.jsonl", {"problem": "p", "tests": {"functional": check}}))
    assert problem.cases == (Case(given="f([1], 2)", expected="-1"),)


@pytest.mark.parametrize(
    "row",
    [
        {"problem": "p"},
        {"tests": {"inputs": [], "outputs": []}},
        {"problem": "p", "tests": {"inputs": ["1"], "outputs": []}},
        {"problem": "p", "tests": {"inputs": [1], "outputs": ["1"]}},
        {"problem": "p", "tests": {"functional": "def check(candidate):\n    pass\n"}},
        {"problem": "p", "tests": {"functional": "def"}},
        [],
    ],
)
def test_records_of_another_shape_are_named(tmp_path, row):
    good = {"problem": "good", "tests": {"inputs": ["1"], "outputs": ["1"]}}
    with pytest.raises(DataError, match=r"p\.jsonl, record 2"):
        list(read_problems(write(tmp_path / "p.jsonl", good, row)))


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no file"):
        list(read_problems(tmp_path / "none.jsonl"))
    (tmp_path / "bad.jsonl").write_text('{"problem": \n')
    with pytest.raises(DataError, match=r"bad\.jsonl, line 1"):
        list(read_problems(tmp_path / "bad.jsonl"))
    packed = gzip.compress(b'{"a": 1}\n' * 100)
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[:20])
    with pytest.raises(DataError, match=r"cut\.jsonl\.gz"):
        list(read_problems(tmp_path / "cut.jsonl.gz"))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"bad\.parquet"):
        list(read_problems(tmp_path / "bad.parquet"))


def test_names_are_unique():
    problems = list(read_problems(HERE / "leetcode_100.jsonl.gz"))
    assert len(by_name(problems)) == 100
    with pytest.raises(DataError, match="leetcode_100/1"):
        by_name([*problems, problems[0]])

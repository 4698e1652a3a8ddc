"""Contest problems with their tests, read from files in the layouts in which such sets are published.

    .jsonl | .jsonl.gz | .parquet --read_problems--> Problem(statement, cases, solutions)

Four layouts, told apart by their keys:

* CodeContests as released (arXiv 2203.07814): `public_tests`, `private_tests` and `generated_tests` of columns
  `input` and `output`; `solutions` and `incorrect_solutions` of columns `language` and `solution`;
* the same flattened: `tests` of columns `inputs` and `outputs`;
* Codeforces: `tests` is a list of {`input`, `output`};
* LeetCode: `tests` is {`functional`: a `check(candidate)` of asserts}; HumanEval's `check` is read likewise.

`solutions` may everywhere be one source or a list of sources as well.

Left out: problems that read or write named files, solutions in other languages than Python 3, asserts other than
`candidate(...) == literal`, and problems of which nothing is left to judge by.
"""

import ast
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opencwm.errors import ConfigError, DataError

PYTHON3 = (3, "PYTHON3")
"""How the released files name the language: by number or by word."""
TEST_COLUMNS = ("public_tests", "private_tests", "generated_tests")


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One test."""

    given: str
    """The text on standard input; of a problem by call, the call."""
    expected: str
    """The text on standard output; of a problem by call, a literal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    name: str
    statement: str
    kind: Literal["stdin", "call"]
    """Whether a solution is a program that reads and prints, or a definition that is called."""
    cases: tuple[Case, ...]
    solutions: tuple[str, ...] = ()
    """Python sources that come with the problem, right and wrong ones: the judge decides."""


def read_problems(path: str | Path) -> Iterator[Problem]:
    """Raises ConfigError where there is no such file, DataError naming the record that has another shape."""
    path = Path(path)
    for number, row in enumerate(_rows(path), 1):
        try:
            problem = _problem(row, f"{path.name.partition('.')[0]}/{number}")
        except (KeyError, TypeError, ValueError, SyntaxError) as exc:
            raise DataError(
                f"{path}, record {number} is no contest problem: {type(exc).__name__}: {exc}",
                fix="see opencwm.data.contests.problems for the layouts that are read",
            ) from exc
        if problem is not None and problem.cases:
            yield problem


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", fix="give a .jsonl, .jsonl.gz or .parquet file of problems")
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
        return
    number = 1
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield row
                number += 1
    except (OSError, EOFError, ValueError) as exc:
        raise DataError(f"{path}, line {number} cannot be read: {exc}") from exc


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as exc:
        raise ConfigError("Parquet files need pyarrow", fix="pip install 'opencwm[data]'") from exc
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=64):
                yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as exc:
        raise DataError(f"{path} cannot be read: {exc}") from exc


def _problem(row: Mapping[str, Any], otherwise: str) -> Problem | None:
    """The problem of a record; None for one that reads or writes named files."""
    if not isinstance(row, Mapping):
        raise TypeError("it is not an object")
    if row.get("input_file") or row.get("output_file"):
        return None
    statement = row["description"] if "description" in row else row["problem"]
    solutions = [*_sources(row.get("solutions")), *_sources(row.get("incorrect_solutions"))]
    tests = row.get("tests")
    check = tests.get("functional") if isinstance(tests, Mapping) else None
    cases = _stdin_cases(row) if check is None else _functional_cases(check)
    return Problem(
        name=str(row.get("name") or otherwise),
        statement=str(statement).strip(),
        kind="stdin" if check is None else "call",
        cases=tuple(dict.fromkeys(cases)),
        solutions=tuple(dict.fromkeys(solutions)),
    )


def _stdin_cases(row: Mapping[str, Any]) -> Iterator[Case]:
    if "tests" not in row:
        groups = [row[column] for column in TEST_COLUMNS if row.get(column)]
        if not groups:
            raise KeyError("tests")
        pairs = [pair for group in groups for pair in zip(group["input"], group["output"], strict=True)]
    elif isinstance(row["tests"], Mapping):
        pairs = list(zip(row["tests"]["inputs"], row["tests"]["outputs"], strict=True))
    else:
        pairs = [(test["input"], test["output"]) for test in row["tests"]]
    for given, expected in pairs:
        if not isinstance(given, str) or not isinstance(expected, str):
            raise TypeError("inputs and outputs of tests must be texts")
        yield Case(given=given, expected=expected)


def _sources(given: Any) -> Iterator[str]:
    """The Python sources of a `solutions` field, whatever its layout."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, Mapping):
        for language, source in zip(given["language"], given["solution"], strict=True):
            if language in PYTHON3:
                yield source
    elif isinstance(given, Iterable):
        for each in given:
            if isinstance(each, Mapping):
                if each["language"] in PYTHON3:
                    yield each["solution"]
            else:
                yield str(each)


def _functional_cases(text: str) -> Iterator[Case]:
    """The cases of `def check(candidate): assert candidate(...) == ...` and `check(EXPR)`."""
    body = ast.parse(text).body
    check = next(node for node in body if isinstance(node, ast.FunctionDef))
    called = [node.value for node in body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    if len(called) != 1 or len(called[0].args) != 1 or len(check.args.args) != 1:
        raise ValueError("`tests.functional` does not end in one check(CANDIDATE)")
    candidate = check.args.args[0].arg
    for node in check.body:
        if isinstance(node, ast.Assert) and (pair := _compared(node.test, candidate)):
            call, expected = pair
            whole = ast.Call(func=called[0].args[0], args=call.args, keywords=call.keywords)
            yield Case(given=ast.unparse(whole), expected=ast.unparse(expected))


def _compared(test: ast.expr, candidate: str) -> tuple[ast.Call, ast.expr] | None:
    """CALL and LITERAL of `candidate(...) == LITERAL`."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return None
    call, expected = test.left, test.comparators[0]
    is_candidate = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == candidate
    return (call, expected) if is_candidate and isinstance(call, ast.Call) and _is_literal(expected) else None


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError):
        return False
    return True


def by_name(problems: Sequence[Problem]) -> dict[str, Problem]:
    """Raises DataError for two problems of one name."""
    found: dict[str, Problem] = {}
    for problem in problems:
        if problem.name in found:
            raise DataError(f"there are two problems called {problem.name!r}", fix="give each file once")
        found[problem.name] = problem
    return found

"""Solutions of contest problems (`data/contests`), right and wrong ones in equal numbers, on the inputs of tests."""

import dataclasses
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from opencwm.data.contests.judge import Judging, judge
from opencwm.data.contests.problems import Case, Problem, by_name, read_problems
from opencwm.data.contests.programs import alternating, is_within_cuts, shown_cases, with_stdin
from opencwm.data.contests.solutions import Asking, given_solutions, write_solutions
from opencwm.data.dedup import source_key
from opencwm.data.journal import Journal
from opencwm.data.record import Recorded
from opencwm.data.sources.base import (
    Dealer,
    Job,
    Package,
    Run,
    Say,
    Shard,
    Take,
    Work,
    key_of,
    record_calls,
    shard_lines,
)
from opencwm.errors import ConfigError
from opencwm.protocols import Model
from opencwm.provider import served_model
from opencwm.trace.files import replacing
from opencwm.trace.recording.options import Options

PROBLEMS = "contests.jsonl"
JOURNAL = "contests-written.jsonl"
PORTION = 16
"""Problems that a model is asked about at a time: what a kill loses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SolutionRun(Run):
    """A solution on the input of one test."""

    given: str | None = None
    """The text on standard input, of a problem that is solved by a script."""


@dataclass(frozen=True, kw_only=True)
class Solution(Work):
    runs: tuple[SolutionRun, ...]

    def program(self, run: Run) -> tuple[str, str | None]:
        assert isinstance(run, SolutionRun)
        assert self.source is not None
        if run.given is None:
            return self.source, run.call
        return with_stdin(self.source, Case(given=run.given, expected="")), None

    def keys(self) -> tuple[str, list[str]]:
        if any(run.given is None for run in self.runs):
            return Work.keys(self)
        assert self.source is not None
        key = source_key(self.source)
        return key, [key_of("contest", key, run.given or "") for run in self.runs]


@dataclass(frozen=True, kw_only=True, slots=True)
class Contests:
    name: ClassVar[str] = "contests"
    kinds: ClassVar[tuple[str, ...]] = ("correct", "incorrect")

    weight: float = 0.0
    """Share of the programs (solutions), relative to the other sources'; less where they are exhausted before."""
    problems: tuple[str, ...] = ()
    """Files of problems with tests, .jsonl, .jsonl.gz or .parquet (layouts: `data/contests/problems.py`)."""
    model: str | None = None
    """`URL#name` of a served model that writes solutions, beside those that the files hold; None: no one does."""
    attempts: int = 4
    """Solutions that the model writes per problem."""
    temperature: float = 0.8
    """Of the model: 0 would write the same solution each time."""
    solutions: int = 8
    """Most correct, and most incorrect, solutions used per problem."""
    calls: int = 2
    """Most traces kept per solution, each on another test's input (paper: 70k traces of 33k solutions)."""
    max_chars: int = 1_000
    """Longest input that is shown to a model."""
    cpu_s: float = 4.0
    """Computing time of one run, when it is judged."""
    licence: str = ""
    """Of the files, if they have one."""

    def __post_init__(self) -> None:
        for name in ("attempts", "solutions", "calls", "max_chars", "cpu_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"contests.{name} is {getattr(self, name)}: it must be more than 0")

    def prepare(self, folder: Path, say: Say) -> None:
        if (folder / PROBLEMS).exists():
            return
        if not self.problems:
            raise ConfigError("contests.problems names no file", fix="give it files, as in contests.problems=a.jsonl")
        problems = [problem for path in self.problems for problem in read_problems(path)]
        by_name(problems)
        written: dict[str, list[str]] = {}
        journal = Journal(folder / JOURNAL)
        if self.model is not None:
            self._have_written(problems, served_model(self.model), journal, say)
            written = journal.answers
        solved = []
        for problem in problems:
            own = [source for _, source in given_solutions([problem])]
            sources = tuple(dict.fromkeys([*own, *written.get(problem.name, ())]))
            solved.append(dataclasses.replace(problem, solutions=sources))
        num_solutions = sum(len(problem.solutions) for problem in solved)
        if num_solutions == 0:
            files = ", ".join(self.problems)
            fix = "name a model that writes some, as in contests.model=http://localhost:8000#NAME"
            raise ConfigError(f"there are no Python solutions in {files}", fix=fix)
        with replacing(folder / PROBLEMS) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(json.dumps(dataclasses.asdict(problem)) + "\n" for problem in solved)
        journal.remove()
        say(f"{num_solutions:,} solutions of {len(solved):,} contest problems from {', '.join(self.problems)}")

    def _have_written(self, problems: Sequence[Problem], model: Model, journal: Journal, say: Say) -> None:
        asking = Asking(per_problem=self.attempts, temperature=self.temperature)

        def answer(asked: Sequence[Problem]) -> list[list[str]]:
            found: dict[str, list[str]] = {problem.name: [] for problem in asked}
            for each in write_solutions(asked, model, asking):
                if each.source is not None:
                    found[each.problem.name].append(each.source)
            return list(found.values())

        for done in journal.ask(problems, lambda problem: problem.name, answer, portion=PORTION):
            say(f"{model.name} has written solutions to {done:,} of {len(problems):,} problems")

    def files(self) -> tuple[str, ...]:
        return (PROBLEMS,)

    def deal(self, shard: Shard) -> Dealer:
        problems = map(_problem, shard_lines(shard, PROBLEMS))
        attempts = ((problem, source) for problem in problems for source in problem.solutions)
        judged = judge(attempts, judging=Judging(cpu_s=self.cpu_s))
        solutions = alternating(judged, per_problem=self.solutions)
        package = Package(name="contests", licence=self.licence)

        def work(rng: random.Random) -> Work | None:
            for solution in solutions:
                cases = shown_cases(solution, count=self.calls, max_chars=self.max_chars)
                is_call = solution.problem.kind == "call"
                runs = tuple(
                    SolutionRun(
                        kind=solution.verdict,
                        call=case.given if is_call else None,
                        given=None if is_call else case.given,
                    )
                    for case in cases
                )
                if runs:
                    name, source = solution.problem.name, solution.source
                    return Solution(name=name, source=source, runs=runs, max_rows=self.calls, package=package)
            return None

        return work

    def record(self, jobs: Iterable[Job], options: Options) -> Iterator[Sequence[Take]]:
        for takes in record_calls(jobs, options, trusted=False):
            yield [_cut(take) for take in takes]


def _problem(line: str) -> Problem:
    data = json.loads(line)
    cases = tuple(Case(**case) for case in data["cases"])
    return Problem(**{**data, "cases": cases, "solutions": tuple(data["solutions"])})


def _cut(take: Take) -> Take:
    if take.result.trace is None or is_within_cuts(take.result.trace):
        return take
    return dataclasses.replace(take, result=Recorded(trace=None, cause="longer than the paper's cuts"))

"""HumanEval's solutions, executed by the model: 164 small programs written by people (arXiv 2107.03374).

    problems, inputs (HumanEval+, arXiv 2305.01210) --guarded child--> traces --traces.py--> metrics

Of each problem's inputs, in the file's order, the first few count whose trace stays within `MAX_FRAMES` frames. What is
asked is not to write a solution but to say what the canonical one does: every frame (`free`), or only what it returns
(`one_shot`). The two files are not part of the package: give HumanEval.jsonl.gz and HumanEvalPlus-Mini.jsonl.gz.
Left out: writing solutions, which is what the benchmark was made for.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencwm.data.record import record_many
from opencwm.errors import ConfigError, DataError
from opencwm.sandbox import Sandbox
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.options import Options

MAX_FRAMES = 256
INPUTS_PER_PROBLEM = 3
MAX_TRIES = 12
"""Inputs of one problem that are tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    name: str
    source: str
    """The prompt and its canonical solution."""
    calls: tuple[str, ...]
    """The entry point on each input."""


def load_problems(items: Path, inputs: Path) -> list[Problem]:
    """Raises ConfigError where there is no such file, DataError for lines of another shape."""
    given = {
        data["task_id"]: [*data["base_input"], *data["plus_input"]]
        for data in read_lines(inputs, ("task_id", "base_input", "plus_input"))
    }
    problems = []
    for data in read_lines(items, ("task_id", "prompt", "canonical_solution", "entry_point")):
        if data["task_id"] not in given:
            raise DataError(f"{inputs} has no inputs for {data['task_id']}", fix="give HumanEvalPlus-Mini.jsonl.gz")
        calls = [f"{data['entry_point']}({', '.join(map(repr, args))})" for args in given[data["task_id"]]]
        source = data["prompt"] + data["canonical_solution"]
        problems.append(Problem(name=data["task_id"], source=source, calls=tuple(calls)))
    return problems


def read_lines(path: Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, packed or not, each with these keys."""
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", fix="give the files of HumanEval and of HumanEval+")
    try:
        packed = path.read_bytes()
        text = (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode()
    except (OSError, EOFError, UnicodeDecodeError) as exc:
        raise DataError(f"{path} cannot be read: {exc}", fix="download it again") from exc
    lines = text.splitlines()
    if not lines:
        raise DataError(f"{path} holds no items")
    for number, line in enumerate(lines, start=1):
        try:
            data = json.loads(line)
            yield {key: data[key] for key in keys}
        except (ValueError, KeyError, TypeError) as exc:
            raise DataError(f"{path}, line {number} is no item: expected {', '.join(keys)}") from exc


def record_problems(
    problems: Sequence[Problem],
    sandbox: Sandbox,
    *,
    per_problem: int = INPUTS_PER_PROBLEM,
    max_frames: int = MAX_FRAMES,
) -> list[Trace]:
    """Traces of the first inputs that stay within the budget, by problem; at most `per_problem` of each."""
    kept: list[list[Trace]] = [[] for _ in problems]
    options = Options(max_frames=max_frames)
    for at in range(MAX_TRIES):
        asked = [n for n, problem in enumerate(problems) if len(kept[n]) < per_problem and at < len(problem.calls)]
        programs = ((problems[n].source, problems[n].calls[at]) for n in asked)
        for n, recorded in zip(asked, record_many(programs, options=options, sandbox=sandbox), strict=True):
            if recorded.trace is not None and recorded.trace.outcome == "returned":
                kept[n].append(recorded.trace)
    return [trace for traces in kept for trace in traces]

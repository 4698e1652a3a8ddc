"""CRUXEval's items and its scorer, which gives exactly the verdicts published with other models' generations.

    item, answer --has the asked form?--> assert OUTPUT == ANSWER (judge.py, in the sandbox) --> verdict

An output is the text of a value; an input is a call, `f(...)`. The published scorer runs the very same assertion.

    python -m opencwm.evals.cruxeval_scoring ITEMS GENERATIONS

scores a file of published generations (one JSON object per model and direction; .gz may be packed) again, and tells
where a verdict differs.
"""

import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from opencwm.errors import ConfigError, DataError
from opencwm.evals.judge import CPU_S, Claim, Verdict, judge
from opencwm.sandbox import NamespaceSandbox, Sandbox

Direction = Literal["output", "input"]
DROPPED_UNASKED = ("gpt-4-turbo+cot", "gpt-4o+cot")
"""For these models the published scorer left answers without the asked form out, except where none was right; for all
others they count as wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    id: str
    code: str
    """Defines `f`."""
    input: str
    """The arguments of the call, as written between its parentheses."""
    output: str
    """The repr of what the call returns."""


def load_items(path: Path) -> list[Item]:
    """The items of a cruxeval.jsonl. Raises ConfigError where there is no such file, DataError for a bad line."""
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", fix="download cruxeval.jsonl from facebookresearch/cruxeval")
    items = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            data = json.loads(line)
            items.append(Item(**{name: str(data[name]) for name in Item.__slots__}))
        except (ValueError, KeyError, TypeError) as exc:
            raise DataError(f"{path}, line {number} is no CRUXEval item: expected code, input, output and id") from exc
    if not items:
        raise DataError(f"{path} holds no items")
    return items


def has_asked_form(item: Item, direction: Direction, answer: str) -> bool:
    """An input is a call; an output does not merely repeat the call."""
    return "f(" in answer if direction == "input" else f"f({item.input})" not in answer


def score(
    items: Sequence[Item],
    answers: Sequence[Sequence[str]],
    direction: Direction,
    sandbox: Sandbox,
    *,
    cpu_s: float = CPU_S,
) -> list[list[Verdict]]:
    """A verdict for each answer of each item. Raises what the sandbox raises; a bad answer never raises."""
    asked = [
        (row, column, Claim(setup=item.code, expected=item.output, answer=answer))
        for row, (item, texts) in enumerate(zip(items, answers, strict=True))
        for column, answer in enumerate(texts)
        if has_asked_form(item, direction, answer)
    ]
    verdicts: list[list[Verdict]] = [["malformed"] * len(texts) for texts in answers]
    found = judge([claim for _, _, claim in asked], sandbox, cpu_s=cpu_s)
    for (row, column, _), verdict in zip(asked, found, strict=True):
        verdicts[row][column] = verdict
    return verdicts


def pass_at_k(num_samples: int, num_right: int, k: int) -> float:
    """Chance that k of the samples, drawn without replacement, hold a right one (arXiv 2107.03374, eq. 1)."""
    missed = 1.0
    for drawn in range(k):
        missed *= max(0, num_samples - num_right - drawn) / (num_samples - drawn)
    return 1.0 - missed


# ---- published generations


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """One model's answers in one direction, with the verdicts given to them."""

    model: str
    direction: Direction
    answers: tuple[tuple[str, ...], ...]
    """Per item."""
    scored: tuple[str, ...]
    """Per item, a 1 or 0 for each answer that was scored."""


def load_published(path: Path) -> list[Published]:
    """Raises ConfigError where there is no such file, DataError for a line of another shape."""
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", fix="give the generations published with CRUXEval")
    runs = []
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                data = json.loads(line)
                answers = tuple(tuple(map(str, texts)) for texts in data["generations"])
                run = Published(
                    model=data["model"], direction=data["mode"], answers=answers, scored=tuple(data["scored"])
                )
            except (ValueError, KeyError, TypeError) as exc:
                raise DataError(f"{path}, line {number} holds no generations: expected model, mode, scored") from exc
            runs.append(run)
    return runs


def rescore(run: Published, items: Sequence[Item], sandbox: Sandbox, *, cpu_s: float = CPU_S) -> list[str]:
    """Our own verdicts in the form of `run.scored`."""
    answers = [list(texts) for texts in run.answers]
    if run.model in DROPPED_UNASKED:
        answers = [
            [answer for answer in texts if has_asked_form(item, run.direction, answer)]
            for item, texts in zip(items, answers, strict=True)
        ]
    verdicts = score(items, answers, run.direction, sandbox, cpu_s=cpu_s)
    return [
        "".join("1" if verdict == "right" else "0" for verdict in row) if "right" in row else "0" * len(texts)
        for row, texts in zip(verdicts, run.answers, strict=True)
    ]


def mean_pass_at_1(scored: Sequence[str]) -> float:
    """Over items with at least one scored answer."""
    shares = [pass_at_k(len(row), row.count("1"), 1) for row in scored if row]
    return sum(shares) / len(shares)


def report(items_path: Path, published_path: Path) -> Iterator[str]:
    items, sandbox = load_items(items_path), NamespaceSandbox()
    for run in load_published(published_path):
        ours = rescore(run, items[: len(run.answers)], sandbox)
        num_different = sum(mine != theirs for mine, theirs in zip(ours, run.scored, strict=True))
        yield f"{run.model:<24} {run.direction:<6}  pass@1 {100 * mean_pass_at_1(ours):5.1f}  differing {num_different}"


if __name__ == "__main__":
    for told in report(Path(sys.argv[1]), Path(sys.argv[2])):
        print(told)

"""What every benchmark shares: its result, and a ledger that makes a run restartable.

    items --model--> outcome per item --ledger (JSON lines)--> EvalResult(metrics, outcomes)

An item ends in one of five ways, counted apart everywhere (`trace.compare.Outcome`): right, wrong, malformed (not of
the asked form), budget (not done when its tokens were used up) and infrastructure (it could not be judged).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from opencwm.errors import ConfigError
from opencwm.trace.compare import Estimate, Outcome

CHUNK = 64
"""Items that a model is asked together; the unit in which a ledger grows."""

Item = TypeVar("Item")
Progress = Callable[[int, int], None]
"""Told how many items are done, of how many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalResult:
    task: str
    model: str
    n: int
    """Items evaluated."""
    metrics: Mapping[str, Any]
    outcomes: Mapping[Outcome, int]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the run can be repeated from: seed, limits, budgets."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "model": self.model,
            "n": self.n,
            "metrics": dict(self.metrics),
            "outcomes": {outcome.value: self.outcomes.get(outcome, 0) for outcome in Outcome},
            "settings": dict(self.settings),
        }


def estimate_to_dict(estimate: Estimate) -> dict[str, Any]:
    """An estimate as results print it: mean, bounds of the 95% interval, number of traces."""
    numbers = {"value": estimate.mean, "low": estimate.low, "high": estimate.high}
    return {name: round(number, 4) for name, number in numbers.items()} | {"n": estimate.num}


def chunks(left: Sequence[Item], total: int, progress: Progress) -> Iterator[Sequence[Item]]:
    """The items that are left of `total`, CHUNK at a time, with word of it before each and after the last."""
    for start in range(0, len(left), CHUNK):
        progress(total - len(left) + start, total)
        yield left[start : start + CHUNK]
    progress(total, total)


class Ledger:
    """Finished items on disk, one JSON line each, so that a stopped run goes on where it was.

    The first line holds the run's settings; going on under others is refused. With no path nothing is kept.
    """

    def __init__(self, path: Path | None, settings: Mapping[str, Any]) -> None:
        self.done: dict[str, Any] = {}
        self._file: IO[str] | None = None
        if path is None:
            return
        settings = json.loads(json.dumps(settings))
        end = 0
        if path.is_file():
            end = self._read(path, settings)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a" if end else "w", encoding="utf-8")
        if end:
            self._file.truncate(end)  # a line that was cut off by a kill goes
        else:
            self._write({"settings": settings})

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def _read(self, path: Path, settings: Mapping[str, Any]) -> int:
        """Take in what is there; returns the byte after the last whole line."""
        end = 0
        for line in path.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            try:
                entry = json.loads(line)
            except ValueError as exc:
                raise ConfigError(f"{path} is no ledger of an evaluation", fix="give another --out") from exc
            if end == 0 and entry.get("settings") != settings:
                raise ConfigError(
                    f"{path} was begun with other settings: {differing(entry.get('settings') or {}, settings)}",
                    fix="give another --out, or remove the file to begin again",
                )
            if "item" in entry:
                self.done[entry["item"]] = entry["result"]
            end += len(line)
        return end

    def add(self, item: str, result: Any) -> None:
        self.done[item] = result
        self._write({"item": item, "result": result})

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(entry, separators=(",", ":")) + "\n")
            self._file.flush()


def differing(left: Mapping[str, Any], right: Mapping[str, Any]) -> str:
    """The keys in which both differ, with both values."""
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    return ", ".join(f"{key} {left.get(key)!r} there, {right.get(key)!r} now" for key in keys)

"""Show that no benchmark item is in the training data, and keep it out while the data is made.

    benchmark files --read_items--> Items --Detector--> hit(source, call) for each training program --> Report

A training program is *contaminated* when one of its functions has the same normalised body (`dedup.py`) as a function
of an item, or when it contains at least half of an item's Python-token 13-grams. Items with fewer than `MIN_GRAMS`
13-grams are too short for the second test to mean anything; the first still covers them, and the report names them.
The 13-grams follow the usual practice of decontamination (GPT-3, arXiv 2005.14165, appendix C); we take them over
Python tokens, not words, without docstrings and comments.

Left out: translated or paraphrased copies, and the prose of the items: programs are all that is trained on.
"""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opencwm.data.dataset import read_manifest
from opencwm.data.dedup import function_keys
from opencwm.data.lexemes import lexemes
from opencwm.data.record import program_of
from opencwm.errors import DataError
from opencwm.trace.files import parquet_column
from opencwm.trace.recording.frame import Trace

GRAM = 13
MIN_GRAMS = 5
MAX_SHARE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One benchmark item, as what a training program could share with it."""

    name: str
    """File and id, as in "HumanEval.jsonl.gz HumanEval/3"."""
    bodies: frozenset[str]
    """Keys of its functions' normalised bodies."""
    grams: frozenset[int]
    """Hashes of its 13-grams; valid within one process only."""

    @property
    def is_too_short(self) -> bool:
        return len(self.grams) < MIN_GRAMS


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    item: str
    reason: str
    """`body` or `13-grams`."""
    share: float = 1.0
    """Of the item's 13-grams that are in the program."""


@dataclass(kw_only=True, slots=True)
class Report:
    """What one look through a dataset found; `is_clean` is the proof."""

    num_programs: int = 0
    num_items: int = 0
    hits: list[tuple[str, Hit]] = field(default_factory=list)
    """Training program's id, and what it shares with which item."""
    too_short: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    """Item -> programs that the build kept out because of it, as its manifest tells."""
    highest_share: float = 0.0
    """The largest share of any item's 13-grams that any program contains, items too short left out."""

    @property
    def is_clean(self) -> bool:
        return not self.hits


def read_items(paths: Iterable[str | Path]) -> list[Item]:
    """The items of HumanEval, MBPP and CRUXEval files (and others with the same fields), .jsonl or .jsonl.gz."""
    return [item for path in paths for item in _read_file(Path(path))]


def _read_file(path: Path) -> Iterator[Item]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except (OSError, EOFError, UnicodeDecodeError) as exc:
        raise DataError(f"cannot read the benchmark file {path}: {exc}", fix="name a .jsonl or .jsonl.gz file") from exc
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            source = _source_of(row)
        except (ValueError, KeyError, TypeError) as exc:
            fix = "a row has `code`, or `prompt` and `canonical_solution`"
            raise DataError(f"{path} line {number} is not a benchmark item: {exc!r}", fix=fix) from exc
        name = row.get("task_id", row.get("id", number))
        yield Item(name=f"{path.name} {name}", bodies=frozenset(_bodies(source)), grams=frozenset(_grams(source)))


def _source_of(row: dict[str, Any]) -> str:
    if "code" in row:
        return str(row["code"])
    return str(row["prompt"]) + str(row["canonical_solution"])


def _bodies(source: str) -> set[str]:
    """Body keys of all functions; none where the source is not Python."""
    try:
        return set(function_keys(source))
    except (SyntaxError, ValueError, RecursionError):
        return set()


def _grams(source: str) -> set[int]:
    tokens = lexemes(source)
    return {hash(gram) for gram in zip(*(tokens[i:] for i in range(GRAM)), strict=False)}


class Detector:
    """Checks programs against items; a few hundred microseconds each."""

    def __init__(self, items: Sequence[Item], *, max_share: float = MAX_SHARE) -> None:
        self.items = items
        self.max_share = max_share
        self.highest_share = 0.0
        self._by_body = {body: item for item in reversed(items) for body in item.bodies}
        self._by_gram: dict[int, list[int]] = defaultdict(list)
        for index, item in enumerate(items):
            if not item.is_too_short:
                for gram in item.grams:
                    self._by_gram[gram].append(index)

    def hit(self, source: str) -> Hit | None:
        """The item that this program is contaminated with, or None."""
        if not self.items:
            return None
        for body in _bodies(source):
            if item := self._by_body.get(body):
                return Hit(item=item.name, reason="body")
        shared = Counter(index for gram in _grams(source) for index in self._by_gram.get(gram, ()))
        shares = [(count / len(self.items[index].grams), -index) for index, count in shared.items()]
        if not shares:
            return None
        share, index = max(shares)
        self.highest_share = max(self.highest_share, share)
        if share < self.max_share:
            return None
        return Hit(item=self.items[-index].name, reason="13-grams", share=round(share, 3))


def decontaminate(folder: str | Path, benchmarks: Iterable[str | Path]) -> Report:
    """Look at every program of a finished dataset; what the build kept out is taken from its manifest."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    shards = [folder / shard["file"] for shard in manifest["shards"]]
    report = inspect(_programs(shards), read_items(benchmarks))
    report.dropped = dict(manifest.get("contaminated", {}))
    return report


def _programs(shards: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """(id, source) of each row; the frames are not read."""
    for path in shards:
        columns = (parquet_column(path, name) for name in ("trace_id", "header"))
        for trace_id, header in zip(*columns, strict=True):
            yield trace_id, program_of(Trace(json.loads(header)))[0]


def inspect(programs: Iterable[tuple[str, str]], items: Sequence[Item]) -> Report:
    """Look at (id, source) pairs; equal sources are looked at once."""
    detector = Detector(items)
    report = Report(num_items=len(items), too_short=[item.name for item in items if item.is_too_short])
    seen: dict[str, Hit | None] = {}
    for name, source in programs:
        report.num_programs += 1
        if source not in seen:
            seen[source] = detector.hit(source)
        if hit := seen[source]:
            report.hits.append((name, hit))
    report.highest_share = round(detector.highest_share, 3)
    return report

"""The end of a build: from the parts that workers have made to the shards of the dataset.

    part + index of each shard --decide (in the order of the shards)--> which rows stay --> shard-*.parquet, README.md

What is decided looks at all shards together: equal traces and near-duplicate programs (the first stays), and then the
shares of the sources. Only the indexes are read for it: a row of an index is some 0.7 kB, its signature included. The
rows that stay are then copied shard by shard, wherever the executor runs. Nothing here changes the parts, so it can be
killed and done again.
"""

import hashlib
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opencwm import __version__
from opencwm.data.card import card
from opencwm.data.near import NearDuplicates, signature
from opencwm.data.recipe import Recipe
from opencwm.data.sources.base import Say
from opencwm.data.stages import Kept, Tally
from opencwm.executors import Executor
from opencwm.trace.files import (
    ABOUT,
    Row,
    copy_parquet,
    parquet_info,
    read_table,
    replacing,
    write_parquet,
    write_table,
)

PARTS = "parts"
CARD = "README.md"
DUPLICATE, NEAR, SHARE = "duplicate of an earlier shard", "near duplicate", "over its source's share"


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyJob:
    """All that a worker needs to make one shard of its part."""

    folder: Path
    shard: int
    keep: tuple[bool, ...]
    info: dict[str, Any]


def part_paths(folder: Path, shard: int) -> tuple[Path, Path]:
    """A part and its index."""
    return folder / f"part-{shard:05d}.parquet", folder / f"index-{shard:05d}.parquet"


def shard_path(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:05d}.parquet"


def shard_paths(folder: Path, num_shards: int) -> list[Path]:
    return [shard_path(folder, shard) for shard in range(num_shards)]


def write_part(
    folder: Path, shard: int, stage: Iterable[tuple[Kept, int]], tally: Tally, *, with_signatures: bool
) -> int:
    """Write the part, a group of rows at a time, then its index: where there is an index, both are whole. Returns the
    number of rows."""
    part, index = part_paths(folder / PARTS, shard)
    entries: list[dict[str, Any]] = []
    signatures: dict[int, bytes] = {}

    def rows() -> Iterator[Row]:
        for each, program in stage:
            if with_signatures and program not in signatures:
                signatures[program] = signature(each.program) if each.program else b""
            about = {name: getattr(each.row, name) for name in ABOUT}
            entries.append(
                {
                    "trace_id": each.row.trace_id,
                    "kind": each.row.source.partition(" ")[0],
                    **about,
                    "num_frames": len(each.row.trace.frames),
                    "tokens": each.tokens,
                    "program": program,
                    "signature": signatures.get(program, b""),
                }
            )
            yield each.row

    write_parquet(part, rows())
    columns = ("trace_id", "kind", *ABOUT, "num_frames", "tokens", "program", "signature")
    write_table(index, entries, columns=columns, info=tally.to_dict())  # the tally is complete only now
    return len(entries)


def finish(folder: Path, recipe: Recipe, executor: Executor, say: Say) -> dict[str, Any]:
    """Make the shards and the card; returns the manifest, which the caller writes."""
    indexes = [read_table(part_paths(folder / PARTS, shard)[1]) for shard in range(recipe.num_shards)]
    reasons = decide(indexes, recipe)
    jobs = [_copy_job(folder, shard, index, reasons[shard]) for shard, index in enumerate(indexes)]
    for name, count in sorted(sum((Counter(each) for each in reasons), Counter()).items(), key=str):
        if name is not None:
            say(f"dropped {count:,}: {name}")
    digests = {job.shard: digest for job, digest in executor.map(copy_part, jobs)}
    manifest = _manifest(folder, recipe, indexes, jobs, digests)
    with replacing(folder / CARD) as partial:
        partial.write_text(card(manifest), encoding="utf-8")
    return manifest


def copy_part(job: CopyJob) -> str:
    """Make one shard, and return its SHA-256; called in a worker."""
    target = shard_path(job.folder, job.shard)
    copy_parquet(part_paths(job.folder / PARTS, job.shard)[0], target, job.keep, info=job.info)
    return _sha256(target)


def decide(indexes: Sequence[Sequence[dict[str, Any]]], recipe: Recipe) -> list[list[str | None]]:
    """For each row of each shard why it goes; None: it stays. A function of the indexes and their order."""
    seen: set[str] = set()
    near = None if recipe.near_duplicates is None else NearDuplicates(recipe.near_duplicates)
    reasons: list[list[str | None]] = []
    for index in indexes:
        is_new: dict[int, bool] = {}
        of_shard: list[str | None] = []
        for row in index:
            program = row["program"]
            if near is not None and row["signature"] and program not in is_new:
                is_new[program] = near.is_new(row["signature"])
            if row["trace_id"] in seen:
                of_shard.append(DUPLICATE)
            elif not is_new.get(program, True):
                of_shard.append(NEAR)
            else:
                of_shard.append(None)
            seen.add(row["trace_id"])
        reasons.append(of_shard)
    if recipe.max_share is not None:
        _cut_shares(indexes, reasons, recipe, recipe.max_share)
    return reasons


def _cut_shares(
    indexes: Sequence[Sequence[dict[str, Any]]], reasons: list[list[str | None]], recipe: Recipe, max_share: float
) -> None:
    """Drop from the sources that are over their share: rows in the order of their ids, which are hashes."""
    source_of = {kind: source.name for source in recipe.all_sources for kind in source.kinds}
    rows: dict[str, list[tuple[str, int, int]]] = {source.name: [] for source in recipe.sources}
    for shard, index in enumerate(indexes):
        for number, row in enumerate(index):
            if reasons[shard][number] is None:
                rows[source_of[row["kind"]]].append((row["trace_id"], shard, number))
    wanted = allowed({name: len(each) for name, each in rows.items()}, max_share)
    for name, each in rows.items():
        for _, shard, number in sorted(each)[wanted[name] :]:
            reasons[shard][number] = SHARE


def allowed(counts: dict[str, int], max_share: float) -> dict[str, int]:
    """The most of each source that leaves none of them with more than its share of what remains."""
    counts = dict(counts)
    while True:
        total = sum(counts.values())
        over = {name: count for name, count in counts.items() if count > max_share * total}
        if not over:
            return counts
        name = max(over, key=lambda name: (over[name], name))
        others = total - over[name]
        counts[name] = min(over[name] - 1, int(max_share * others / (1 - max_share)))


def _copy_job(folder: Path, shard: int, index: Sequence[dict[str, Any]], reasons: Sequence[str | None]) -> CopyJob:
    info = parquet_info(part_paths(folder / PARTS, shard)[1])
    rows = [row for row, reason in zip(index, reasons, strict=True) if reason is None]
    dropped = Counter(info["dropped"]) + Counter(reason for reason in reasons if reason is not None)
    info |= {
        "kept": dict(sorted(Counter(row["kind"] for row in rows).items())),
        "dropped": dict(sorted(dropped.items())),
        "frames": sum(row["num_frames"] for row in rows),
        "tokens": sum(row["tokens"] for row in rows),
    }
    return CopyJob(folder=folder, shard=shard, keep=tuple(reason is None for reason in reasons), info=info)


def _manifest(
    folder: Path,
    recipe: Recipe,
    indexes: Sequence[Sequence[dict[str, Any]]],
    jobs: Sequence[CopyJob],
    digests: dict[int, str],
) -> dict[str, Any]:
    infos = [job.info for job in jobs]
    sums = {key: sum((Counter(info[key]) for info in infos), Counter()) for key in ("kept", "dropped", "contaminated")}
    owners = Counter(
        tuple(row[name] for name in ABOUT)
        for job, index in zip(jobs, indexes, strict=True)
        for row, is_kept in zip(index, job.keep, strict=True)
        if is_kept and row["package"]
    )
    return {
        "format": 1,
        "num_traces": sum(sums["kept"].values()),
        "num_frames": sum(info["frames"] for info in infos),
        "estimated_tokens": sum(info["tokens"] for info in infos),
        **{key: dict(sorted(counts.items())) for key, counts in sums.items()},
        "packages": [
            {**dict(zip(ABOUT, owner, strict=True)), "num_traces": count} for owner, count in sorted(owners.items())
        ],
        "recipe": recipe.to_dict(),
        "prepared": {name: _sha256(folder / name) for source in recipe.sources for name in source.files()},
        "versions": {"python": platform.python_version(), "opencwm": __version__, "pyarrow": version("pyarrow")},
        "shards": [
            {
                "file": shard_path(folder, job.shard).name,
                "num_traces": sum(job.keep),
                "sha256": digests[job.shard],
            }
            for job in jobs
        ],
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

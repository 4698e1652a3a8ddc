"""From sources of programs to Parquet shards of traces.

    sources --stages.py--> shard-00000.parquet ... --first of each duplicate stays--> manifest.json

A shard is a pure function of (recipe, what its sources have prepared, shard number), written whole: a build can be
killed at any moment, goes on where it was, and a rebuilt shard has the same bytes. (Wall clock decides in one case
only: a program that runs into `timeout_s`, which `max_frames` makes rare.) Duplicates between shards are removed at the
end. The manifest is written last, so a folder without one is unfinished.

Left out: the order in which a model sees the rows (`pack.py`), and programs with side effects.
"""

import hashlib
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path
from typing import Any

from opencwm import __version__
from opencwm.config import keys_of
from opencwm.data.decontaminate import Detector, read_items
from opencwm.data.heldout import heldout_keys
from opencwm.data.recipe import Recipe
from opencwm.data.sources.base import Say, Shard
from opencwm.data.stages import Guard, Tally, clean, kept, plan, recorded
from opencwm.errors import ConfigError, DataError
from opencwm.executors import executor_for
from opencwm.trace.files import parquet_column, parquet_info, read_rows, replacing, write_parquet

MANIFEST = "manifest.json"
RECIPE = "recipe.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardJob:
    """All that a worker needs to make one shard."""

    recipe: Recipe
    folder: Path
    shard: int


def build(recipe: Recipe, out_dir: str | Path, *, num_workers: int = 1, say: Say | None = None) -> dict[str, Any]:
    """Make the dataset, or what is missing of it; returns the manifest. Progress goes to `say` (default: stderr)."""
    say = say or _say_on_stderr
    folder = Path(out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, recipe)
    if (folder / MANIFEST).exists():
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        say(f"{folder} is complete: {manifest['num_traces']:,} traces")
        return manifest
    _guard(recipe)  # a bad path is said now, not in a worker
    for source in recipe.sources:
        source.prepare(folder, say)
    _make_shards(folder, recipe, num_workers, say)
    drop_duplicates(shard_paths(folder, recipe.num_shards), say)
    manifest = _manifest(folder, recipe)
    _write_whole(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    say(f"{manifest['num_traces']:,} traces, {manifest['num_frames']:,} frames in {folder}")
    return manifest


def shard_paths(folder: Path, num_shards: int) -> list[Path]:
    return [folder / f"shard-{shard:05d}.parquet" for shard in range(num_shards)]


def make_shard(job: ShardJob) -> dict[str, Any]:
    """Make one shard and return its footer's counts; called in a worker."""
    recipe, tally, guard = job.recipe, Tally(), _guard(job.recipe)
    shard = Shard(folder=job.folder, number=job.shard, count=recipe.num_shards, max_frames=recipe.max_frames)
    stage = clean(plan(recipe, shard), guard, tally)
    rows = [row for row, _ in kept(recorded(stage, recipe), recipe, guard, tally)]
    info = tally.to_dict()
    write_parquet(shard_paths(job.folder, job.shard + 1)[-1], rows, info=info)
    return info


@lru_cache(maxsize=1)
def _guard(recipe: Recipe) -> Guard:
    held = heldout_keys(Path(recipe.heldout)) if recipe.heldout else frozenset()
    return Guard(heldout=held, detector=Detector(read_items(recipe.benchmarks)))


def _claim(folder: Path, recipe: Recipe) -> None:
    """Write the recipe into the folder, or find the same one there."""
    path = folder / RECIPE
    if not path.exists():
        if any(folder.glob("shard-*.parquet")):
            raise ConfigError(f"{folder} holds shards but no {RECIPE}", fix="choose another folder")
        _write_whole(path, json.dumps(recipe.to_dict(), indent=1) + "\n")
        return
    try:
        there = Recipe.from_dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as exc:
        raise DataError(f"{path} is not a data recipe: {exc}", fix="choose another folder") from exc
    pairs = ((key, *(attrgetter(key)(each) for each in (there, recipe))) for key in keys_of(recipe))
    if differing := [f"{key} ({theirs!r}, now {mine!r})" for key, theirs, mine in pairs if theirs != mine]:
        raise ConfigError(
            f"{folder} was begun with another recipe: {', '.join(differing)}",
            fix="choose another folder, or go on with the old recipe",
        )


def _make_shards(folder: Path, recipe: Recipe, num_workers: int, say: Say) -> None:
    paths = shard_paths(folder, recipe.num_shards)
    jobs = [ShardJob(recipe=recipe, folder=folder, shard=n) for n, path in enumerate(paths) if not path.exists()]
    if len(jobs) < len(paths):
        say(f"{len(paths) - len(jobs)} of {len(paths)} shards are there already")
    started, total, dropped = time.monotonic(), 0, 0
    for done, (job, info) in enumerate(executor_for(num_workers).map(make_shard, jobs), 1):
        total += sum(info["kept"].values())
        dropped += sum(info["dropped"].values())
        seconds = time.monotonic() - started
        left_s = seconds / done * (len(jobs) - done)
        say(
            f"shard {job.shard:05d}  {done}/{len(jobs)}  {total:,} traces  {total / seconds:.0f} traces/s  "
            f"dropped {dropped / max(1, total + dropped):.0%}  eta {_clock(left_s)}"
        )


def drop_duplicates(paths: Sequence[Path], say: Say) -> None:
    """Of equal trace ids the one in the first shard stays. Idempotent, so it may be killed and run again."""
    seen: set[str] = set()
    total = 0
    for path in paths:
        ids = parquet_column(path, "trace_id")
        if doubled := seen.intersection(ids):
            info = parquet_info(path)
            rows = [row for row in read_rows(path) if row.trace_id not in doubled]
            gone = Counter(row.source.partition(" ")[0] for row in read_rows(path) if row.trace_id in doubled)
            info["kept"] = {kind: count - gone[kind] for kind, count in info["kept"].items()}
            info["dropped"]["duplicate of an earlier shard"] = len(doubled)
            info["frames"] = sum(len(row.trace.frames) for row in rows)
            write_parquet(path, rows, info=info)
            total += len(doubled)
        seen.update(ids)
    if total:
        say(f"dropped {total:,} duplicates between shards")


def _manifest(folder: Path, recipe: Recipe) -> dict[str, Any]:
    paths = shard_paths(folder, recipe.num_shards)
    infos = [parquet_info(path) for path in paths]
    sums = {key: sum((Counter(info[key]) for info in infos), Counter()) for key in ("kept", "dropped", "contaminated")}
    shards = [
        {"file": path.name, "num_traces": sum(info["kept"].values()), "sha256": _sha256(path)}
        for path, info in zip(paths, infos, strict=True)
    ]
    return {
        "format": 1,
        "num_traces": sum(sums["kept"].values()),
        "num_frames": sum(info["frames"] for info in infos),
        "estimated_tokens": sum(info["tokens"] for info in infos),
        **{key: dict(sorted(counts.items())) for key, counts in sums.items()},
        "recipe": recipe.to_dict(),
        "prepared": {name: _sha256(folder / name) for source in recipe.sources for name in source.files()},
        "versions": {"python": platform.python_version(), "opencwm": __version__, "pyarrow": version("pyarrow")},
        "shards": shards,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_whole(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02d}m{seconds:02d}s"


def _say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

"""From sources of programs to Parquet shards of traces.

    sources --stages.py--> parts/part-00000.parquet ... --finish.py--> shard-00000.parquet ..., README.md, manifest.json

A part is a pure function of (recipe, what its sources have prepared, shard number), and written whole; the shards are
one of all parts together. Any process may be killed at any moment: a ledger (`ledger.sqlite`) knows which parts are
done and who works on which, several processes may share a build, and what comes out has the same bytes however often it
was killed. The clock decides in one case only, a program that runs into a limit of time or memory, or that behaves
differently when it is run again: such an item is dropped, and the ledger remembers it, so that a rebuild drops it too.
The manifest is written last, so a folder without one is unfinished.

Left out: the order in which a model sees the rows (`pack.py`), and programs with side effects.
"""

import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from opencwm.config import keys_of
from opencwm.data.addresses import fix_addresses
from opencwm.data.decontaminate import Detector, read_items
from opencwm.data.finish import PARTS, finish, part_paths, write_part
from opencwm.data.heldout import heldout_keys
from opencwm.data.recipe import Recipe
from opencwm.data.sources.base import Say, Shard
from opencwm.data.stages import Guard, Tally, clean, kept, plan, recorded
from opencwm.errors import ConfigError, DataError
from opencwm.executors import Executor, executor_for
from opencwm.ledger import Ledger
from opencwm.trace.files import replacing

MANIFEST = "manifest.json"
RECIPE = "recipe.json"
LEDGER = "ledger.sqlite"
WAIT_S = 0.5
"""How often it is asked whether another process has done what it holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardJob:
    """All that a worker needs to make the part of one shard."""

    recipe: Recipe
    folder: Path
    shard: int
    lost: dict[str, str] = field(default_factory=dict)
    """Keys that were lost in an earlier attempt, and to what cause."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardDone:
    num_kept: int
    num_dropped: int
    losses: dict[str, str]
    """Key -> cause, of what was dropped for a cause that may not come again."""


def build(
    recipe: Recipe,
    out_dir: str | Path,
    *,
    num_workers: int = 1,
    executor: Executor | None = None,
    like: str | Path | None = None,
    say: Say | None = None,
) -> dict[str, Any]:
    """Make the dataset, or what is missing of it; returns the manifest. Progress goes to `say` (default: stderr).

    `like`: the folder of an earlier build of the same recipe. What was dropped there because of time, memory or an
    unstable result is dropped here, so that the bytes are the same.
    """
    say = say or _say_on_stderr
    executor = executor or executor_for(num_workers)
    folder = Path(out_dir).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, recipe)
    if (folder / MANIFEST).exists():
        return _finished(folder, say, "is complete")
    _guard(recipe)  # a bad path is said now, not in a worker
    for source in recipe.sources:
        source.prepare(folder, say)
    ledger = Ledger(folder / LEDGER)
    known = None if like is None else _ledger_like(Path(like), recipe)
    with ledger.kept_alive():
        _make_parts(folder, recipe, executor, ledger, known, say)
        _finish_once(folder, recipe, executor, ledger, say)
    return _finished(folder, say, "is done")


def make_part(job: ShardJob) -> ShardDone:
    """Make the part of one shard; called in a worker."""
    recipe, tally = job.recipe, Tally()
    fix_addresses()
    guard = dataclasses.replace(_guard(recipe), lost=job.lost)
    shard = Shard(folder=job.folder, number=job.shard, count=recipe.num_shards, max_frames=recipe.max_frames)
    stage = clean(plan(recipe, shard), guard, tally)
    rows = kept(recorded(stage, recipe), recipe, guard, tally)
    num_kept = write_part(job.folder, job.shard, rows, tally, with_signatures=recipe.near_duplicates is not None)
    return ShardDone(num_kept=num_kept, num_dropped=tally.dropped.total(), losses=tally.losses)


@lru_cache(maxsize=1)
def _guard(recipe: Recipe) -> Guard:
    held = heldout_keys(Path(recipe.heldout)) if recipe.heldout else frozenset()
    return Guard(heldout=held, detector=Detector(read_items(recipe.benchmarks)), any_licence=recipe.any_licence)


def _claim(folder: Path, recipe: Recipe) -> None:
    """Write the recipe into the folder, or find the same one there."""
    if not (folder / RECIPE).exists():
        if any(folder.glob("shard-*.parquet")):
            raise ConfigError(f"{folder} holds shards but no {RECIPE}", fix="choose another folder")
        with replacing(folder / RECIPE) as partial:
            partial.write_text(json.dumps(recipe.to_dict(), indent=1) + "\n")
    _check_same(folder, recipe, fix="choose another folder, or go on with the old recipe")


def _check_same(folder: Path, recipe: Recipe, *, fix: str) -> None:
    path = folder / RECIPE
    try:
        there = Recipe.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, ConfigError) as exc:
        raise DataError(f"{path} is not a recipe of this version: {exc}", fix="choose another folder") from exc
    pairs = ((key, *(attrgetter(key)(each) for each in (there, recipe))) for key in keys_of(recipe))
    if differing := [f"{key} ({theirs!r}, now {mine!r})" for key, theirs, mine in pairs if theirs != mine]:
        raise ConfigError(f"{folder} was begun with another recipe: {', '.join(differing)}", fix=fix)


def _ledger_like(folder: Path, recipe: Recipe) -> Ledger:
    _check_same(folder, recipe, fix="name the folder of an earlier build of this recipe")
    if not (folder / LEDGER).exists():
        raise DataError(f"{folder} has no {LEDGER}", fix="name the folder of an earlier build of this recipe")
    return Ledger(folder / LEDGER)


def _make_parts(
    folder: Path, recipe: Recipe, executor: Executor, ledger: Ledger, known: Ledger | None, say: Say
) -> None:
    """All parts that are not there; those that other processes are at are waited for."""
    shards = range(recipe.num_shards)
    ledger.add(shards)
    (folder / PARTS).mkdir(exist_ok=True)
    for shard in sorted(ledger.done().intersection(shards)):
        if not all(path.exists() for path in part_paths(folder / PARTS, shard)):
            ledger.reopen(shard)
    if there := len(ledger.done().intersection(shards)):
        say(f"{there} of {len(shards)} shards are there already")

    def jobs() -> Iterator[ShardJob]:
        while (shard := ledger.take(shards)) is not None:
            lost = ledger.losses(shard) | (known.losses(shard) if known else {})
            yield ShardJob(recipe=recipe, folder=folder, shard=shard, lost=lost)

    progress = _Progress(len(shards), say)
    while len(ledger.done().intersection(shards)) < len(shards):
        for job, done in executor.map(make_part, jobs()):
            ledger.finish(job.shard, done.losses)
            progress.tell(job.shard, done, len(ledger.done().intersection(shards)))
        if len(ledger.done().intersection(shards)) < len(shards):
            time.sleep(WAIT_S)


def _finish_once(folder: Path, recipe: Recipe, executor: Executor, ledger: Ledger, say: Say) -> None:
    """Make the shards, unless another process does."""
    last = range(recipe.num_shards, recipe.num_shards + 1)
    ledger.add(last)
    while not (folder / MANIFEST).exists():
        if ledger.take(last) is None:
            time.sleep(WAIT_S)
            continue
        manifest = finish(folder, recipe, executor, say)
        with replacing(folder / MANIFEST) as partial:
            partial.write_text(json.dumps(manifest, indent=1) + "\n")


def _finished(folder: Path, say: Say, what: str) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    for left in folder.glob(".*.part"):  # by a process that was killed while it wrote
        left.unlink(missing_ok=True)
    say(f"{folder} {what}: {manifest['num_traces']:,} traces, {manifest['num_frames']:,} frames")
    return manifest


class _Progress:
    """A line for each shard, with the rate and the time that is left."""

    def __init__(self, num_shards: int, say: Say) -> None:
        self._num_shards = num_shards
        self._say = say
        self._started = time.monotonic()
        self._made = self._kept = self._dropped = self._lost = 0

    def tell(self, shard: int, done: ShardDone, num_done: int) -> None:
        self._made += 1
        self._kept += done.num_kept
        self._dropped += done.num_dropped
        self._lost += len(done.losses)
        seconds = time.monotonic() - self._started
        left_s = seconds / self._made * (self._num_shards - num_done)
        total = max(1, self._kept + self._dropped)
        self._say(
            f"shard {shard:05d}  {num_done}/{self._num_shards}  {self._kept:,} traces  {self._kept / seconds:.0f} "
            f"traces/s  dropped {self._dropped / total:.0%} (unstable, time, memory ... {self._lost / total:.1%})  "
            f"eta {_clock(left_s)}"
        )


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02d}m{seconds:02d}s"


def _say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

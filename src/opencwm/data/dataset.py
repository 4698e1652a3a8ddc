"""A dataset on disk, as `data.build` leaves it.

DIR/shard-00000.parquet ...   traces, in the order of the curriculum
DIR/manifest.json             written last: its presence says that the dataset is whole
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opencwm.errors import DataError
from opencwm.trace.files import Row, read_rows
from opencwm.trace.text import render_text


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a finished dataset holds; a DataError where it is none, or not finished."""
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        manifest["shards"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        fix = "build it with `opencwm data build`, which can be called again to go on"
        raise DataError(f"{folder} is not a finished dataset: {path.name} cannot be read ({exc})", fix=fix) from exc
    return manifest


def shards_of(folder: Path) -> list[Path]:
    """The shards that are there, of a finished or unfinished dataset; a DataError where there is none."""
    shards = sorted(folder.glob("shard-*.parquet"))
    if not shards:
        raise DataError(f"{folder} is not a dataset: it has no shards", fix="make one: opencwm data build")
    return shards


def peek(folder: Path, count: int, seed: int) -> list[Row]:
    """At most `count` rows of one shard, both drawn at random; only that shard is read."""
    rng = random.Random(seed)
    shards = shards_of(folder)
    for shard in rng.sample(shards, len(shards)):
        if rows := list(read_rows(shard)):
            return rng.sample(rows, min(count, len(rows)))
    return []


def sample(folder: Path, count: int, seed: int) -> Iterator[Row]:
    """About `count` rows, as many from each shard; all of them where there are fewer."""
    rng = random.Random(seed)
    shards = shards_of(folder)
    share = -(-count // len(shards))
    for shard in shards:
        rows = list(read_rows(shard))
        yield from rng.sample(rows, min(share, len(rows)))


def sample_texts(folder: Path, count: int, seed: int) -> Iterator[str]:
    """The text form of a sample, to learn a tokenizer from; traces that contain special tokens have none."""
    for row in sample(folder, count, seed):
        try:
            yield render_text(row.trace)
        except DataError:
            continue

"""What a dataset holds, asked of its shards in SQL (DuckDB): `dataset_stats(folder)`.

    shards --DuckDB--> counts by source, outcome and event, lengths, packages, duplicates

Only the columns that a question is about are read. Left out: exact numbers of tokens, which depend on a tokenizer; the
manifest has the build's estimate.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opencwm.data.dataset import read_manifest
from opencwm.errors import ConfigError, DataError, boundary

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
TOP_PACKAGES = 20
BY_SOURCE = """
SELECT split_part(source, ' ', 1) AS kind, count(*) AS traces, sum(num_frames) AS frames,
       median(num_frames) AS median_frames
FROM shards GROUP BY kind ORDER BY traces DESC, kind
"""
BY_OUTCOME = "SELECT outcome, count(*) AS traces FROM shards GROUP BY outcome ORDER BY traces DESC, outcome"
BY_EVENT = """
SELECT event, count(*) AS frames
FROM (SELECT unnest(list_transform(frames, lambda frame: frame.event)) AS event FROM shards)
GROUP BY event ORDER BY frames DESC, event
"""
LENGTHS = """
SELECT CAST(pow(2, floor(log2(greatest(num_frames, 1)))) AS BIGINT) AS from_frames, count(*) AS traces
FROM shards GROUP BY from_frames ORDER BY from_frames
"""
FRAMES = "SELECT min(num_frames), {quantiles}, max(num_frames) FROM shards"
PACKAGES = """
SELECT package, version, licence, count(*) AS traces FROM shards WHERE package != ''
GROUP BY ALL ORDER BY traces DESC, package, version LIMIT ?
"""
DUPLICATES = """
SELECT count(*) - count(DISTINCT trace_id) AS trace_ids,
       count(*) - count(DISTINCT header ->> '$.context') AS programs_with_input
FROM shards
"""


def dataset_stats(folder: str | Path) -> dict[str, Any]:
    """Tables as lists of rows, by name; a DataError where the folder is not a finished dataset."""
    folder = Path(folder)
    manifest = read_manifest(folder)
    files = [str(folder / shard["file"]) for shard in manifest["shards"]]
    with boundary(DataError, f"{folder} cannot be queried"):
        db = _duckdb().connect()
        db.read_parquet(files, union_by_name=True).create_view("shards")
        columns = {row[0] for row in db.sql("DESCRIBE shards").fetchall()}
        quantiles = ", ".join(f"CAST(quantile_disc(num_frames, {share}) AS BIGINT)" for share in QUANTILES)
        names = ("min", *(f"p{share * 100:g}" for share in QUANTILES), "max")
        return {
            "by_source": _rows(db, BY_SOURCE),
            "by_outcome": _rows(db, BY_OUTCOME),
            "by_event": _rows(db, BY_EVENT),
            "frames": dict(zip(names, db.execute(FRAMES.format(quantiles=quantiles)).fetchone(), strict=True)),
            "lengths": _rows(db, LENGTHS),
            "packages": _rows(db, PACKAGES, (TOP_PACKAGES,)) if "package" in columns else [],
            "duplicates": _rows(db, DUPLICATES)[0],
        }


def _rows(db: Any, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    answer = db.execute(query, parameters)
    names = [column[0] for column in answer.description]
    return [dict(zip(names, map(_plain, row), strict=True)) for row in answer.fetchall()]


def _plain(value: Any) -> Any:
    """DuckDB sums whole numbers as wider types than JSON knows."""
    return value if value is None or isinstance(value, str | float) else int(value)


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as exc:
        raise ConfigError("statistics of a dataset need DuckDB", fix="pip install 'opencwm[query]'") from exc
    return duckdb

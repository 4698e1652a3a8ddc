"""Shards of pairs: Parquet files with one row per pair."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencwm.errors import ConfigError, DataError, boundary
from opencwm.trace.files import ABOUT, replacing

CONFIG = "view.json"
"""What was derived, of what; tells the folder of a view from one of traces."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """A row of a derived shard."""

    trace_id: str
    number: int
    """From 0, of the pairs of one trace."""
    source: str
    prompt: str
    completion: str
    answer: str | None
    package: str = ""
    """Whose code it is about, as in the trace's row."""
    version: str = ""
    licence: str = ""


def write_pairs(path: Path, rows: Sequence[Derived], *, info: dict[str, Any]) -> None:
    """Write a derived shard whole; `info` is kept in its footer."""
    pa, parquet = _pyarrow()
    with replacing(path) as partial_path:
        table = pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], schema=_schema(info))
        parquet.write_table(table, partial_path, compression="zstd")


def read_pairs(path: Path) -> Iterator[Derived]:
    """The rows of a derived shard. Raises DataError where it is none."""
    _, parquet = _pyarrow()
    if not path.is_file():
        raise DataError(f"{path} cannot be read: there is no such file")
    with boundary(DataError, f"{path} cannot be read as pairs in Parquet"), parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            for data in file.read_row_group(group).to_pylist():
                yield Derived(**data)


def is_derived(folder: Path) -> bool:
    """Whether a folder holds a view, not traces."""
    return (folder / CONFIG).exists()


def pairs_info(path: Path) -> dict[str, Any]:
    _, parquet = _pyarrow()
    with boundary(DataError, f"{path} cannot be read as pairs in Parquet"):
        file = parquet.ParquetFile(path)
        told: dict[str, Any] = json.loads(file.schema_arrow.metadata[b"opencwm"])
        return told | {"num_pairs": file.metadata.num_rows}


def _schema(info: dict[str, Any]) -> Any:
    pa, _ = _pyarrow()
    text = pa.string()
    columns = {"trace_id": text, "number": pa.int32(), "source": text, "prompt": text, "completion": text}
    return pa.schema({**columns, "answer": text, **dict.fromkeys(ABOUT, text)}.items()).with_metadata(
        {b"opencwm": json.dumps(info).encode()}
    )


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError as exc:
        raise ConfigError("Parquet files need pyarrow", fix="pip install 'opencwm[data]'") from exc
    return pa, parquet

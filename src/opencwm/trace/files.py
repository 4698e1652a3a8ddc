"""Trace files: JSON lines (gzipped by suffix) and Parquet.

    traces --write_traces--> run.jsonl | run.jsonl.gz | run.parquet --read_traces--> traces

A JSON-lines file has one trace object per line, as the recorder prints it. A Parquet file has one row per trace, with
an identity and where the program is from beside it, and may carry one JSON object about the whole file. Every file
appears under its name only when it is complete, and the same traces give the same bytes.

Readers are lazy and strict: what is not a trace is a DataError with file, line and byte, never a shorter result.
"""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from opencwm.errors import ConfigError, DataError, boundary
from opencwm.trace.recording.frame import FORMAT, Frame, Locals, Trace, dump
from opencwm.trace.stream import encodable

if TYPE_CHECKING:
    import pyarrow as pa

INFO_KEY = b"opencwm"
ROWS_PER_GROUP = 256
ABOUT = ("package", "version", "licence")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A trace in a Parquet file."""

    trace_id: str
    """Unique in its dataset."""
    source: str
    """Where the program is from, in words."""
    trace: Trace
    package: str = ""
    """Whose code is traced, in which version and under which licence; "" for programs of our own."""
    version: str = ""
    licence: str = ""

    @classmethod
    def of(cls, trace: Trace, *, source: str = "") -> "Row":
        """A row whose identity is what was recorded."""
        digest = hashlib.sha256(trace.to_json().encode("utf-8", errors="surrogatepass"))
        return cls(trace_id=digest.hexdigest()[:32], source=source, trace=trace)


def read_traces(path: str | Path) -> Iterator[Trace]:
    """The traces of a file, one after the other; its suffix says which kind it is."""
    path = Path(path)
    return read_parquet(path) if path.suffix == ".parquet" else read_jsonl(path)


def write_traces(path: str | Path, traces: Iterable[Trace]) -> None:
    path = Path(path)
    if path.suffix == ".parquet":
        write_parquet(path, (Row.of(trace) for trace in traces))
    else:
        write_jsonl(path, traces)


def write_jsonl(path: str | Path, traces: Iterable[Trace]) -> None:
    with replacing(Path(path)) as partial, open(partial, "wb") as raw:
        if Path(path).suffix != ".gz":
            _write_lines(raw, traces)
            return
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
            _write_lines(cast(IO[bytes], packed), traces)


def _write_lines(file: IO[bytes], traces: Iterable[Trace]) -> None:
    for trace in traces:
        file.write(trace.to_json().encode("utf-8") + b"\n")


def read_jsonl(path: str | Path) -> Iterator[Trace]:
    path = Path(path)
    byte = 0
    for number, line in enumerate(_lines(path), start=1):
        yield _trace_of_line(line, path, number, byte)
        byte += len(line)


def _lines(path: Path) -> Iterator[bytes]:
    number, byte = 1, 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                yield line
                number, byte = number + 1, byte + len(line)
    except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
        raise DataError(f"{path}, line {number}, byte {byte}: the gzip data is cut or damaged: {exc}") from exc
    except OSError as exc:
        raise DataError(f"{path} cannot be read: {exc.strerror or exc}") from exc


def _trace_of_line(line: bytes, path: Path, number: int, start: int) -> Trace:
    try:
        trace = Trace.from_json(line.removesuffix(b"\n").decode("utf-8"))
        check_trace(trace)
    except UnicodeDecodeError as exc:
        raise DataError(f"{path}, line {number}, byte {start + exc.start}: not UTF-8") from exc
    except json.JSONDecodeError as exc:
        byte = start + len(exc.doc[: exc.pos].encode("utf-8"))
        what = "the line is cut off" if not line.endswith(b"\n") else f"not JSON: {exc.msg}"
        raise DataError(f"{path}, line {number}, byte {byte}: {what}", fix="record the trace again") from exc
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as exc:
        raise DataError(f"{path}, line {number}, byte {start}: JSON, but not a trace: {_reason(exc)}") from exc
    return trace


def check_trace(trace: Trace) -> None:
    """Raise where a trace has a part of the wrong type; `Trace.from_json` looks at their presence only."""
    version = trace.header.get("format", FORMAT)
    if version != FORMAT:
        raise ValueError(f"its format is {version!r}, and this version reads {FORMAT}")
    for key in ("context", "outcome"):
        _is_text(trace.header[key], f"header's {key}")
    for index, frame in enumerate(trace.frames):
        _is_text(frame.source_line, f"source_line of frame {index}")
        if frame.event in ("return", "exception"):
            _is_text(frame.value, f"value of frame {index}")
        elif not isinstance(frame.locals, Locals):
            raise TypeError(f"frame {index} has no locals")
        else:
            for text in frame.locals.set.values():
                _is_text(text, f"a local of frame {index}")


def _is_text(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"the {what} is not a text")


def _reason(exc: Exception) -> str:
    return f"{exc.args[0]!r} is missing" if isinstance(exc, KeyError) else str(exc)


def write_parquet(path: str | Path, rows: Iterable[Row], *, info: Mapping[str, Any] | None = None) -> None:
    """Write rows a group at a time; `info` is kept in the file for `parquet_info`."""
    pa, parquet = _pyarrow()
    schema = _schema().with_metadata({INFO_KEY: dump(dict(info or {})).encode("utf-8")})
    with replacing(Path(path)) as partial, parquet.ParquetWriter(partial, schema, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist([_row_to_dict(row) for row in group], schema=schema))


def read_parquet(path: str | Path) -> Iterator[Trace]:
    return (row.trace for row in read_rows(path))


def read_rows(path: str | Path) -> Iterator[Row]:
    """The rows of a Parquet file, a group at a time."""
    _, parquet = _pyarrow()
    if not Path(path).is_file():
        raise DataError(f"{path} cannot be read: there is no such file")
    with boundary(DataError, f"{path} cannot be read as traces in Parquet"), parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            for data in file.read_row_group(group).to_pylist():
                trace = Trace(json.loads(data["header"]), [_frame_of_dict(frame) for frame in data["frames"]])
                check_trace(trace)
                about = {name: data.get(name) or "" for name in ABOUT}
                yield Row(trace_id=data["trace_id"], source=data["source"], trace=trace, **about)


def parquet_info(path: str | Path) -> dict[str, Any]:
    """The object given to `write_parquet` as `info`; {} where there is none."""
    _, parquet = _pyarrow()
    with boundary(DataError, f"{path} cannot be read as traces in Parquet"):
        info: dict[str, Any] = json.loads((parquet.read_schema(path).metadata or {}).get(INFO_KEY, b"{}"))
    return info


def parquet_column(path: str | Path, name: str) -> list[Any]:
    """One column of a Parquet file; the others are not read."""
    _, parquet = _pyarrow()
    with boundary(DataError, f"{path} cannot be read as traces in Parquet"):
        values: list[Any] = parquet.read_table(path, columns=[name])[name].to_pylist()
    return values


def write_table(
    path: Path, rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str], info: Mapping[str, Any]
) -> None:
    """Plain values as a Parquet file, with these columns also where there are no rows; `info` is for `parquet_info`."""
    pa, parquet = _pyarrow()
    table = pa.table({name: [row[name] for row in rows] for name in columns})
    table = table.replace_schema_metadata({INFO_KEY: dump(dict(info)).encode("utf-8")})
    with replacing(path) as partial:
        parquet.write_table(table, partial)


def read_table(path: Path) -> list[dict[str, Any]]:
    """What `write_table` has written."""
    _, parquet = _pyarrow()
    with boundary(DataError, f"{path} cannot be read as Parquet"):
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def copy_parquet(source: Path, target: Path, keep: Sequence[bool], *, info: Mapping[str, Any]) -> None:
    """The rows of `source` for which `keep` is true, with another `info`; no trace is parsed."""
    pa, parquet = _pyarrow()
    table = parquet.read_table(source, schema=_schema()).filter(pa.array(keep, pa.bool_()))
    table = table.replace_schema_metadata({INFO_KEY: dump(dict(info)).encode("utf-8")})
    with replacing(target) as partial:
        parquet.write_table(table, partial, row_group_size=ROWS_PER_GROUP, compression="zstd")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it when the block ends well and removed when it does not."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as exc:
        raise DataError(f"{path} cannot be written: {exc.strerror or exc}") from exc
    finally:
        partial.unlink(missing_ok=True)


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    for row in rows:
        group.append(row)
        if len(group) == ROWS_PER_GROUP:
            yield group
            group = []
    if group:
        yield group


def _row_to_dict(row: Row) -> dict[str, Any]:
    trace = row.trace
    return {
        "trace_id": row.trace_id,
        "source": encodable(row.source),
        "header": dump(trace.header),
        "outcome": trace.outcome,
        "num_frames": len(trace.frames),
        "frames": [_frame_to_dict(frame) for frame in trace.frames],
        **{name: encodable(getattr(row, name)) for name in ABOUT},
    }


def _frame_to_dict(frame: Frame) -> dict[str, Any]:
    data = frame.to_dict()
    if frame.locals is not None:
        data["locals"] = dump(data["locals"])
    if frame.value is not None:
        data["value"] = encodable(frame.value)
    data["source_line"] = encodable(frame.source_line)
    return data


def _frame_of_dict(data: dict[str, Any]) -> Frame:
    present = {name: value for name, value in data.items() if value is not None}
    if "locals" in present:
        present["locals"] = json.loads(present["locals"])
    return Frame.from_dict(present)


def _schema() -> "pa.Schema":
    pa, _ = _pyarrow()
    text, number = pa.string(), pa.int32()
    frame = {"event": text, "cause": text, "depth": number, "file": text, "line_no": number, "source_line": text}
    row = {"trace_id": text, "source": text, "header": text, "outcome": text, "num_frames": number}
    frames = pa.list_(pa.struct({**frame, "locals": text, "value": text}))
    return pa.schema({**row, "frames": frames, **dict.fromkeys(ABOUT, text)}.items())


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError as exc:
        raise ConfigError("Parquet files need pyarrow", fix="pip install 'opencwm[data]'") from exc
    return pa, parquet

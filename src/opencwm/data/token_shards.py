"""Token shards: documents as token ids, which a loader reads without a tokenizer.

    DIR/shard-00000.parquet ...   one row per document: `tokens`, `num_tokens`, `messages`
    DIR/manifest.json             written last: what there is of each row group, and whose tokens these are

`tokens` is a list of int32, markup and special tokens included, never fewer than two. `messages` says who wrote the
document, in order: {`author`, `num_tokens`, `is_trained`}, whose lengths add up to the document's. A message is stored
once, as the tokens that it added; nothing is tokenised again. What the environment wrote in an agent's trajectory has
the author `environment`: a loader may train on a part of it only (CWM, arXiv 2510.02387, section 2.3).

Documents of about the same length share a row group: a group holds inputs (tokens but the last) from more than 2^(k-1)
to 2^k, so that length buckets are made of whole groups. A group is what is read at once.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from opencwm.data.dataset import read_manifest
from opencwm.data.pack import Tokens
from opencwm.errors import ConfigError, DataError, boundary
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import replacing

KIND = "tokens"
ENVIRONMENT = "environment"
GROUP_TOKENS = 1 << 18
"""Tokens of a row group, about: 1 MB."""
OPEN_FILES = 16
"""Shards of one dataset whose footers are kept."""
SHORTEST_CLASS = 7
"""Documents of up to 2^7 inputs share row groups."""


@dataclass(frozen=True, slots=True)
class Message:
    """A part of a document."""

    author: str
    """text, context, trace, system, user, assistant, agent, environment, or what else a dataset calls them."""
    num_tokens: int
    is_trained: bool
    """Whether it is trained on at all."""


@dataclass(frozen=True, slots=True)
class TokenDocument:
    tokens: Tokens
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """What is known of documents that are read together."""

    shard: int
    num_documents: int
    num_tokens: int
    longest: int | None
    """No document has more tokens, and in token shards about none has fewer than half; None: not known."""


def length_class(num_tokens: int) -> int:
    """The k for which the inputs of a document, one fewer than its tokens, are more than 2^(k-1) and at most 2^k."""
    return max(SHORTEST_CLASS, (num_tokens - 2).bit_length())


def write_shard(path: Path, documents: Iterable[TokenDocument]) -> list[dict[str, int]]:
    """Write a shard whole; returns what the manifest says about its row groups. Left out: documents of one token."""
    _, parquet = _pyarrow()
    told: list[dict[str, int]] = []
    waiting: dict[int, list[TokenDocument]] = {}
    sizes: dict[int, int] = {}

    def flush(length: int) -> None:
        group = waiting.pop(length)
        writer.write_table(_table(group))
        told.append(
            {
                "num_documents": len(group),
                "num_tokens": sizes.pop(length),
                "longest": max(len(document.tokens) for document in group),
            }
        )

    with replacing(path) as partial, parquet.ParquetWriter(partial, _schema(), compression="zstd") as writer:
        for document in documents:
            if len(document.tokens) < 2:
                continue
            length = length_class(len(document.tokens))
            waiting.setdefault(length, []).append(document)
            sizes[length] = sizes.get(length, 0) + len(document.tokens)
            if sizes[length] >= GROUP_TOKENS:
                flush(length)
        for length in sorted(waiting):
            flush(length)
        writer.add_key_value_metadata({"opencwm": json.dumps({"groups": told})})
    return told


def shard_groups(path: Path) -> list[dict[str, int]]:
    """What `write_shard` returned."""
    _, parquet = _pyarrow()
    with boundary(DataError, f"{path} cannot be read as token shard"):
        groups: list[dict[str, int]] = json.loads(parquet.read_metadata(path).metadata[b"opencwm"])["groups"]
    return groups


def write_manifest(
    folder: Path,
    shards: Mapping[str, Sequence[Mapping[str, int]]],
    tokenizer: Tokenizer,
    *,
    in_order: bool,
) -> dict[str, Any]:
    """Finish a folder of token shards. `in_order`: the order of the shards is a curriculum."""
    groups = [group for told in shards.values() for group in told]
    manifest = {
        "format": 1,
        "kind": KIND,
        "tokenizer": tokenizer.digest,
        "in_order": in_order,
        "num_documents": sum(group["num_documents"] for group in groups),
        "num_tokens": sum(group["num_tokens"] for group in groups),
        "shards": [{"file": name, "groups": list(told)} for name, told in shards.items()],
    }
    with replacing(folder / "manifest.json") as partial:
        partial.write_text(json.dumps(manifest) + "\n", encoding="utf-8")
    return manifest


class TokenRows:
    """The documents of a row group: their lengths at once, their tokens when the first is asked for."""

    def __init__(self, read: Callable[[list[str]], Any]) -> None:
        """`read(columns)` is the group as a table."""
        self._read = read
        self._lengths: list[int] = read(["num_tokens"])["num_tokens"].to_pylist()
        self._tokens: Tokens | None = None
        self._ends: list[int] = []
        self._messages: list[Message] = []
        self._message_ends: list[int] = []

    def __len__(self) -> int:
        return len(self._lengths)

    def num_tokens(self, row: int) -> int:
        return self._lengths[row]

    def document(self, row: int) -> TokenDocument:
        if self._tokens is None:
            table = self._read(["tokens", "messages"]).combine_chunks()
            tokens, messages = (table[name].chunk(0) for name in ("tokens", "messages"))
            self._tokens, self._ends = tokens.values.to_numpy(), tokens.offsets.to_pylist()
            fields = [field.to_pylist() for field in messages.values.flatten()]
            self._messages = [Message(*values) for values in zip(*fields, strict=True)]
            self._message_ends = messages.offsets.to_pylist()
        messages = self._messages[self._message_ends[row] : self._message_ends[row + 1]]
        return TokenDocument(self._tokens[self._ends[row] : self._ends[row + 1]], tuple(messages))


class TokenShards:
    """A finished folder of token shards. Raises ConfigError where another tokenizer made it."""

    def __init__(self, folder: Path, tokenizer: Tokenizer) -> None:
        manifest = read_manifest(folder)
        if manifest.get("tokenizer") != tokenizer.digest:
            raise ConfigError(
                f"{folder} holds tokens of another tokenizer", fix="make it again: opencwm data tokens --tokenizer ..."
            )
        self._file = lru_cache(maxsize=OPEN_FILES)(_pyarrow()[1].ParquetFile)
        with boundary(DataError, f"{folder / 'manifest.json'} is not that of token shards"):
            shards = manifest["shards"]
            self.in_order: bool = manifest["in_order"]
            self.groups = [Group(shard, **told) for shard, each in enumerate(shards) for told in each["groups"]]
            self._places = [(folder / each["file"], i) for each in shards for i in range(len(each["groups"]))]

    def read(self, group: int) -> TokenRows:
        path, number = self._places[group]

        def table(columns: list[str]) -> Any:
            with boundary(DataError, f"{path}, row group {number}, cannot be read as token shard"):
                return self._file(path).read_row_group(number, columns=columns)

        rows = TokenRows(table)
        if len(rows) != self.groups[group].num_documents:
            raise DataError(f"{path}, row group {number}, is not the one that the manifest is about")
        return rows


def _table(documents: Sequence[TokenDocument]) -> Any:
    pa, _ = _pyarrow()
    schema = _schema()
    ends = np.cumsum([0, *(len(document.tokens) for document in documents)], dtype=np.int32)
    tokens = pa.ListArray.from_arrays(ends, pa.array(np.concatenate([each.tokens for each in documents])))
    messages = [[asdict(message) for message in document.messages] for document in documents]
    return pa.Table.from_arrays(
        [tokens.cast(schema.field("tokens").type), pa.array(np.diff(ends)), pa.array(messages, schema.field(2).type)],
        schema=schema,
    )


def _schema() -> Any:
    pa, _ = _pyarrow()
    message = pa.struct({"author": pa.string(), "num_tokens": pa.int32(), "is_trained": pa.bool_()}.items())
    return pa.schema({"tokens": pa.list_(pa.int32()), "num_tokens": pa.int32(), "messages": pa.list_(message)}.items())


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError as exc:
        raise ConfigError("Parquet files need pyarrow", fix="pip install 'opencwm[data]'") from exc
    return pa, parquet

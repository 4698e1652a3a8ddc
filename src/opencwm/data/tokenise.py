"""Texts, chats, trajectories, traces and views as token shards: `opencwm data tokens SOURCE... -o DIR`.

    files, dataset folders --jobs--> one shard each --Executor--> DIR/shard-*.parquet --> DIR/manifest.json

A shard is a pure function of its job, written whole: the work can be killed at any moment and goes on where it was.
What is read, by what it is:

    a dataset of traces     a document per trace, loss on the frames
    a view (`data derive`)  a question and its answer as a chat, loss on the answer
    *.jsonl[.gz]            an object per line: {"text": ...}, {"messages": [{"role", "content"}, ...]}, or
                            {"trajectory": [{"author", "tokens"}, ...]}, whose token ids are taken as they are
    any other file          one text

A chat has CWM's format (`opencwm.chat`) and its loss on what the assistant writes. A message may say otherwise with
`trained`, and who it is from with `author`: an agent's trajectory has `agent` and `environment`, and both are trained
on (CWM, arXiv 2510.02387, section 2.3). Special tokens in a text are ordinary characters, but for the two around
reasoning in what an assistant or an agent writes.
"""

import gzip
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opencwm.chat import has_chat, header
from opencwm.data.dataset import read_manifest
from opencwm.data.documents import document_of
from opencwm.data.token_shards import (
    ENVIRONMENT,
    KIND,
    Message,
    TokenDocument,
    shard_groups,
    write_manifest,
    write_shard,
)
from opencwm.data.views.files import is_derived, read_pairs
from opencwm.errors import ConfigError, DataError
from opencwm.executors import Executor, Inline
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import read_parquet, replacing
from opencwm.trace.stream import Special, encodable, split_specials

CONFIG = "tokens.json"
"""What a folder is made of, so that it goes on only as it was begun."""
SHARD_BYTES = 1 << 26
"""Of small files in one shard, about."""
WRITERS = ("assistant", "agent")
"""Whose messages are trained on, and may hold the special tokens of reasoning."""
REASONING = (Special.REASONING_THINKING_START, Special.REASONING_THINKING_END)

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokensConfig:
    sources: tuple[Path, ...]
    """Dataset folders, views, files, and folders of files."""
    tokenizer: Path
    suffixes: tuple[str, ...] = (".py", ".md", ".rst", ".txt", ".jsonl", ".gz")
    """Of the files that are taken from folders."""
    in_order: bool = False
    """Whether the order of the sources, and of a dataset's shards, is a curriculum that a loader keeps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """All that a worker needs to write one shard."""

    kind: str
    """traces, pairs or files."""
    paths: tuple[Path, ...]
    tokenizer: Path
    out: Path


def tokenise(
    config: TokensConfig, out: Path, *, executor: Executor | None = None, say: Say = lambda line: None
) -> dict[str, Any]:
    """Write the token shards of some sources, or what is missing of them; returns the manifest.

    Raises ConfigError where a source is nothing that can be read, or DIR was begun with something else; DataError for a
    file that is not what its name says."""
    tokenizer = Tokenizer.load(config.tokenizer)
    jobs = list(plan(config, out))
    if not jobs:
        raise ConfigError(f"{config.sources[0]} holds no files to read", fix=f"they end in {' '.join(config.suffixes)}")
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, {"tokenizer": tokenizer.digest, "in_order": config.in_order, "jobs": _digest(jobs)})
    if (out / "manifest.json").exists():
        say(f"{out} is complete")
        return read_manifest(out)
    missing = [job for job in jobs if not job.out.exists()]
    if len(missing) < len(jobs):
        say(f"{len(jobs) - len(missing)} of {len(jobs)} shards are there already")
    started, num_tokens = time.monotonic(), 0
    for done, (job, count) in enumerate((executor or Inline()).map(write_job, missing), 1):
        num_tokens += count
        seconds = time.monotonic() - started
        say(
            f"{job.out.name}  {done}/{len(missing)}  {num_tokens / 1e6:.2f}M tokens  {num_tokens / seconds:,.0f} tok/s"
            f"  eta {seconds / done * (len(missing) - done) / 60:.0f} min"
        )
    told = {job.out.name: shard_groups(job.out) for job in jobs}
    return write_manifest(out, told, tokenizer, in_order=config.in_order)


def plan(config: TokensConfig, out: Path) -> Iterator[Job]:
    """The shards that there will be, in order."""
    found: list[tuple[str, tuple[Path, ...]]] = []
    files: list[Path] = []
    for source in config.sources:
        if not source.exists():
            raise ConfigError(f"{source} does not exist", fix="name dataset folders, files, or folders of files")
        if (source / "manifest.json").exists():
            kind = "pairs" if is_derived(source) else "traces"
            manifest = read_manifest(source)
            if manifest.get("kind") == KIND:
                raise ConfigError(f"{source} holds tokens already", fix="name it in the mix of a stage")
            if manifest.get("view", {}).get("view") in ("debugger", "inverse"):
                raise ConfigError(f"{source} holds a debugger's special tokens, which no tokenizer has yet")
            found += [(kind, (source / each["file"],)) for each in manifest["shards"]]
        elif source.is_dir():
            files += sorted(p for p in source.rglob("*") if p.suffix in config.suffixes and p.is_file())
        else:
            files.append(source)
    found += [("files", group) for group in _groups(files)]
    for number, (kind, paths) in enumerate(found):
        name = f"shard-{number:05d}.parquet"
        yield Job(kind=kind, paths=paths, tokenizer=config.tokenizer, out=out / name)


def write_job(job: Job) -> int:
    """Write one shard; how many tokens it holds. Called in a worker."""
    tokenizer = Tokenizer.load(job.tokenizer)
    groups = write_shard(job.out, _documents(job, tokenizer))
    return sum(group["num_tokens"] for group in groups)


def _documents(job: Job, tokenizer: Tokenizer) -> Iterator[TokenDocument]:
    for path in job.paths:
        if job.kind == "traces":
            yield from (document_of(trace, tokenizer) for trace in read_parquet(path))
        elif job.kind == "pairs":
            for pair in read_pairs(path):
                yield chat_document(
                    [{"role": "user", "content": pair.prompt}, {"role": "assistant", "content": pair.completion}],
                    tokenizer,
                )
        elif ".jsonl" in path.suffixes[-2:]:
            yield from _lines(path, tokenizer)
        elif (text := _text(path)).strip():
            yield text_document(text, tokenizer)


def text_document(text: str, tokenizer: Tokenizer) -> TokenDocument:
    """A text between the tokens that begin and end one, all of it trained on."""
    special = tokenizer.special
    ids = [special["begin_of_text"], *tokenizer.encode(encodable(text)), special["end_of_text"]]
    return TokenDocument(np.asarray(ids, dtype=np.int32), (Message("text", len(ids), True),))


def chat_document(messages: Sequence[Mapping[str, Any]], tokenizer: Tokenizer) -> TokenDocument:
    """A conversation in CWM's chat format; each message is the tokens that it adds. Raises KeyError or TypeError where
    a message has no role or content."""
    if not has_chat(tokenizer):
        raise ConfigError("this tokenizer has no chat tokens", fix="use CWM's, or train one here")
    ids, told = [tokenizer.special["begin_of_text"]], [Message("system", 1, False)]
    for message in messages:
        role, content = message["role"], message["content"]
        if not isinstance(role, str) or not isinstance(content, str):
            raise TypeError("role and content are texts")
        author = message.get("author", role)
        is_writer = author in WRITERS
        is_trained = bool(message.get("trained", is_writer or author == ENVIRONMENT))
        asked = header(role, tokenizer)
        content = content if role.startswith("tool: ") else content.strip()
        written = [*_encode(content, tokenizer, with_reasoning=is_writer), tokenizer.special["eot_id"]]
        ids += asked + written
        told += [Message("system", len(asked), False), Message(author, len(written), is_trained)]
    return TokenDocument(np.asarray(ids, dtype=np.int32), tuple(told))


def trajectory_document(messages: Sequence[Mapping[str, Any]], tokenizer: Tokenizer) -> TokenDocument:
    """Messages that are tokens already, each those that it added. Raises ValueError for an id that is none."""
    added = [np.asarray(message["tokens"], dtype=np.int32) for message in messages]
    told = tuple(
        Message(author, len(ids), bool(message.get("trained", author in (*WRITERS, ENVIRONMENT))))
        for message, ids in zip(messages, added, strict=True)
        for author in [str(message["author"])]
    )
    tokens = np.concatenate(added)
    if len(tokens) and not 0 <= tokens.min() <= tokens.max() < tokenizer.vocab_size:
        last = tokenizer.vocab_size - 1
        raise ValueError(f"token ids go from {tokens.min()} to {tokens.max()}, the tokenizer's to {last}")
    return TokenDocument(tokens, told)


def _encode(text: str, tokenizer: Tokenizer, *, with_reasoning: bool) -> list[int]:
    text = encodable(text)
    if not with_reasoning:
        return tokenizer.encode(text)
    ids: list[int] = []
    for _, piece in split_specials(text):
        if isinstance(piece, Special) and piece in REASONING and piece.key in tokenizer.special:
            ids.append(tokenizer.special[piece.key])
        else:
            ids += tokenizer.encode(piece.value if isinstance(piece, Special) else piece)
    return ids


def _lines(path: Path, tokenizer: Tokenizer) -> Iterator[TokenDocument]:
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield _document(json.loads(line), tokenizer)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as exc:
            raise DataError(
                f"{path}, line {number}: no text, messages or trajectory ({type(exc).__name__}: {exc})",
                fix='a line is {"text": ...}, {"messages": [{"role": ..., "content": ...}]} or '
                '{"trajectory": [{"author": ..., "tokens": [...]}]}',
            ) from exc


def _document(data: Mapping[str, Any], tokenizer: Tokenizer) -> TokenDocument:
    if "text" in data:
        return text_document(data["text"], tokenizer)
    if "trajectory" in data:
        return trajectory_document(data["trajectory"], tokenizer)
    return chat_document(data["messages"], tokenizer)


def _text(path: Path) -> str:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return raw.decode("utf-8", errors="replace")
    except (OSError, EOFError) as exc:
        raise DataError(f"{path} cannot be read: {exc}") from exc


def _groups(files: Iterable[Path]) -> Iterator[tuple[Path, ...]]:
    """Small files together, in order."""
    group: list[Path] = []
    size = 0
    for path in files:
        group.append(path)
        size += path.stat().st_size
        if size >= SHARD_BYTES:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def _digest(jobs: Sequence[Job]) -> str:
    """What the shards are made of: names and sizes of what is read."""
    told = [[job.kind, [[str(path), path.stat().st_size] for path in job.paths]] for job in jobs]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _claim(out: Path, mine: Mapping[str, Any]) -> None:
    """Write down what the folder is made of, or find the same there."""
    path = out / CONFIG
    if not path.exists():
        with replacing(path) as partial:
            partial.write_text(json.dumps(mine) + "\n", encoding="utf-8")
    elif json.loads(path.read_text(encoding="utf-8")) != mine:
        raise ConfigError(f"{out} was begun with other sources or another tokenizer", fix="choose another folder")

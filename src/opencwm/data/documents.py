"""The documents of a dataset folder as a random-access sequence, epoch after epoch, in an order that is never stored.

    DIR --TraceShards | TokenShards--> groups of documents --Documents[i]--> Document

An epoch's order follows from the seed: row groups are shuffled, then the documents within a window of them, so that
going on anywhere reads one window again. Where the order of a dataset's shards is a curriculum, as in those of traces,
shards keep it, and the documents of each are shuffled. No document comes twice in an epoch, and none is left out.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

from opencwm.data.dataset import read_manifest
from opencwm.data.pack import Document
from opencwm.data.token_shards import ENVIRONMENT, KIND, Group, Message, TokenDocument, TokenShards
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import read_parquet
from opencwm.trace.recording.frame import Trace
from opencwm.trace.tokens import render_frames

WINDOW = 32
"""Row groups whose documents are shuffled together."""


class Rows(Protocol):
    """The documents of one group."""

    def num_tokens(self, row: int) -> int: ...

    def document(self, row: int) -> TokenDocument: ...


class Shards(Protocol):
    """A dataset on disk, as groups of documents that are read together."""

    @property
    def in_order(self) -> bool:
        """Whether the order of the shards is a curriculum."""

    @property
    def groups(self) -> Sequence[Group]: ...

    def read(self, group: int) -> Rows: ...


class TraceShards:
    """A finished dataset of traces, tokenised as it is read; each shard is one group. Its curriculum is the order of
    its shards."""

    in_order = True

    def __init__(self, folder: Path, tokenizer: Tokenizer, shards: slice = slice(None)) -> None:
        manifest = read_manifest(folder)
        chosen = manifest["shards"][shards]
        about = manifest.get("estimated_tokens", 0) / max(1, manifest.get("num_traces", 0))
        self.groups = [
            Group(i, each["num_traces"], round(each["num_traces"] * about), None) for i, each in enumerate(chosen)
        ]
        self._paths = [folder / shard["file"] for shard in chosen]
        self._tokenizer = tokenizer

    def read(self, group: int) -> "TraceRows":
        return TraceRows(list(read_parquet(self._paths[group])), self._tokenizer)


class TraceRows:
    def __init__(self, traces: Sequence[Trace], tokenizer: Tokenizer) -> None:
        self._traces = traces
        self._tokenizer = tokenizer
        self._document = lru_cache(maxsize=4096)(self._render)  # a length is asked for before its document

    def num_tokens(self, row: int) -> int:
        return len(self._document(row).tokens)

    def document(self, row: int) -> TokenDocument:
        return self._document(row)

    def _render(self, row: int) -> TokenDocument:
        return document_of(self._traces[row], self._tokenizer)


def document_of(trace: Trace, tokenizer: Tokenizer) -> TokenDocument:
    """A trace as a model trains on it: loss on the frames, none on the context."""
    rendered = render_frames(trace, tokenizer)
    messages = (
        Message("context", rendered.context_end, False),
        Message("trace", len(rendered.ids) - rendered.context_end, True),
    )
    return TokenDocument(np.asarray(rendered.ids, dtype=np.int32), messages)


def open_shards(folder: Path, tokenizer: Tokenizer) -> Shards:
    """Token shards or trace shards, whichever the folder holds."""
    return (TokenShards if read_manifest(folder).get("kind") == KIND else TraceShards)(folder, tokenizer)


class Window:
    """Groups whose documents are shuffled together; each is read when the first of them is asked for."""

    def __init__(self, shards: Shards, groups: Sequence[int], key: Sequence[int]) -> None:
        self._shards = shards
        self._groups = groups
        self._ends = list(accumulate(shards.groups[group].num_documents for group in groups))
        self._order: list[int] = np.random.default_rng(key).permutation(self._ends[-1]).tolist()
        self._rows: dict[int, Rows] = {}

    def locate(self, position: int) -> tuple[Rows, int, int]:
        """The group's documents, the group, and the document in it."""
        place = self._order[position]
        number = bisect_right(self._ends, place)
        if number not in self._rows:
            self._rows[number] = self._shards.read(self._groups[number])
        return self._rows[number], self._groups[number], place - (self._ends[number - 1] if number else 0)


class Documents(Sequence[Document]):
    """The documents of some groups of a dataset, epoch after epoch, each once in every epoch; `epochs` None never ends.

    `key` tells streams of one mix apart. Of what the environment wrote, the share `environment_loss` of the messages is
    trained on, other ones in every epoch; tokens in `never_trained` are only read."""

    def __init__(
        self,
        shards: Shards,
        *,
        seed: int = 0,
        key: tuple[int, ...] = (),
        epochs: float | None = None,
        groups: Sequence[int] | None = None,
        train_on_context: bool = False,
        environment_loss: float = 1.0,
        never_trained: Sequence[int] = (),
    ) -> None:
        self._shards = shards
        self._groups = list(range(len(shards.groups)) if groups is None else groups)
        self._num_documents = sum(shards.groups[group].num_documents for group in self._groups)
        self._end = None if epochs is None else round(epochs * self._num_documents)
        self._key = (seed, *key)
        self._train_on_context = train_on_context
        self._environment_loss = environment_loss
        self._never_trained = list(never_trained)
        self._windows = lru_cache(maxsize=2)(self._windows_of)
        self._window = lru_cache(maxsize=2)(self._window_of)

    def __len__(self) -> int:
        """Documents in one epoch."""
        return self._num_documents

    def num_tokens(self, index: int) -> int:
        rows, _, row = self._locate(index)
        return rows.num_tokens(row)

    @overload
    def __getitem__(self, index: int) -> Document: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Document]: ...

    def __getitem__(self, index: int | slice) -> Document | Sequence[Document]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        rows, group, row = self._locate(index)
        return self._trained(rows.document(row), (*self._key, index // len(self), group, row))

    def _locate(self, index: int) -> tuple[Rows, int, int]:
        if index < 0 or not self._num_documents or (self._end is not None and index >= self._end):
            raise IndexError(index)
        epoch, position = divmod(index, self._num_documents)
        ends = self._windows(epoch)[1]
        number = bisect_right(ends, position)
        return self._window(epoch, number).locate(position - (ends[number - 1] if number else 0))

    def _windows_of(self, epoch: int) -> tuple[list[NDArray[np.int64]], list[int]]:
        """The groups of each window of an epoch, and how many documents there are up to its end."""
        groups = np.asarray(self._groups)
        if self._shards.in_order:
            shards = [self._shards.groups[group].shard for group in self._groups]
            windows = np.split(groups, np.flatnonzero(np.diff(shards)) + 1)
        else:
            shuffled = np.random.default_rng([*self._key, epoch]).permutation(groups)
            windows = [shuffled[i : i + WINDOW] for i in range(0, len(groups), WINDOW)]
        sizes = [sum(self._shards.groups[int(group)].num_documents for group in window) for window in windows]
        return windows, list(accumulate(sizes))

    def _window_of(self, epoch: int, number: int) -> Window:
        groups = [int(group) for group in self._windows(epoch)[0][number]]
        return Window(self._shards, groups, [*self._key, epoch, number])

    def _trained(self, document: TokenDocument, key: tuple[int, ...]) -> Document:
        loss_from, at = 1, 0
        masked: list[tuple[int, int]] = []
        is_theirs = [message.author == ENVIRONMENT for message in document.messages]
        lots = np.random.default_rng(key).random(len(is_theirs)) if any(is_theirs) else np.zeros(len(is_theirs))
        for message, is_environment, lot in zip(document.messages, is_theirs, lots, strict=True):
            is_trained = message.is_trained or (self._train_on_context and message.author == "context")
            if not is_trained or (is_environment and lot >= self._environment_loss):
                if at <= loss_from:
                    loss_from = max(1, at + message.num_tokens)
                else:
                    masked.append((at, at + message.num_tokens))
            at += message.num_tokens
        if self._never_trained:
            places = np.flatnonzero(np.isin(document.tokens, self._never_trained))
            masked += [(int(place), int(place) + 1) for place in places]
        return Document(document.tokens, loss_from, tuple(masked))


def trace_documents(
    folder: Path, tokenizer: Tokenizer, *, shards: slice = slice(None), seed: int = 0, epochs: float | None = None
) -> Documents:
    """The documents of a dataset of traces, or of some of its shards, such as `slice(-1, None)`: the last."""
    return Documents(TraceShards(folder, tokenizer, shards), seed=seed, epochs=epochs)

"""Trace shards as training documents: a random-access sequence, so that a loader's state is a few integers.

    DIR/manifest.json, DIR/*.parquet  --TraceDocuments[i]-->  Document (tokens, where the trained part starts)

Shards are read in their order, since a dataset's curriculum is the order of its shards; inside a shard the order is
shuffled, anew for every epoch.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np

from opencwm.data.dataset import read_manifest
from opencwm.data.pack import Document
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import read_parquet
from opencwm.trace.recording.frame import Trace
from opencwm.trace.tokens import render_frames


class TraceDocuments(Sequence[Document]):
    """The documents of a dataset folder, epoch after epoch; `epochs` None never ends. `shards` takes some of them, such
    as `slice(-1, None)`: the last."""

    def __init__(
        self,
        folder: Path,
        tokenizer: Tokenizer,
        *,
        seed: int = 0,
        epochs: int | None = None,
        train_on_context: bool = False,
        shards: slice = slice(None),
    ) -> None:
        chosen = read_manifest(folder)["shards"][shards]
        self._paths = [folder / shard["file"] for shard in chosen]
        self._ends = np.cumsum([shard["num_traces"] for shard in chosen])
        self._tokenizer = tokenizer
        self._seed = seed
        self._epochs = epochs
        self._train_on_context = train_on_context
        self._shard = lru_cache(maxsize=2)(self._read)

    def _read(self, epoch: int, shard: int) -> list[Trace]:
        traces = list(read_parquet(self._paths[shard]))
        order = np.random.default_rng([self._seed, epoch, shard]).permutation(len(traces))
        return [traces[i] for i in order]

    def __len__(self) -> int:
        """Documents in one epoch."""
        return int(self._ends[-1]) if len(self._ends) else 0

    @overload
    def __getitem__(self, index: int) -> Document: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Document]: ...

    def __getitem__(self, index: int | slice) -> Document | Sequence[Document]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        epoch, position = divmod(index, max(1, len(self)))
        if not len(self) or (self._epochs is not None and epoch >= self._epochs):
            raise IndexError(index)
        shard = int(np.searchsorted(self._ends, position, side="right"))
        start = int(self._ends[shard - 1]) if shard else 0
        return document(self._shard(epoch, shard)[position - start], self._tokenizer, self._train_on_context)


def document(trace: Trace, tokenizer: Tokenizer, train_on_context: bool = False) -> Document:
    """A trace as a model trains on it: loss on the frames, and on the context only where asked."""
    rendered = render_frames(trace, tokenizer)
    return Document(np.asarray(rendered.ids, dtype=np.int32), 1 if train_on_context else rendered.context_end)

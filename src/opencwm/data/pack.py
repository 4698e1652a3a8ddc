"""Documents into rows of one length, and rows into batches; every stage yields (item, state to resume after it).

    documents -> pack -> Row -> batches -> Batch

A row holds whole documents; what is left of it is one padding document without loss. A document that is longer than
the row is cut at the row's end. Rows are filled from a small window of waiting documents, the oldest first, then the
longest that still fits, so that little is padded and the order stays nearly that of the source.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Document:
    """One training document: its tokens, and the first token that is trained on."""

    tokens: Tokens
    loss_from: int
    """Index of the first token whose prediction is trained: the context before it is only read."""


@dataclass(frozen=True, slots=True)
class Row:
    """`seq_len` inputs with their next tokens; documents are told apart by their lengths."""

    inputs: Tokens
    targets: Tokens
    trained: NDArray[np.bool_]
    """Which targets count in the loss."""
    lengths: tuple[int, ...]
    """Lengths of the documents, padding included; they add up to the row's."""
    num_padding: int


@dataclass(frozen=True, slots=True)
class PackState:
    """All that is needed to go on after a row: how many documents were read, and which of them still wait."""

    num_read: int = 0
    waiting: tuple[int, ...] = ()


def pack(
    documents: Sequence[Document], seq_len: int, state: PackState | None = None, *, waiting: int = 32, pad_id: int
) -> Iterator[tuple[Row, PackState]]:
    """Rows of `seq_len` tokens. `documents[i]` is the i-th document of the (possibly endless) source order; ends when
    the source raises IndexError and nothing waits."""
    state = state or PackState()
    num_read = state.num_read
    held = [(i, documents[i]) for i in state.waiting]
    while True:
        while len(held) < waiting:
            try:
                held.append((num_read, documents[num_read]))
            except IndexError:
                break
            num_read += 1
        if not held:
            return
        chosen, room = [], seq_len
        pick: int | None = 0
        while pick is not None:
            _, document = held.pop(pick)
            chosen.append(document)
            room -= min(room, len(document.tokens) - 1)
            fitting = [i for i, (_, other) in enumerate(held) if len(other.tokens) - 1 <= room]
            pick = max(fitting, key=lambda i: len(held[i][1].tokens), default=None)
        yield row(chosen, seq_len, pad_id), PackState(num_read, tuple(i for i, _ in held))


def row(documents: Sequence[Document], seq_len: int, pad_id: int) -> Row:
    """The row that holds these documents, in this order."""
    inputs = np.full(seq_len, pad_id, dtype=np.int32)
    targets = np.full(seq_len, pad_id, dtype=np.int32)
    trained = np.zeros(seq_len, dtype=np.bool_)
    lengths, at = [], 0
    for document in documents:
        size = min(len(document.tokens) - 1, seq_len - at)
        inputs[at : at + size] = document.tokens[:size]
        targets[at : at + size] = document.tokens[1 : size + 1]
        trained[at + min(size, max(0, document.loss_from - 1)) : at + size] = True
        lengths.append(size)
        at += size
    if at < seq_len:
        lengths.append(seq_len - at)
    return Row(inputs, targets, trained, tuple(lengths), seq_len - at)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows laid end to end, as the packed model takes them."""

    inputs: Tokens
    targets: Tokens
    trained: NDArray[np.bool_]
    lengths: tuple[int, ...]


def batches(rows: Iterator[tuple[Row, PackState]], num_rows: int) -> Iterator[tuple[Batch, PackState]]:
    """`num_rows` rows at a time; a last incomplete batch is left out."""
    while True:
        group = [pair for _, pair in zip(range(num_rows), rows, strict=False)]
        if len(group) < num_rows:
            return
        batch = Batch(
            np.concatenate([row.inputs for row, _ in group]),
            np.concatenate([row.targets for row, _ in group]),
            np.concatenate([row.trained for row, _ in group]),
            tuple(length for row, _ in group for length in row.lengths),
        )
        yield batch, group[-1][1]

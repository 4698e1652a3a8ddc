"""Documents into rows of one length, and rows into batches; every stage yields (item, state to resume after it).

    lengths of documents -> plan -> pieces of a row -> row -> Row -> join -> Batch

A row holds whole documents; what is left of it is one padding document without loss. A document that is longer than
the row is cut at the row's end, or goes on in the next rows (`split`). Rows are filled from a small window of waiting
documents, the oldest first, then the longest that still fits, so that little is padded and the order stays nearly that
of the source. Planning needs lengths only: a rank plans every row, and reads the documents of its own.

CWM (arXiv 2510.02387, section 4.2) cuts chats and wraps pre-training text, every row full to its end. Ours differs:
only what is longer than a row is ever divided (best-fit packing, arXiv 2404.10830).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Document:
    """One training document: its tokens, and which of them are trained on."""

    tokens: Tokens
    loss_from: int
    """Index of the first token whose prediction is trained: the context before it is only read."""
    masked: tuple[tuple[int, int], ...] = ()
    """Spans (start, end) after it that are only read, too."""

    def piece(self, start: int, num_inputs: int) -> "Document":
        """`num_inputs` of its inputs, from token `start` on, with their targets."""
        if start == 0 and num_inputs >= len(self.tokens) - 1:
            return self
        end = start + num_inputs + 1
        masked = tuple((max(0, a - start), b - start) for a, b in self.masked if b > start and a < end)
        return Document(self.tokens[start:end], max(1, self.loss_from - start), masked)


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
    """All that is needed to go on after a row or a batch, on any number of ranks."""

    num_read: int = 0
    """Documents read."""
    waiting: tuple[int, ...] = ()
    """Which of them still wait."""
    start: int = 0
    """Inputs of the first waiting document that rows hold already."""
    buckets: tuple["PackState", ...] = ()
    """The same of each length bucket, where there are several; `num_read` is then their sum."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "PackState":
        """The inverse of `dataclasses.asdict`, also of what JSON makes of it."""
        return cls(
            num_read=data["num_read"],
            waiting=tuple(data["waiting"]),
            start=data["start"],
            buckets=tuple(map(cls.from_dict, data["buckets"])),
        )


Piece = tuple[int, int, int]
"""Which document, from which token on, how many inputs."""


def plan(
    num_tokens: Callable[[int], int], seq_len: int, state: PackState, *, waiting: int = 32, split: bool = False
) -> Iterator[tuple[list[Piece], PackState]]:
    """What each row holds. `num_tokens(i)` is the length of the i-th document of the (possibly endless) source order;
    ends when that raises IndexError and nothing waits."""
    num_read, start = state.num_read, state.start
    held = [(i, num_tokens(i) - 1) for i in state.waiting]
    if start:
        held[0] = held[0][0], held[0][1] - start
    while True:
        while len(held) < waiting:
            try:
                held.append((num_read, num_tokens(num_read) - 1))
            except IndexError:
                break
            num_read += 1
        if not held:
            return
        index, size = held.pop(0)
        pieces = [(index, start, min(size, seq_len))]
        if split and size > seq_len:
            held.insert(0, (index, size - seq_len))
            start += seq_len
        else:
            start = 0
            room = seq_len - pieces[0][2]
            while (pick := _longest(held, room)) is not None:
                index, size = held.pop(pick)
                pieces.append((index, 0, size))
                room -= size
        yield pieces, PackState(num_read, tuple(i for i, _ in held), start)


def _longest(held: Sequence[tuple[int, int]], room: int) -> int | None:
    """Where the longest of the waiting documents that fits stands."""
    best, longest = None, -1
    for i, (_, size) in enumerate(held):
        if longest < size <= room:
            best, longest = i, size
    return best


def pack(
    documents: Sequence[Document], seq_len: int, state: PackState | None = None, *, waiting: int = 32, pad_id: int
) -> Iterator[tuple[Row, PackState]]:
    """Rows of `seq_len` tokens. `documents[i]` is the i-th document of the (possibly endless) source order."""
    planned = plan(lambda i: len(documents[i].tokens), seq_len, state or PackState(), waiting=waiting)
    for pieces, after in planned:
        yield row([documents[i].piece(start, size) for i, start, size in pieces], seq_len, pad_id), after


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
        for start, end in document.masked:
            trained[at + max(0, start - 1) : at + min(size, max(0, end - 1))] = False
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
    global_window: int | None = None
    """Width in tokens of the global layers for this batch; None: all that came before."""


def join(rows: Sequence[Row], global_window: int | None = None) -> Batch:
    return Batch(
        np.concatenate([row.inputs for row in rows]),
        np.concatenate([row.targets for row in rows]),
        np.concatenate([row.trained for row in rows]),
        tuple(length for row in rows for length in row.lengths),
        global_window,
    )


def batches(rows: Iterator[tuple[Row, PackState]], num_rows: int) -> Iterator[tuple[Batch, PackState]]:
    """`num_rows` rows at a time; a last incomplete batch is left out."""
    while True:
        group = [pair for _, pair in zip(range(num_rows), rows, strict=False)]
        if len(group) < num_rows:
            return
        yield join([row for row, _ in group]), group[-1][1]

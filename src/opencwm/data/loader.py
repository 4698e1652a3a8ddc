"""Datasets as batches for every rank, in an order that a few integers say all about.

    mix, buckets --Source[n]--> documents of one bucket --plan--> rows of a step --Loader--> the rank's own Batch

Every rank plans all rows, from lengths alone, and reads the row groups that hold documents of its own: what all ranks
draw together is what one would draw, and a state is the same on each and good for any other number of them. Batches are
made in a thread, a few ahead of the training step.

With length buckets (CWM, arXiv 2510.02387, section 4.2) each step takes all rows of all ranks from one bucket, and no
rank waits for another's longer documents. CWM draws the bucket at random; ours is the one that is furthest behind its
share, which leaves the shares of the datasets what they are.

Where folders hold traces, every rank tokenises all of them: with many ranks, make token shards first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

from opencwm.data.documents import Documents, Shards, open_shards
from opencwm.data.mix import Cycle, Mix, epochs, shares
from opencwm.data.pack import Batch, Document, PackState, Piece, Row, join, plan, row
from opencwm.data.token_shards import SHORTEST_CLASS
from opencwm.errors import ConfigError, DataError
from opencwm.tokenizer import Tokenizer

Item = TypeVar("Item")
WAITING = 32
"""Documents that may wait for a row that they fit in, of all buckets together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """Documents of about one length, which all ranks draw from together."""

    longest: int | None
    """Tokens of the longest documents in it, one more than a power of two; None: the rest."""
    global_window: int | None = None
    """Width in tokens of the global layers on its rows; None: all that came before."""

    @classmethod
    def from_text(cls, text: str) -> "Bucket":
        """`LONGEST`, `LONGEST:WINDOW` or `rest`."""
        longest, _, window = text.partition(":")
        return cls(longest=None if longest == "rest" else int(longest), global_window=int(window) if window else None)

    def __str__(self) -> str:
        longest = "rest" if self.longest is None else f"{self.longest}"
        return longest if self.global_window is None else f"{longest}:{self.global_window}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoaderConfig:
    mix: Mix
    seq_len: int
    """Inputs per row."""
    num_rows: int
    """Rows per optimizer step, of all ranks together."""
    seed: int = 0
    buckets: tuple[Bucket, ...] = ()
    """Length buckets, from short to long; they need token shards. None given: all lengths share rows."""
    split: bool = False
    """A document longer than a row goes on in the next ones, instead of being cut."""
    train_on_context: bool = False
    """Loss also on the contexts of traces."""
    environment_loss: float = 1.0
    """Share of the environment's messages in agent trajectories that are trained on."""
    never_trained: tuple[str, ...] = ()
    """Special tokens without loss, such as `reasoning_thinking_start`."""

    def __post_init__(self) -> None:
        if not 0 <= self.environment_loss <= 1:
            raise ConfigError(f"environment_loss is {self.environment_loss}: it is a share, from 0 to 1")


class Source:
    """The documents of one bucket: those of several datasets, in turn, by their rates in documents."""

    def __init__(self, streams: Sequence[Documents], rates: Sequence[float], end: int | None) -> None:
        self._streams = streams
        self._cycle = Cycle(rates)
        self._end = end

    def num_tokens(self, n: int) -> int:
        stream, index = self._place(n)
        return stream.num_tokens(index)

    def __getitem__(self, n: int) -> Document:
        stream, index = self._place(n)
        return stream[index]

    def _place(self, n: int) -> tuple[Documents, int]:
        if self._end is not None and n >= self._end:
            raise IndexError(n)
        stream, index = self._cycle[n]
        return self._streams[stream], index


class Loader:
    """`loader(state)` are the batches of one rank after a state, each with the state after it, equal on all ranks.

    Raises ConfigError where the rows cannot be divided among the ranks or the mix makes no sense, DataError where a
    dataset is empty or cannot be put in buckets."""

    def __init__(self, config: LoaderConfig, tokenizer: Tokenizer, *, rank: int = 0, num_ranks: int = 1) -> None:
        if config.num_rows % num_ranks:
            raise ConfigError(
                f"{config.num_rows} rows per step cannot be divided among {num_ranks} ranks",
                fix=f"make them a multiple of {num_ranks}",
            )
        self.config = config
        self._pad_id = tokenizer.pad_id
        per_rank = config.num_rows // num_ranks
        self._own = range(rank * per_rank, (rank + 1) * per_rank)
        self._buckets = config.buckets or (Bucket(longest=None),)
        datasets = [open_shards(each.folder, tokenizer) for each in config.mix]
        cells = [
            by_bucket(each.folder, dataset, self._buckets) for each, dataset in zip(config.mix, datasets, strict=True)
        ]
        self.num_tokens = [sum(group.num_tokens for group in dataset.groups) for dataset in datasets]
        """Of each dataset in one epoch; an estimate for traces."""
        self.shares = shares(config.mix, self.num_tokens)
        """Of the tokens of the mix, by dataset."""
        unknown = [name for name in config.never_trained if name not in tokenizer.special]
        if unknown:
            raise ConfigError(
                f"the tokenizer has no special token {unknown[0]!r}",
                fix=f"never_trained knows {', '.join(sorted(tokenizer.special))}",
            )
        never = [tokenizer.special[name] for name in config.never_trained]
        self._sources: list[Source] = []
        self._rates: list[float] = []
        """Documents of each bucket per token of the mix."""
        for b in range(len(self._buckets)):
            streams, rates, wanted = [], [], 0.0
            for d, dataset in enumerate(datasets):
                if not cells[d][b]:
                    continue
                documents = Documents(
                    dataset,
                    groups=cells[d][b],
                    seed=config.seed,
                    key=(d, b) if len(datasets) * len(self._buckets) > 1 else (),
                    train_on_context=config.train_on_context,
                    environment_loss=config.environment_loss,
                    never_trained=never,
                )
                streams.append(documents)
                rates.append(self.shares[d] * len(documents) / max(1, self.num_tokens[d]))
                wanted += (config.mix[d].epochs or 0.0) * len(documents)
            ends = all(each.epochs is not None for each in config.mix)
            self._rates.append(sum(rates))
            self._sources.append(Source(streams, rates or [1.0], round(wanted) if ends or not streams else None))

    def amounts(self, num_steps: int) -> list[dict[str, Any]]:
        """What so many steps read of each dataset: its share of the tokens, and how many times at most."""
        total = num_steps * self.config.num_rows * self.config.seq_len
        read = epochs(self.shares, [max(1, count) for count in self.num_tokens], total)
        return [
            {"folder": str(each.folder), "share": share, "epochs": count}
            for each, share, count in zip(self.config.mix, self.shares, read, strict=True)
        ]

    def __call__(self, state: PackState) -> Iterator[tuple[Batch, PackState]]:
        return ahead(self._batches(state))

    def _batches(self, state: PackState) -> Iterator[tuple[Batch, PackState]]:
        states = self._states_of(state)
        plans = [
            plan(
                source.num_tokens,
                self.config.seq_len,
                each,
                waiting=max(1, WAITING // len(states)),
                split=self.config.split,
            )
            for source, each in zip(self._sources, states, strict=True)
        ]
        left = [b for b, rate in enumerate(self._rates) if rate]
        while left:
            b = min(left, key=lambda b: states[b].num_read / self._rates[b])
            rows, reached = [], []
            for number, (pieces, after) in zip(range(self.config.num_rows), plans[b], strict=False):
                reached.append(after)
                if number in self._own:
                    rows.append(self._row(self._sources[b], pieces))
            if len(reached) < self.config.num_rows:  # a last incomplete batch is left out
                left.remove(b)
                continue
            states[b] = reached[-1]
            yield join(rows, self._buckets[b].global_window), self._state_of(states)

    def _row(self, source: Source, pieces: Sequence[Piece]) -> Row:
        documents = [source[i].piece(start, size) for i, start, size in pieces]
        return row(documents, self.config.seq_len, self._pad_id)

    def _states_of(self, state: PackState) -> list[PackState]:
        if len(self._buckets) == 1 and not state.buckets:
            return [state]
        if state == PackState():
            return [PackState()] * len(self._buckets)
        if len(state.buckets) != len(self._buckets):
            raise ConfigError(
                f"a run that was begun with {len(state.buckets) or 1} length buckets cannot go on with "
                f"{len(self._buckets)}",
                fix="give the buckets that it was begun with",
            )
        return list(state.buckets)

    def _state_of(self, states: Sequence[PackState]) -> PackState:
        if len(states) == 1:
            return states[0]
        return PackState(num_read=sum(each.num_read for each in states), buckets=tuple(states))


def ahead(items: Iterator[Item], depth: int = 2) -> Iterator[Item]:
    """The same items, up to `depth` of them made in a thread before they are asked for. The thread ends with the
    items, with an error of theirs, which is raised here, or when nobody asks any more."""
    made: Queue[tuple[Item] | Exception | None] = Queue(depth)
    is_over = Event()

    def put(item: tuple[Item] | Exception | None) -> None:
        while not is_over.is_set():
            try:
                return made.put(item, timeout=0.1)
            except Full:
                continue

    def make() -> None:
        try:
            for item in items:
                put((item,))
                if is_over.is_set():
                    return
        except Exception as exc:  # of whatever kind: it belongs to the one who asks
            put(exc)
        put(None)

    Thread(target=make, daemon=True, name="loader").start()
    try:
        while (found := made.get()) is not None:
            if isinstance(found, Exception):
                raise found
            yield found[0]
    finally:
        is_over.set()


def by_bucket(folder: Path, dataset: Shards, buckets: Sequence[Bucket]) -> list[list[int]]:
    """The groups of a dataset in each bucket. Raises ConfigError where the buckets do not part whole groups."""
    if not any(group.num_documents for group in dataset.groups):
        raise DataError(f"{folder} holds no documents", fix="leave it out, or make it again")
    if len(buckets) == 1 and buckets[0].longest is None:
        return [list(range(len(dataset.groups)))]
    edges = [bucket.longest for bucket in buckets]
    bounds = [edge for edge in edges if edge is not None]
    if (
        None in edges[:-1]
        or bounds != sorted(set(bounds))
        or any(edge <= 1 << SHORTEST_CLASS or (edge - 1) & (edge - 2) for edge in bounds)
    ):
        raise ConfigError(
            f"the buckets {','.join(map(str, buckets))} do not go from short to long by powers of two plus one, from "
            f"{(1 << SHORTEST_CLASS) + 1} on",
            fix="give such as 16385,65537,rest",
        )
    cells: list[list[int]] = [[] for _ in buckets]
    for number, group in enumerate(dataset.groups):
        if group.longest is None:
            raise ConfigError(
                f"{folder} holds traces, whose lengths are not known: they cannot be put in buckets",
                fix="make token shards of them: opencwm data tokens",
            )
        place = next((b for b, edge in enumerate(edges) if edge is None or group.longest <= edge), None)
        if place is None:
            raise ConfigError(
                f"{folder} has documents of {group.longest} tokens, which no bucket takes",
                fix="end the buckets with rest",
            )
        cells[place].append(number)
    return cells

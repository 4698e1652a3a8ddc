"""What a source of traces is: the seam between the engine of a dataset and the kinds of things that are traced.

    prepare (once per dataset) --> files in its folder
    deal (once per shard) --> Work for each position --guards--> Job --record--> Takes --filters--> rows

A source is a frozen dataclass: its fields are its settings in the recipe, so `functions.weight=0.3` on the command line
sets one. The engine (`stages.py`, `build.py`) asks it for work, drops what may not come in, has it record the rest and
drops what is of no use; shards, limits, duplicates, manifests and resuming are the engine's.

To add one: write such a dataclass in this folder and make it a field of `Recipe`. Where an item is a source text and
calls on it, `deal` is all there is to write, and `record` is `record_calls`. Where a run needs a program of its own (a
script with its input), subclass `Work` and say which, and what its key is. Where it is something else (a repository's
test suite), record as you like, as many `Take`s per piece of work as there are; what is required is on `Source.record`.
"""

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import ClassVar, Protocol

from opencwm.data.dedup import program_keys
from opencwm.data.record import Recorded, counted, record_many
from opencwm.trace.recording.options import Options

Say = Callable[[str], None]
"""Tells the user one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """Whose code is traced."""

    name: str = ""
    version: str = ""
    licence: str = ""


OURS = Package()
"""Programs that this project makes itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One way to run a piece of work."""

    kind: str
    """First word of the `source` column: "generated", "harvested", "mutated" ..."""
    call: str | None = None
    """What is called on the source; None: the source is run as a script, or the run is of another sort."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One item of a source: what one position of a shard's plan is spent on."""

    name: str = ""
    """What the `source` column says after the kind, such as MODULE.FUNCTION."""
    source: str | None
    """The program, which the guards look at before it is run; None where there is not one, and then they look at the
    context of each trace."""
    runs: tuple[Run, ...]
    max_rows: int
    """Most traces kept."""
    is_chosen: bool = False
    """Its traces were chosen for diversity when they were recorded: all that fit are kept, up to `max_rows`."""
    package: Package = OURS

    def keys(self) -> tuple[str, list[str]]:
        """The source's key, and the identity of each run: equal ones are duplicates, in a shard and in the dataset.
        Override it where runs are not calls. Raises SyntaxError where the source is not Python."""
        assert self.source is not None, f"{type(self).__name__} has no source, so it needs keys of its own"
        return program_keys(self.source, [run.call for run in self.runs])

    def program(self, run: Run) -> tuple[str, str | None]:
        """What `record_calls` records for a run: a source, and the call on it or None."""
        return self.source or "", run.call

    def origin(self, run: Run) -> str:
        """The `source` column of a trace of this run."""
        return f"{run.kind} {self.name}" if self.name else run.kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Take:
    """What a run came to; a run may give several."""

    key: str
    """The trace's id."""
    origin: str
    """The `source` column."""
    result: Recorded
    program: str | None = None
    """The program by which the trace may be a near duplicate; None: that in its context; "": it is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A piece of work that the guards let in, with the keys of the runs that are left of it."""

    work: Work
    keys: tuple[str, ...]
    """One for each of `work.runs`."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Keys of takes that an earlier attempt lost to an accidental cause, with the cause: a run that gives several takes
    leaves these out before it chooses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """Where in the dataset we are."""

    folder: Path
    """The dataset's: `prepare` has left its files there."""
    number: int
    count: int
    """Shards in all."""
    max_frames: int
    """Longer traces would be dropped."""


def shard_lines(shard: Shard, name: str) -> Iterator[str]:
    """A shard's lines of a file that `prepare` left."""
    with (shard.folder / name).open(encoding="utf-8") as file:
        yield from islice(file, shard.number, None, shard.count)


Dealer = Callable[[random.Random], Work | None]
"""Gives the work for one position of the plan, all its choices taken from that position's generator; None: no more."""


def by_lines(shard: Shard, name: str, work_of: Callable[[str, random.Random], Work]) -> Dealer:
    """A position for each of a shard's lines of a file that `prepare` left."""
    lines = shard_lines(shard, name)

    def work(rng: random.Random) -> Work | None:
        line = next(lines, None)
        return None if line is None else work_of(line, rng)

    return work


class Source(Protocol):
    """Instances are frozen, picklable and compare by value: they travel to workers as part of the recipe."""

    name: ClassVar[str]
    """Its field in the recipe."""
    kinds: ClassVar[tuple[str, ...]]
    """The kinds of its runs; no two sources share one."""

    @property
    def weight(self) -> float:
        """Share of the plan's positions, relative to the other sources' weights; 0: it is left out."""
        ...

    def prepare(self, folder: Path, say: Say) -> None:
        """Do once per dataset what is costly (a harvest, a list) and leave it in files of that folder, each written to
        a temporary name and renamed (`trace.files.replacing`). A file that is there already is left alone. What it
        holds depends on the settings and on what is installed only. Raises ConfigError for a setting that cannot work.
        """
        ...

    def files(self) -> tuple[str, ...]:
        """Names of the files that `prepare` leaves; the manifest tells their hashes."""
        ...

    def deal(self, shard: Shard) -> Dealer:
        """The work of one shard; a pure function of the settings, of the files and of the shard's number. Shards share
        nothing: item i of a list belongs to shard i % count."""
        ...

    def record(self, jobs: Iterable[Job], options: Options) -> Iterator[Sequence[Take]]:
        """Run the jobs, in a sandbox, and give for each in order what came of its runs. `jobs` may be read ahead.

        Each run is recorded twice, in fresh processes; where the two differ, its `Take` has no trace but the cause
        `unstable`. Only limits that count (frames, bytes) may shape a trace: a run that hit a limit of time or memory
        has no trace but that cause. `record.record_many(twice=True)` and `record.counted` do the one and the other."""
        ...


def record_calls(jobs: Iterable[Job], options: Options, *, trusted: bool) -> Iterator[Sequence[Take]]:
    """Record jobs whose runs are calls on their source; `trusted` as in `record_many`."""
    waiting: deque[Job] = deque()
    """The recorder reads a batch ahead; these are in flight."""

    def programs() -> Iterator[tuple[str, str | None]]:
        for job in jobs:
            waiting.append(job)
            for run in job.work.runs:
                yield job.work.program(run)

    takes: list[Take] = []
    for result in record_many(programs(), options=options, trusted=trusted, twice=True):
        job = waiting[0]
        key, run = job.keys[len(takes)], job.work.runs[len(takes)]
        takes.append(Take(key=key, origin=job.work.origin(run), result=counted(result, options)))
        if len(takes) == len(job.work.runs):
            waiting.popleft()
            yield takes
            takes = []


def key_of(*parts: str) -> str:
    """An identity for runs that are not calls: a hash of what makes them what they are."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(data := part.encode("utf-8", "surrogatepass")).to_bytes(8, "little") + data)
    return digest.hexdigest()

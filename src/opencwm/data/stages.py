"""The stages that turn a recipe into the rows of one shard; each yields `(item, state)`.

    recipe, shard --plan--> Planned --clean--> Job --recorded--> (Job, its Takes) --kept--> Row

The state is the number of plan positions that are done: `plan(..., start=state)` goes on after them. What the later
stages remember (names seen, inputs seen) belongs to one shard, and a shard is made in one go. What the work is, and how
it is recorded, are the sources' business (`sources/base.py`).
"""

import dataclasses
import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from opencwm.data.decontaminate import Detector
from opencwm.data.dedup import source_key
from opencwm.data.inputs import choose
from opencwm.data.length import estimate_tokens
from opencwm.data.licences import is_permissive
from opencwm.data.private import holds_private
from opencwm.data.recipe import Recipe
from opencwm.data.record import ACCIDENTAL, program_of
from opencwm.data.sources.base import Job, Shard, Source, Take, Work
from opencwm.trace.files import Row
from opencwm.trace.recording.frame import Trace

ACCIDENTS = frozenset({"NameError", "ImportError", "ModuleNotFoundError", "MemoryError", "RecursionError"})
"""Exceptions that say more about the cut-out or the machine than about the program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What one position of a shard's plan is spent on."""

    position: int
    source: Source
    work: Work


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A row, and what the end of the build must know about it."""

    row: Row
    tokens: int
    """Estimated."""
    program: str
    """What it is a near duplicate by."""


Cleaned = tuple[Source, Job]
Taken = tuple[Job, Sequence[Take]]


@dataclass(kw_only=True, slots=True)
class Tally:
    """What became of the candidates of one shard."""

    dropped: Counter[str] = field(default_factory=Counter)
    """By reason."""
    contaminated: Counter[str] = field(default_factory=Counter)
    """By benchmark item."""
    losses: dict[str, str] = field(default_factory=dict)
    """Key of each run that was dropped for an accidental cause -> the cause."""

    def lose(self, key: str, cause: str) -> None:
        self.dropped[cause] += 1
        self.losses[key] = cause

    def to_dict(self) -> dict[str, dict[str, int]]:
        """The counts, for a shard's footer."""
        return {name: dict(sorted(getattr(self, name).items())) for name in ("dropped", "contaminated")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """What may not come in."""

    heldout: frozenset[str]
    """Source keys."""
    detector: Detector
    """Of benchmark items."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Keys that an earlier attempt at this shard lost to an accidental cause (`record.ACCIDENTAL`), with the cause:
    they stay out, whatever becomes of them now, so that the shard comes out as it did."""
    any_licence: bool = False
    """Whether code comes in that has a licence which is not permissive."""


def plan(recipe: Recipe, shard: Shard, start: int = 0) -> Iterator[tuple[Planned, int]]:
    """The shard's work, for each position of its plan after `start`; a position is left out where the source drawn for
    it has no more, and generated programs are not asked for either."""
    dealers = {source.name: source.deal(shard) for source in recipe.sources}
    filler = recipe.generated
    for position in range(recipe.programs_in(shard.number)):
        rng = random.Random(f"{recipe.seed}/{shard.number}/{position}")
        source = recipe.draw(rng)
        work = dealers[source.name](rng)
        if work is None and filler.name in dealers:
            source, work = filler, dealers[filler.name](rng)
        if work is not None and position >= start:
            yield Planned(position=position, source=source, work=work), position + 1


def clean(stage: Iterable[tuple[Planned, int]], guard: Guard, tally: Tally) -> Iterator[tuple[Cleaned, int]]:
    """Drop duplicates, held-out programs, what is contaminated with a benchmark item, what has no permissive licence.
    What an earlier attempt lost is run again, and dropped afterwards: programs share processes, and the others shall
    find what they found."""
    seen: set[str] = set()
    for planned, state in stage:
        work = planned.work
        if not (guard.any_licence or is_permissive(work.package.licence)):
            tally.dropped["licence"] += 1
            continue
        source_key, keys = work.keys()
        if work.source is not None and _is_refused(work.source, source_key, guard, tally):
            continue
        new = []
        for key, run in zip(keys, work.runs, strict=True):
            if key in seen:
                tally.dropped["duplicate"] += 1
                continue
            seen.add(key)
            new.append((key, run))
        if new:
            work = dataclasses.replace(work, runs=tuple(run for _, run in new))
            yield (planned.source, Job(work=work, keys=tuple(key for key, _ in new), lost=guard.lost)), state


def _is_refused(source: str, source_key: str, guard: Guard, tally: Tally) -> bool:
    if source_key in guard.heldout:
        tally.dropped["held out"] += 1
        return True
    hit = guard.detector.hit(source)
    if hit is not None:
        tally.dropped["in a benchmark"] += 1
        tally.contaminated[hit.item] += 1
    return hit is not None


def recorded(stage: Iterable[tuple[Cleaned, int]], recipe: Recipe) -> Iterator[tuple[Taken, int]]:
    """Have each source record its jobs, and give what came of them in the order of the plan."""
    lanes = _Lanes(iter(stage))
    takes = {source.name: source.record(lanes.jobs(source.name), recipe.options) for source in recipe.sources}
    while (first := lanes.first()) is not None:
        name, job, state = first
        yield (job, next(takes[name])), state


class _Lanes:
    """One stream of jobs as one stream per source: each reads ahead as it likes, and the order is remembered."""

    def __init__(self, stage: Iterator[tuple[Cleaned, int]]) -> None:
        self._stage = stage
        self._order: deque[tuple[str, Job, int]] = deque()
        self._waiting: defaultdict[str, deque[Job]] = defaultdict(deque)

    def first(self) -> tuple[str, Job, int] | None:
        """The next job whose takes are due, with its source's name; None at the end."""
        if not self._order and not self._pull():
            return None
        return self._order.popleft()

    def jobs(self, name: str) -> Iterator[Job]:
        """The jobs of one source."""
        while self._waiting[name] or self._pull():
            if self._waiting[name]:
                yield self._waiting[name].popleft()

    def _pull(self) -> bool:
        for (source, job), state in self._stage:
            self._order.append((source.name, job, state))
            self._waiting[source.name].append(job)
            return True
        return False


def kept(stage: Iterable[tuple[Taken, int]], recipe: Recipe, guard: Guard, tally: Tally) -> Iterator[tuple[Kept, int]]:
    """Drop what is of no use; of a program's inputs, keep those that show most."""
    for (job, takes), state in stage:
        good: list[tuple[Take, Trace, int]] = []
        for take in takes:
            trace = take.result.trace
            tokens = 0 if trace is None else estimate_tokens(trace)
            reason = _reason_to_drop(take, tokens, recipe, guard)
            if reason in ACCIDENTAL:
                tally.lose(take.key, reason)
            elif trace is None or reason is not None:
                tally.dropped[reason or "not recorded"] += 1
            elif job.work.source is None and _is_refused(*_program_of(trace), guard, tally):
                continue
            elif holds_private(trace):
                tally.dropped["secret or address"] += 1
            else:
                good.append((take, trace, tokens))
        count, is_chosen = job.work.max_rows, job.work.is_chosen
        chosen = range(min(count, len(good))) if is_chosen else choose([trace for _, trace, _ in good], count)
        if len(chosen) < len(good):
            tally.dropped["nothing new"] += len(good) - len(chosen)
        for take, trace, tokens in (good[index] for index in chosen):
            package = job.work.package
            about = {"package": package.name, "version": package.version, "licence": package.licence}
            row = Row(trace_id=take.key, source=take.origin, trace=trace, **about)
            program = (job.work.source or program_of(trace)[0]) if take.program is None else take.program
            yield Kept(row=row, tokens=tokens, program=program), state


def _program_of(trace: Trace) -> tuple[str, str]:
    """The program in a trace's context, and its key; "" where it cannot be parsed on its own."""
    source, _ = program_of(trace)
    try:
        return source, source_key(source)
    except (SyntaxError, ValueError, RecursionError):
        return source, ""


def _reason_to_drop(take: Take, tokens: int, recipe: Recipe, guard: Guard) -> str | None:
    result, trace = take.result, take.result.trace
    if take.key in guard.lost:
        return guard.lost[take.key]
    if trace is None:
        return result.kind if result.kind in ACCIDENTAL else f"not recorded: {result.kind}"
    if trace.outcome not in ("returned", "raised"):
        return f"outcome {trace.outcome}"
    if len(trace.frames) < recipe.min_frames:
        return "too few frames"
    if len(trace.frames) > recipe.max_frames:
        return "too many frames"
    if tokens > recipe.max_tokens:
        return "too many tokens"
    exception = str(trace.header.get("exception") or "").partition("(")[0]
    return exception if exception in ACCIDENTS else None

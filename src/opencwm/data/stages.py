"""The stages that turn a recipe into the rows of one shard; each yields `(item, state)`.

    plan --candidates--> Candidate --clean--> Job --recorded--> (Job, Recorded) --kept--> Row

The state is the number of plan positions that are done: `candidates(..., start=state)` goes on after them. What the
later stages remember (names seen, inputs seen) belongs to one shard, and a shard is made in one go.
"""

import random
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opencwm.data.decontaminate import Detector
from opencwm.data.dedup import program_keys
from opencwm.data.functions import Harvested
from opencwm.data.inputs import Novelty, mutated_calls
from opencwm.data.programs import Dial, generate
from opencwm.data.recipe import Recipe
from opencwm.data.record import Recorded, record_many
from opencwm.trace.files import Row
from opencwm.trace.recording.frame import Trace

CHARS_PER_TOKEN = 3.2
"""Measured: the estimate is 0.7 to 1.5 times (in the middle 1.05) what a tokenizer with 2,048 entries makes of
generated traces."""
ACCIDENTS = frozenset({"NameError", "ImportError", "ModuleNotFoundError", "MemoryError", "RecursionError"})
"""Exceptions that say more about the cut-out or the machine than about the program."""
FRAME_CHARS, PAIR_CHARS = 12, 8
"""What a frame's special tokens, and the quotes and commas of a name and its value, count for."""
TRIES_PER_CALL = 2
"""Mutated inputs that are tried for each that may be kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A program of the plan, with all calls that may be made on it."""

    position: int
    source: str
    calls: tuple[tuple[str, str], ...]
    """(call, origin); the origin is the `source` column: "generated", "harvested MODULE.NAME", "mutated ..."."""
    max_calls: int
    """Most traces kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One call of a candidate: what is recorded."""

    key: str
    call: str
    origin: str
    of: Candidate


@dataclass(kw_only=True, slots=True)
class Tally:
    """What became of the candidates of one shard."""

    kept: Counter[str] = field(default_factory=Counter)
    """By kind: generated, harvested, mutated."""
    dropped: Counter[str] = field(default_factory=Counter)
    """By reason."""
    contaminated: Counter[str] = field(default_factory=Counter)
    """By benchmark item."""
    frames: int = 0
    tokens: int = 0
    """Estimated."""

    def to_dict(self) -> dict[str, Any]:
        counts = {name: dict(sorted(getattr(self, name).items())) for name in ("kept", "dropped", "contaminated")}
        return {**counts, "frames": self.frames, "tokens": self.tokens}


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """What may not come in."""

    heldout: frozenset[str]
    """Source keys."""
    detector: Detector
    """Of benchmark items."""


def candidates(
    recipe: Recipe, shard: int, harvest: Sequence[Harvested], start: int = 0
) -> Iterator[tuple[Candidate, int]]:
    """The shard's programs, one for each position of its plan after `start`."""
    dealt = iter(harvest[shard :: recipe.num_shards])
    for position in range(recipe.programs_in(shard)):
        rng = random.Random(f"{recipe.seed}/{shard}/{position}")
        function = next(dealt, None) if rng.random() < recipe.share_functions else None
        if position < start:
            continue
        if function is None:
            dial = Dial(level=recipe.hardest(shard), target_frames=(1, recipe.max_frames))
            program = generate(rng.getrandbits(48), dial)
            source, max_calls = program.source, recipe.calls_per_program
            calls = _with_mutations([program.call], ("generated", "generated"), max_calls, rng)
        else:
            name = f"{function.module}.{function.qualname}"
            source, max_calls = function.source, recipe.calls_per_function
            calls = _with_mutations(function.calls, (f"harvested {name}", f"mutated {name}"), max_calls, rng)
        yield Candidate(position=position, source=source, calls=calls, max_calls=max_calls), position + 1


def _with_mutations(
    calls: Sequence[str], origins: tuple[str, str], max_calls: int, rng: random.Random
) -> tuple[tuple[str, str], ...]:
    """(call, origin) of the given calls, then of mutations of them where more than one may be kept."""
    mutated = mutated_calls(calls, rng, count=TRIES_PER_CALL * max_calls) if max_calls > 1 else ()
    return (*((call, origins[0]) for call in calls), *((call, origins[1]) for call in mutated))


def clean(stage: Iterable[tuple[Candidate, int]], guard: Guard, tally: Tally) -> Iterator[tuple[Job, int]]:
    """Drop duplicates, held-out programs and what is contaminated with a benchmark item."""
    seen: set[str] = set()
    for candidate, state in stage:
        source_key, keys = program_keys(candidate.source, [call for call, _ in candidate.calls])
        if _is_refused(candidate.source, source_key, guard, tally):
            continue
        for key, (call, origin) in zip(keys, candidate.calls, strict=True):
            if key in seen:
                tally.dropped["duplicate"] += 1
            else:
                seen.add(key)
                yield Job(key=key, call=call, origin=origin, of=candidate), state


def _is_refused(source: str, source_key: str, guard: Guard, tally: Tally) -> bool:
    if source_key in guard.heldout:
        tally.dropped["held out"] += 1
        return True
    hit = guard.detector.hit(source)
    if hit is not None:
        tally.dropped["in a benchmark"] += 1
        tally.contaminated[hit.item] += 1
    return hit is not None


def recorded(stage: Iterable[tuple[Job, int]], recipe: Recipe) -> Iterator[tuple[tuple[Job, Recorded], int]]:
    """Run the jobs; they are read a batch ahead, so those in flight are remembered here."""
    waiting: deque[tuple[Job, int]] = deque()

    def programs() -> Iterator[tuple[str, str | None]]:
        for job, state in stage:
            waiting.append((job, state))
            yield job.of.source, job.call

    for result in record_many(programs(), options=recipe.options, trusted=recipe.is_trusted):
        job, state = waiting.popleft()
        yield (job, result), state


def kept(stage: Iterable[tuple[tuple[Job, Recorded], int]], recipe: Recipe, tally: Tally) -> Iterator[tuple[Row, int]]:
    """Drop what is of no use; of a program's inputs, keep those that show something new."""
    position, novelty, num_kept = -1, Novelty(), 0
    for (job, result), state in stage:
        if job.of.position != position:
            position, novelty, num_kept = job.of.position, Novelty(), 0
        trace, tokens = result.trace, 0 if result.trace is None else estimate_tokens(result.trace)
        reason = _reason_to_drop(result, tokens, recipe)
        if trace is None or reason is not None:
            tally.dropped[reason or "not recorded"] += 1
        elif num_kept == job.of.max_calls or not novelty.adds(trace):
            tally.dropped["nothing new"] += 1
        else:
            num_kept += 1
            tally.kept[job.origin.partition(" ")[0]] += 1
            tally.frames += len(trace.frames)
            tally.tokens += tokens
            yield Row(trace_id=job.key, source=job.origin, trace=trace), state


def _reason_to_drop(result: Recorded, tokens: int, recipe: Recipe) -> str | None:
    trace = result.trace
    if trace is None:
        return f"not recorded: {(result.cause or '').partition(':')[0]}"
    if trace.outcome not in ("returned", "raised"):
        return f"outcome {trace.outcome}"
    if len(trace.frames) > recipe.max_frames:
        return "too many frames"
    if tokens > recipe.max_tokens:
        return "too many tokens"
    exception = str(trace.header.get("exception") or "").partition("(")[0]
    return exception if exception in ACCIDENTS else None


def estimate_tokens(trace: Trace) -> int:
    """About how many tokens the trace has for a model, without a tokenizer."""
    chars = len(trace.context)
    shown: list[set[str]] = []
    """Names shown so far in each activation on the stack; unchanged ones cost their `".."`."""
    for frame in trace.frames:
        chars += len(frame.source_line) + len(frame.value or "") + FRAME_CHARS
        if frame.event == "call":
            shown.append(set())
        if frame.locals is not None and shown:
            fresh = frame.locals.set
            chars += sum(len(name) + len(value) + PAIR_CHARS for name, value in fresh.items())
            chars += sum(len(name) + PAIR_CHARS + 2 for name in shown[-1] if name not in fresh)
            shown[-1].update(fresh)
        if frame.event == "return" and shown:
            shown.pop()
    return int(chars / CHARS_PER_TOKEN)

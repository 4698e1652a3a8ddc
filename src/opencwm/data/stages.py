"""The stages that turn a recipe into the rows of one shard; each yields `(item, state)`.

    plan --candidates--> Candidate --clean--> --recorded--> (Candidate, Recorded) --kept--> Row

The state is the number of plan positions that are done: `candidates(..., start=state)` goes on after them. What the
later stages remember (names seen, inputs seen) belongs to one shard, and a shard is made in one go.
"""

import random
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opencwm.data.decontaminate import Detector
from opencwm.data.dedup import program_key, source_key
from opencwm.data.functions import Harvested
from opencwm.data.inputs import Novelty, mutated_calls
from opencwm.data.programs import Dial, generate
from opencwm.data.recipe import Recipe
from opencwm.data.record import Recorded, record_many
from opencwm.trace.files import Row
from opencwm.trace.recording.frame import Trace

CHARS_PER_TOKEN = 2.5
TRIES_PER_CALL = 2
"""Mutated inputs that are tried for each that may be kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    source: str
    call: str
    origin: str
    """The `source` column: "generated", "harvested MODULE.NAME", "mutated MODULE.NAME"."""
    group: int
    """Position in the plan: the same program on several inputs; they follow one another."""
    max_calls: int
    """Most traces kept of the group."""


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


def candidates(
    recipe: Recipe, shard: int, harvest: Sequence[Harvested], start: int = 0
) -> Iterator[tuple[Candidate, int]]:
    """The shard's programs by its plan; mutated inputs of a program follow it and share its position."""
    dealt = iter(harvest[shard :: recipe.num_shards])
    for position in range(recipe.programs_in(shard)):
        rng = random.Random(f"{recipe.seed}/{shard}/{position}")
        function = next(dealt, None) if rng.random() < recipe.share_functions else None
        if position < start:
            continue
        if function is None:
            group = _generated(recipe, shard, position, rng)
        else:
            group = _harvested(recipe, function, position, rng)
        for candidate in group:
            yield candidate, position + 1


def _generated(recipe: Recipe, shard: int, position: int, rng: random.Random) -> Iterator[Candidate]:
    level = rng.uniform(recipe.easiest, recipe.hardest(shard))
    dial = Dial(level=level, target_frames=(1, recipe.max_frames))
    program = generate(rng.getrandbits(48), dial)
    yield from _group([program.call], program.source, "generated", recipe.calls_per_program, position, rng)


def _harvested(recipe: Recipe, function: Harvested, position: int, rng: random.Random) -> Iterator[Candidate]:
    name = f"{function.module}.{function.qualname}"
    yield from _group(function.calls, function.source, name, recipe.calls_per_function, position, rng)


def _group(
    calls: Sequence[str], source: str, name: str, max_calls: int, position: int, rng: random.Random
) -> Iterator[Candidate]:
    """One program on its own inputs, then on mutations of them."""
    kind = "generated" if name == "generated" else f"harvested {name}"
    for call in calls:
        yield Candidate(source=source, call=call, origin=kind, group=position, max_calls=max_calls)
    if max_calls > 1:
        for call in mutated_calls(calls, rng, count=TRIES_PER_CALL * max_calls):
            yield Candidate(source=source, call=call, origin=f"mutated {name}", group=position, max_calls=max_calls)


def clean(stage: Iterable[tuple[Candidate, int]], guard: Guard, tally: Tally) -> Iterator[tuple[Candidate, int]]:
    """Drop duplicates, held-out programs and what is contaminated with a benchmark item."""
    seen: set[str] = set()
    group, refused = -1, False
    for candidate, state in stage:
        if candidate.group != group:
            group, refused = candidate.group, _is_refused(candidate.source, guard, tally)
        if refused:
            continue
        key = program_key(candidate.source, candidate.call)
        if key in seen:
            tally.dropped["duplicate"] += 1
            continue
        seen.add(key)
        yield candidate, state


def _is_refused(source: str, guard: Guard, tally: Tally) -> bool:
    if source_key(source) in guard.heldout:
        tally.dropped["held out"] += 1
        return True
    hit = guard.detector.hit(source)
    if hit is not None:
        tally.dropped["in a benchmark"] += 1
        tally.contaminated[hit.item] += 1
    return hit is not None


def recorded(
    stage: Iterable[tuple[Candidate, int]], recipe: Recipe
) -> Iterator[tuple[tuple[Candidate, Recorded], int]]:
    """Run the candidates; batches are read ahead, so what is in flight is remembered here."""
    waiting: deque[tuple[Candidate, int]] = deque()

    def programs() -> Iterator[tuple[str, str | None]]:
        for candidate, state in stage:
            waiting.append((candidate, state))
            yield candidate.source, candidate.call

    for result in record_many(programs(), options=recipe.options, trusted=recipe.is_trusted):
        candidate, state = waiting.popleft()
        yield (candidate, result), state


def kept(
    stage: Iterable[tuple[tuple[Candidate, Recorded], int]], recipe: Recipe, tally: Tally
) -> Iterator[tuple[Row, int]]:
    """Drop what is of no use; of a program's inputs, keep those that show something new."""
    group, novelty, num_kept = -1, Novelty(), 0
    for (candidate, result), state in stage:
        if candidate.group != group:
            group, novelty, num_kept = candidate.group, Novelty(), 0
        reason = _reason_to_drop(result, recipe)
        trace = result.trace
        if trace is None or reason is not None:
            tally.dropped[reason or "not recorded"] += 1
            continue
        if num_kept == candidate.max_calls or not novelty.adds(trace):
            tally.dropped["nothing new"] += 1
            continue
        num_kept += 1
        tally.kept[candidate.origin.partition(" ")[0]] += 1
        tally.frames += len(trace.frames)
        tally.tokens += estimate_tokens(trace)
        key = program_key(candidate.source, candidate.call)
        yield Row(trace_id=key, source=candidate.origin, trace=trace), state


def _reason_to_drop(result: Recorded, recipe: Recipe) -> str | None:
    trace = result.trace
    if trace is None:
        return f"not recorded: {(result.cause or '').partition(':')[0]}"
    if trace.outcome not in ("returned", "raised"):
        return f"outcome {trace.outcome}"
    if len(trace.frames) > recipe.max_frames:
        return "too many frames"
    if estimate_tokens(trace) > recipe.max_tokens:
        return "too many tokens"
    if str(trace.header.get("exception") or "").startswith("NameError"):
        return "NameError"
    return None


def estimate_tokens(trace: Trace) -> int:
    """About how many tokens the trace has for a model, without a tokenizer."""
    chars = len(trace.context)
    shown: list[int] = []
    """Names shown so far in each activation on the stack; unchanged ones cost their `".."`."""
    for frame in trace.frames:
        chars += len(frame.source_line) + len(frame.value or "") + 12
        if frame.event == "call":
            shown.append(0)
        if frame.locals is not None and shown:
            fresh = frame.locals.set
            shown[-1] = max(shown[-1], len(fresh))
            chars += sum(len(name) + len(value) + 8 for name, value in fresh.items())
            chars += 12 * (shown[-1] - min(shown[-1], len(fresh)))
        if frame.event == "return" and shown:
            shown.pop()
    return int(chars / CHARS_PER_TOKEN)

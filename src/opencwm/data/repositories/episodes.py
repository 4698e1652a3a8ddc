"""Episodes: function-level pieces of the traces of a test suite.

    traces --survey--> what each call of a repository's function shows --choose--> some per function
    trace, a chosen call --cut--> Episode: the call, its callees stepped into or folded, the source that it needs

An episode begins at a `call` frame, where every local is shown in full, and ends at its `return`: it is a trace of its
own. A callee is stepped into with a certain probability, down to a certain depth, while frames are left; otherwise it
is stepped over as trace format, section 4 has it: its `call` frame, then (what it raised and) its `return`. So every
frame of an episode is a frame of the whole trace, with the same state.

CWM, arXiv 2510.02387, section 2.2: "episodify", then "context gathering". The depth, the probability and the way of
compressing are not published; ours are guesses, and `EpisodeConfig` has them. Left out as entry points, though not as
callees: generators, coroutines, lambdas.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opencwm.data.length import CHARS_PER_TOKEN, estimate_tokens
from opencwm.data.repositories.calls import Call, calls_of
from opencwm.data.repositories.context import gather
from opencwm.data.repositories.sources import Function, Sources
from opencwm.errors import ConfigError
from opencwm.trace.recording.frame import Frame, Trace, dump

MAX_SIMILAR = 2
"""Calls of one function that differ in their result only."""
MAX_SURVEYED = 256
"""Calls of one function that are chosen from; a suite may make a million."""
ACCIDENTS = frozenset({"MemoryError", "RecursionError"})
"""Exceptions that say more about the machine than about the program."""
_CUT = re.compile(r"\.\.\.\(\+\d+\)")


@dataclass(frozen=True, kw_only=True, slots=True)
class EpisodeConfig:
    seed: int = 0
    """Every random choice follows from it."""
    per_function: int = 6
    """Most episodes of one function."""
    max_depth: int = 3
    """The deepest calls that are stepped into, the entry point being 0; those that they make are stepped over."""
    step_in: float = 0.5
    """Probability that a call that is not too deep is stepped into."""
    min_frames: int = 5
    """Calls with fewer, callees included, show nothing: 3 are those of `return self.x`."""
    max_frames: int = 256
    """Most frames of an episode: calls that would make it longer are stepped over."""
    max_context_tokens: int = 2_048
    """Most tokens of source, estimated."""
    max_tokens: int = 4_096
    """Longer episodes are dropped, by the same estimate."""

    def __post_init__(self) -> None:
        for name in ("per_function", "max_frames", "max_context_tokens", "max_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if self.max_depth < 0:
            raise ConfigError(f"max_depth is {self.max_depth}: it cannot be below 0")
        if not 0 <= self.step_in <= 1:
            raise ConfigError(f"step_in is {self.step_in}: it must be between 0 and 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    function: Function
    """The entry point."""
    trace: Trace
    indices: tuple[int, ...]
    """Of its frames in the whole trace."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a call of a function showed; enough to choose by."""

    trace: int
    """Number of the trace in its file."""
    start: int
    function: Function
    outcome: str
    """"returned", or the exception's class."""
    lines: frozenset[int]
    """Of the function itself."""
    path: int
    """Hash of the sequence of these lines."""
    result: str
    num_frames: int
    """With everything that it called, up to the most that an episode may have."""


def episodes_of(
    traces: Callable[[], Iterable[Trace]],
    sources: Sources,
    config: EpisodeConfig,
    *,
    dropped: Counter[str] | None = None,
    is_wanted: Callable[[Function], bool] = lambda function: True,
) -> Iterator[Episode]:
    """The episodes of a suite, in the order of its traces; `traces` is called twice.

    `is_wanted` says which functions may be entry points; reasons and numbers of calls that were chosen but cannot be
    episodes are added to `dropped`.
    """
    dropped = Counter() if dropped is None else dropped
    chosen: dict[int, dict[int, Function]] = defaultdict(dict)
    for seen in choose(survey(traces(), sources, config, is_wanted), config.per_function):
        chosen[seen.trace][seen.start] = seen.function
    for number, trace in enumerate(traces()):
        starts = chosen.get(number)
        for call in calls_of(trace.frames) if starts else ():
            if starts and call.start in starts:
                episode = cut(trace, call, starts[call.start], sources, config)
                if isinstance(episode, str):
                    dropped[episode] += 1
                else:
                    yield episode


def survey(
    traces: Iterable[Trace], sources: Sources, config: EpisodeConfig, is_wanted: Callable[[Function], bool]
) -> Iterator[Seen]:
    """The calls that can be episodes."""
    max_chars = config.max_tokens * CHARS_PER_TOKEN
    for number, trace in enumerate(traces):
        frames = trace.frames
        for call in calls_of(frames):
            if call.num_shortest > config.max_frames or call.end - call.start + 1 < config.min_frames:
                continue
            function = _function_of(frames, call, sources)
            if function is not None and is_wanted(function) and _num_chars(frames, call) <= max_chars:
                lines = tuple(frames[index].line_no for index in call.own[1:])
                exception = _exception(frames, call)
                outcome = "returned" if exception is None else exception.partition("(")[0]
                result = frames[call.end].value if exception is None else exception
                if outcome not in ACCIDENTS:
                    size = min(call.end - call.start + 1, config.max_frames)
                    kind = (frozenset(lines), hash(lines), result or "")
                    yield Seen(number, call.start, function, outcome, *kind, size)


def choose(calls: Iterable[Seen], per_function: int) -> list[Seen]:
    """Of each function's calls those that show the most: outcomes first, then new lines, paths, length."""
    by_function: dict[Function, list[Seen]] = defaultdict(list)
    alike: Counter[tuple[Function, str, int]] = Counter()
    results: set[tuple[Function, str, int, str]] = set()
    for seen in calls:
        kind = (seen.function, seen.outcome, seen.path)
        known = by_function[seen.function]
        if (*kind, seen.result) not in results and alike[kind] <= MAX_SIMILAR and len(known) < MAX_SURVEYED:
            results.add((*kind, seen.result))
            alike[kind] += 1
            known.append(seen)
    return [seen for known in by_function.values() for seen in _most_diverse(known, per_function)]


def _most_diverse(calls: list[Seen], count: int) -> Iterator[Seen]:
    outcomes: set[str] = set()
    lines: set[int] = set()
    paths: set[int] = set()
    left = list(calls)

    def gain(seen: Seen) -> tuple[bool, int, bool, int]:
        return seen.outcome not in outcomes, len(seen.lines - lines), seen.path not in paths, seen.num_frames

    while left and count:
        best = max(left, key=gain)
        left.remove(best)
        outcomes.add(best.outcome)
        lines |= best.lines
        paths.add(best.path)
        count -= 1
        yield best


def cut(trace: Trace, call: Call, function: Function, sources: Sources, config: EpisodeConfig) -> Episode | str:
    """One call as an episode, or why it cannot be one.

    What is too long with the calls that chance steps into is tried again with none.
    """
    made = _cut(trace, call, function, sources, config)
    if isinstance(made, str) and config.step_in > 0:
        made = _cut(trace, call, function, sources, replace(config, step_in=0.0))
    return made


def _cut(trace: Trace, call: Call, function: Function, sources: Sources, config: EpisodeConfig) -> Episode | str:
    # not by the trace's place among the others: one that is missing changes nothing about the rest
    test = trace.header.get("test", {}).get("id", "")
    chance = f"{config.seed}/{test}/{trace.header.get('process')}/{trace.header.get('thread')}/{call.start}"
    indices, folded = _walk(call, config, random.Random(chance))
    frames = [trace.frames[index] for index in indices]
    quoted = {(frame.file, frame.line_no): frame.source_line for frame in frames}
    inside = (trace.frames[index] for each in folded for index in range(each.start, each.end + 1))
    context = gather(
        sources,
        quoted,
        dict.fromkeys((frame.file, frame.line_no) for frame in inside),
        (function.file, function.line_no),
        max_chars=int(config.max_context_tokens * CHARS_PER_TOKEN),
    )
    if context is None:
        return "its source is too long, or not as it ran"
    exception = _exception(trace.frames, call)
    depth = trace.frames[call.start].depth
    rebased = [replace(frame, depth=frame.depth - depth) for frame in frames]
    episode = Trace(
        {
            **trace.header,
            "context": context,
            "entry": function.qualname,
            "outcome": "returned" if exception is None else "raised",
            "exception": exception,
            "num_frames": len(rebased),
            "num_bytes": sum(len(dump(frame.to_dict()).encode()) for frame in rebased),
            "truncated": {"values": _num_cut(trace, rebased), "frames": False},
            "episode": {"file": function.file, "frame": call.start, **_choices(config)},
        },
        rebased,
    )
    if estimate_tokens(episode) > config.max_tokens:
        return "too many tokens"
    return Episode(function=function, trace=episode, indices=tuple(indices))


def _walk(call: Call, config: EpisodeConfig, rng: random.Random) -> tuple[list[int], list[Call]]:
    """The frames that are kept, and the calls that are stepped over."""
    kept: list[int] = []
    folded: list[Call] = []
    left = config.max_frames - call.num_shortest
    open_calls = [iter(call.parts)]
    while open_calls:
        part = next(open_calls[-1], None)
        if part is None:
            open_calls.pop()
        elif isinstance(part, int):
            kept.append(part)
        else:
            more = part.num_shortest - len(part.folded)
            if len(open_calls) <= config.max_depth and rng.random() < config.step_in and more <= left:
                left -= more
                open_calls.append(iter(part.parts))
            else:
                kept.extend(part.folded)
                folded.append(part)
    return kept, folded


def _function_of(frames: Sequence[Frame], call: Call, sources: Sources) -> Function | None:
    """The function that a call is of, where it may be an entry point."""
    first, last = frames[call.start], frames[call.end]
    if first.cause is not None or last.cause not in (None, "unwind") or first.locals is None:
        return None
    function = sources.function_at((first.file, first.line_no))
    if function is None or function.suspends or not function.parameters <= first.locals.set.keys():
        return None
    return function


def _num_chars(frames: Sequence[Frame], call: Call) -> int:
    """Characters that the call's own frames have at least."""
    own = (frames[index] for index in call.own)
    return sum(len(frame.source_line) + sum(map(len, _texts(frame))) for frame in own)


def _texts(frame: Frame) -> Iterable[str]:
    return frame.locals.set.values() if frame.locals else (frame.value or "",)


def _exception(frames: Sequence[Frame], call: Call) -> str | None:
    """What the call raised; None where it returned."""
    if frames[call.end].cause != "unwind":
        return None
    raised = frames[call.folded[-2]]
    return raised.value if raised.event == "exception" else ""


def _num_cut(trace: Trace, frames: Iterable[Frame]) -> int:
    """How many texts were cut, by their looks; none where the recorder has cut none."""
    if not trace.header["truncated"]["values"]:
        return 0
    limit = trace.header["options"]["max_value_chars"]
    texts = (text for frame in frames for text in _texts(frame))
    return sum(bool(_CUT.search(text)) or _is_at_limit(text, limit) for text in texts)


def _is_at_limit(text: str, limit: int | None) -> bool:
    return limit is not None and len(text) >= limit and text.endswith("...")


def _choices(config: EpisodeConfig) -> dict[str, Any]:
    return {"seed": config.seed, "max_depth": config.max_depth, "step_in": config.step_in}

"""The held-out set: programs that no model of ours may ever train on, frozen before the first training run.

    generate(seed, seed + 1, ...) --record, keep by quota--> programs.jsonl.gz (traces) + heldout.json (what is in it)

Lengths are drawn by quota (`SHARES`), so that every length class is populated, the median is at least 25 frames and the
90th percentile at least 80. Programs are then exchanged until each core construct of the generator is in at least
`MIN_CONSTRUCT_SHARE` of them. No two have an equal normalised source. The files are a pure function of (n, seed,
generator, recorder); the hash is of the uncompressed lines.
"""

import hashlib
import json
import math
import platform
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencwm import __version__
from opencwm.data.dedup import source_key
from opencwm.data.programs import Dial, generate
from opencwm.data.programs.constructs import CORE
from opencwm.data.record import program_of, record_many
from opencwm.errors import ConfigError, DataError
from opencwm.trace.files import read_traces, write_traces
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.options import Options

CLASSES = ((1, 10), (11, 30), (31, 100), (101, 256))
"""Lengths in frames, both ends included."""
SHARES = (0.12, 0.36, 0.43, 0.09)
MIN_CONSTRUCT_SHARE = 0.05
MAX_DRAWS_PER_PROGRAM = 60
PROGRAMS, STATISTICS = "programs.jsonl.gz", "heldout.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    key: str
    trace: Trace
    constructs: frozenset[str]

    @property
    def length_class(self) -> int:
        """Index into `CLASSES`; the last one takes all that is longer."""
        return next((n for n, (_, last) in enumerate(CLASSES) if len(self.trace.frames) <= last), len(CLASSES) - 1)


def freeze_heldout(
    n: int,
    seed: int,
    out: str | Path,
    *,
    required: Sequence[str] = CORE,
    refused: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Draw, record and write the set; returns its statistics.

    `required` constructs are each in at least `MIN_CONSTRUCT_SHARE` of the programs; `refused` are source keys of
    programs that may not be in it.
    """
    folder = Path(out)
    if (folder / PROGRAMS).exists():
        raise ConfigError(f"{folder / PROGRAMS} is frozen already", fix="choose another folder")
    quotas = _quotas(n)
    chosen = _balance(*_fill(_draw(n, seed, refused), quotas), required)
    chosen.sort(key=lambda each: each.key)
    text = "".join(each.trace.to_json() + "\n" for each in chosen).encode()
    facts = _statistics(chosen, n, seed, text)
    folder.mkdir(parents=True, exist_ok=True)
    write_traces(folder / PROGRAMS, (each.trace for each in chosen))
    (folder / STATISTICS).write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def heldout_keys(path: str | Path) -> frozenset[str]:
    """Source keys of the held-out programs."""
    return frozenset(source_key(program_of(trace)[0]) for trace in read_traces(path))


def _quotas(n: int) -> list[int]:
    quotas = [int(share * n) for share in SHARES]
    quotas[-2] += n - sum(quotas)
    return quotas


def _draw(n: int, seed: int, refused: frozenset[str]) -> Iterator[Drawn]:
    """Recorded programs at the full dial, usable and unique, in the order of their seeds."""
    dial = Dial(level=1.0, target_frames=(CLASSES[0][0], CLASSES[-1][1]))
    seen = set(refused)
    for first in range(seed, seed + n * MAX_DRAWS_PER_PROGRAM, 256):
        programs = [generate(each, dial) for each in range(first, first + 256)]
        options = Options(max_frames=CLASSES[-1][1] + 1)
        results = record_many(((each.source, each.call) for each in programs), options=options)
        for program, result in zip(programs, results, strict=True):
            key = source_key(program.source)
            if key not in seen and result.trace is not None and _is_usable(result.trace):
                seen.add(key)
                yield Drawn(key=key, trace=result.trace, constructs=frozenset(program.constructs))


def _is_usable(trace: Trace) -> bool:
    return trace.outcome in ("returned", "raised") and not trace.header["truncated"]["values"]


def _fill(draws: Iterator[Drawn], quotas: Sequence[int]) -> tuple[list[Drawn], Iterator[Drawn]]:
    chosen: list[Drawn] = []
    filled: Counter[int] = Counter()
    for each in draws:
        if filled[each.length_class] < quotas[each.length_class]:
            filled[each.length_class] += 1
            chosen.append(each)
        if len(chosen) == sum(quotas):
            return chosen, draws
    short = [f"{CLASSES[n]}: {filled[n]} of {quota}" for n, quota in enumerate(quotas) if filled[n] < quota]
    raise DataError(f"the generator makes too few programs of some lengths ({'; '.join(short)})")


def _balance(chosen: list[Drawn], draws: Iterator[Drawn], required: Sequence[str]) -> list[Drawn]:
    """Exchange programs, length for length, until no required construct is rare."""
    needed = math.ceil(len(chosen) * MIN_CONSTRUCT_SHARE)
    counts = Counter(name for each in chosen for name in each.constructs)
    while rare := {name for name in required if counts[name] < needed}:
        newcomer = next(draws, None)
        if newcomer is None:
            raise DataError(f"the generator makes too few programs with {', '.join(sorted(rare))}")
        if not newcomer.constructs & rare:
            continue
        for index, each in enumerate(chosen):
            lost, won = each.constructs - newcomer.constructs, newcomer.constructs - each.constructs
            is_gain = bool(won & rare) and all(counts[name] > needed for name in lost & set(required))
            if is_gain and each.length_class == newcomer.length_class:
                counts.subtract(each.constructs)
                counts.update(newcomer.constructs)
                chosen[index] = newcomer
                break
    return chosen


def _statistics(chosen: Sequence[Drawn], n: int, seed: int, text: bytes) -> dict[str, Any]:
    frames = sorted(len(each.trace.frames) for each in chosen)
    constructs = Counter(name for each in chosen for name in each.constructs)
    classes = Counter(each.length_class for each in chosen)
    return {
        "n": n,
        "seed": seed,
        "sha256": hashlib.sha256(text).hexdigest(),
        "median_frames": statistics.median(frames),
        "p90_frames": frames[int(0.9 * len(frames))],
        "num_frames": sum(frames),
        "lengths": {f"{low}-{high}": classes[n] for n, (low, high) in enumerate(CLASSES)},
        "outcomes": dict(sorted(Counter(each.trace.outcome for each in chosen).items())),
        "constructs": {name: round(count / n, 4) for name, count in sorted(constructs.items())},
        "versions": {"opencwm": __version__, "python": platform.python_version()},
    }

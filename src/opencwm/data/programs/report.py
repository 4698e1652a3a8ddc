"""What comes out of the generator, in numbers: variety, duplicates, constructs, lengths.

    generate(seed), generate(seed + 1), ... --count--> Report

Frames are those of the trial run, which are the recorder's. Variety is counted on Python tokens: the share of n-grams
that are distinct falls with n programs, so compare reports over equally many programs only.
The command is `python -m opencwm.data.programs`.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from opencwm.data.dedup import program_key, source_key
from opencwm.data.lexemes import lexemes
from opencwm.data.programs.constructs import CORE, RARE
from opencwm.data.programs.dial import Dial
from opencwm.data.programs.generate import LENGTH_CLASSES, generate
from opencwm.data.programs.trial import attempt

NGRAMS = (4, 8)
PERCENTILES = (10, 50, 90, 99)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    num_programs: int
    seconds: float
    """CPU time that generating them took."""
    kinds: dict[str, float]
    """Shares of idiom, typed and composed programs."""
    constructs: dict[str, float]
    """Share of the programs that contain each construct."""
    frames: dict[str, int]
    """Percentiles of the trace length, and the longest."""
    length_classes: dict[str, float]
    """Share of the programs by trace length."""
    failed: float
    """Share of the programs that end in an exception."""
    exceptions: dict[str, int]
    """Which, and how often."""
    duplicate_sources: float
    """Share of the programs whose normalised source an earlier one has (another call, perhaps)."""
    duplicate_programs: float
    """Share of the programs whose normalised source and call an earlier one has."""
    distinct_ngrams: dict[str, float]
    """Share of the n-grams of Python tokens that are distinct, by n."""
    num_distinct_ngrams: dict[str, int]
    num_names: int
    """Distinct identifiers."""
    lines: float
    """Mean number of lines."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        """For people."""
        rows = [
            f"programs            {self.num_programs}, {self.num_programs / self.seconds:.0f} per CPU second",
            f"kinds               {_shares(self.kinds)}",
            f"lines               {self.lines:.1f} on average",
            f"frames              {', '.join(f'{name}: {value}' for name, value in self.frames.items())}",
            f"length classes      {_shares(self.length_classes)}",
            f"end in an exception {self.failed:.1%} {self.exceptions}",
            f"equal sources       {self.duplicate_sources:.2%} (normalised)",
            f"equal programs      {self.duplicate_programs:.2%} (normalised, with their calls)",
        ]
        for size, share in self.distinct_ngrams.items():
            rows.append(f"distinct {size}-grams    {share:.1%} ({self.num_distinct_ngrams[size]})")
        rows.append(f"identifiers         {self.num_names}")
        for title, names in (("core constructs", CORE), ("rare constructs", RARE)):
            rows.append(f"{title:<19} {_shares({name: self.constructs.get(name, 0.0) for name in names})}")
        return "\n".join(rows)


def measure(num_programs: int, seed: int = 0, dial: Dial | None = None) -> Report:
    """Generate that many programs from the seed on, and count."""
    assert num_programs > 0, num_programs
    start = time.process_time()
    programs = [generate(seed + number, dial) for number in range(num_programs)]
    seconds = time.process_time() - start
    trials = [attempt(each.source, each.call) for each in programs]
    frames = sorted(trial.num_frames for trial in trials)
    tokens = [lexemes(each.source) for each in programs]
    grams = {size: _ngrams(tokens, size) for size in NGRAMS}
    failed = Counter(trial.failed for trial in trials if trial.failed)
    return Report(
        num_programs=num_programs,
        seconds=seconds,
        kinds=_counted(Counter(each.kind for each in programs), num_programs),
        constructs=_counted(Counter(name for each in programs for name in each.constructs), num_programs),
        frames={f"p{p}": frames[min(num_programs - 1, num_programs * p // 100)] for p in PERCENTILES}
        | {"longest": frames[-1]},
        length_classes={
            _class_name(low, high): sum(low <= each <= high for each in frames) / num_programs
            for low, high in (*LENGTH_CLASSES[:-1], (LENGTH_CLASSES[-1][0], 10**9))
        },
        failed=sum(failed.values()) / num_programs,
        exceptions=dict(sorted(failed.items(), key=lambda item: (-item[1], item[0]))),
        duplicate_sources=_repeated([source_key(each.source) for each in programs]),
        duplicate_programs=_repeated([program_key(each.source, each.call) for each in programs]),
        distinct_ngrams={str(size): len(found) / max(1, total) for size, (found, total) in grams.items()},
        num_distinct_ngrams={str(size): len(found) for size, (found, _) in grams.items()},
        num_names=len({token for each in tokens for token in each if token.isidentifier()}),
        lines=sum(each.source.count("\n") for each in programs) / num_programs,
    )


def _ngrams(sources: Sequence[Sequence[str]], size: int) -> tuple[set[tuple[str, ...]], int]:
    found: set[tuple[str, ...]] = set()
    total = 0
    for tokens in sources:
        for at in range(len(tokens) - size + 1):
            found.add(tuple(tokens[at : at + size]))
            total += 1
    return found, total


def _repeated(keys: Sequence[str]) -> float:
    return 1 - len(set(keys)) / len(keys)


def _counted(counts: Counter[str], total: int) -> dict[str, float]:
    return {name: count / total for name, count in sorted(counts.items())}


def _class_name(low: int, high: int) -> str:
    return f"{low}-{high}" if high < 10**9 else f">{low - 1}"


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())

"""Programs that we write ourselves: `data/programs`, in rising difficulty."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from opencwm.data.programs import Dial, generate
from opencwm.data.sources.base import Dealer, Job, Say, Shard, Take, Work, record_calls
from opencwm.data.sources.mutation import with_mutations
from opencwm.errors import ConfigError
from opencwm.trace.recording.options import Options


@dataclass(frozen=True, kw_only=True, slots=True)
class Generated:
    name: ClassVar[str] = "generated"
    kinds: ClassVar[tuple[str, ...]] = ("generated",)

    weight: float = 1.0
    """Share of the programs, relative to the other sources'; positions that others leave empty are filled from here
    while this is more than 0."""
    calls: int = 1
    """Most inputs kept per program; more than 1 mutates the program's own."""
    easiest: float = 0.15
    """Difficulty of the easiest programs, from 0 to 1."""
    ramp: float = 0.3
    """Share of the shards over which the hardest programs rise from `easiest` to full difficulty; 0: full at once."""

    def __post_init__(self) -> None:
        if self.calls < 1:
            raise ConfigError(f"generated.calls is {self.calls}: it must be at least 1")
        for name in ("easiest", "ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"generated.{name} is {getattr(self, name)}: it must be between 0 and 1")

    def hardest(self, shard: int, num_shards: int) -> float:
        """The greatest difficulty in a shard: the curriculum."""
        risen = 1.0 if self.ramp == 0 else min(1.0, (shard + 1) / (num_shards * self.ramp))
        return self.easiest + (1 - self.easiest) * risen

    def prepare(self, folder: Path, say: Say) -> None:
        pass

    def files(self) -> tuple[str, ...]:
        return ()

    def deal(self, shard: Shard) -> Dealer:
        dial = Dial(level=self.hardest(shard.number, shard.count), target_frames=(1, shard.max_frames))

        def work(rng: random.Random) -> Work:
            program = generate(rng.getrandbits(48), dial)
            runs = with_mutations([program.call], ("generated", "generated"), self.calls, rng)
            return Work(source=program.source, runs=runs, max_rows=self.calls)

        return work

    def record(self, jobs: Iterable[Job], options: Options) -> Iterator[Sequence[Take]]:
        return record_calls(jobs, options, trusted=True)

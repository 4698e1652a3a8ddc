"""What one dataset is made of: a frozen value that says everything, and the checks on it."""

import dataclasses
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from opencwm.errors import ConfigError
from opencwm.trace.recording.options import Options


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    seed: int = 0
    """Every random choice follows from it."""
    num_programs: int = 20_000
    """Programs asked for, before any is dropped."""
    shard_size: int = 1_000
    """Programs asked for per shard: some seconds of work, which is what a kill loses."""
    share_functions: float = 0.0
    """Share of the programs that are harvested functions, on given and mutated inputs; the rest is generated. Less
    where the harvest is exhausted before: no function is used twice."""
    harvest: tuple[str, ...] = ("stdlib",)
    """Where functions are harvested: "stdlib", "site-packages", names of packages, files and folders."""
    calls_per_function: int = 6
    """Most inputs kept per harvested function (6: precursor of CWM, arXiv 2503.05703)."""
    calls_per_program: int = 1
    """Most inputs kept per generated program; more than 1 mutates the program's own."""
    easiest: float = 0.15
    """Difficulty of the easiest programs, from 0 to 1."""
    ramp: float = 0.3
    """Share of the shards over which the hardest programs rise from `easiest` to full difficulty; 0: full at once."""
    max_frames: int = 256
    """Longer traces are dropped."""
    max_tokens: int = 4_096
    """Longer traces are dropped, by an estimate from their number of characters."""
    heldout: str | None = None
    """The held-out programs (`programs.jsonl.gz`); no program with an equal normalised source comes in."""
    benchmarks: tuple[str, ...] = ()
    """Benchmark files; no program that shares a function body or half of its 13-grams with an item comes in."""
    timeout_s: float = 2.0
    """Wall clock per program."""

    def __post_init__(self) -> None:
        for name in (
            "num_programs",
            "shard_size",
            "max_frames",
            "max_tokens",
            "calls_per_function",
            "calls_per_program",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in ("share_functions", "easiest", "ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be between 0 and 1")

    @property
    def num_shards(self) -> int:
        return -(-self.num_programs // self.shard_size)

    def programs_in(self, shard: int) -> int:
        return min(self.shard_size, self.num_programs - shard * self.shard_size)

    def hardest(self, shard: int) -> float:
        """The greatest difficulty in a shard: the curriculum."""
        risen = 1.0 if self.ramp == 0 else min(1.0, (shard + 1) / (self.num_shards * self.ramp))
        return self.easiest + (1 - self.easiest) * risen

    @property
    def options(self) -> Options:
        """The recorder's: everything by default, but programs end where their trace would be dropped."""
        return Options(max_frames=self.max_frames + 1, timeout_s=self.timeout_s)

    @property
    def is_trusted(self) -> bool:
        """Whether all code is our own or the standard library's."""
        return self.share_functions == 0 or set(self.harvest) == {"stdlib"}

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Recipe":
        names = [each.name for each in dataclasses.fields(cls)]
        for key in data:
            if key not in names:
                near = get_close_matches(key, names, 1)
                raise ConfigError(f"a data recipe has no key {key!r}", fix=f"did you mean {near[0]!r}?" if near else "")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)

"""What one dataset is made of: a frozen value that says everything, and the checks on it."""

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from opencwm.data.sources.base import Source
from opencwm.data.sources.contests import Contests
from opencwm.data.sources.functions import Functions
from opencwm.data.sources.generated import Generated
from opencwm.data.sources.repositories import Repositories
from opencwm.data.sources.suites import Suites
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
    generated: Generated = field(default_factory=Generated)
    functions: Functions = field(default_factory=Functions)
    contests: Contests = field(default_factory=Contests)
    repositories: Repositories = field(default_factory=Repositories)
    suites: Suites = field(default_factory=Suites)
    min_frames: int = 1
    """Shorter traces are dropped."""
    max_frames: int = 256
    """Longer traces are dropped."""
    max_tokens: int = 4_096
    """Longer traces are dropped, by an estimate from their number of characters."""
    heldout: str | None = None
    """The held-out programs (`programs.jsonl.gz`); no program with an equal normalised source comes in."""
    benchmarks: tuple[str, ...] = ()
    """Benchmark files; no program that shares a function body or half of its 13-grams with an item comes in."""
    any_licence: bool = False
    """Whether code comes in whose package has a licence that is not permissive."""
    near_duplicates: float | None = 0.85
    """Programs whose MinHash signatures agree in this share are one program, and the first stays; None: all stay."""
    max_share: float | None = None
    """No source gives more than this share of the traces: what is over is dropped at random; None: no limit."""
    timeout_s: float = 2.0
    """Wall clock per program: generous, since what it stops is dropped."""

    def __post_init__(self) -> None:
        for name in ("num_programs", "shard_size", "min_frames", "max_frames", "max_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in ("near_duplicates", "max_share"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise ConfigError(f"{name} is {value}: it must be over 0 and at most 1, or none")
        if self.max_share is not None and self.max_share * len(self.sources) < 1:
            fix = "raise it, or give more sources a weight"
            raise ConfigError(
                f"max_share is {self.max_share}: {len(self.sources)} sources cannot all be under it", fix=fix
            )
        for source in self.all_sources:
            if source.weight < 0:
                raise ConfigError(f"{source.name}.weight is {source.weight}: it must be 0 or more")
        if not self.sources:
            raise ConfigError("every source has weight 0", fix="give one a weight, such as generated.weight=1")

    @property
    def all_sources(self) -> tuple[Source, ...]:
        """In the order in which they take their share of the plan; generated programs fill what others leave."""
        return (self.functions, self.contests, self.repositories, self.suites, self.generated)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Those that are asked for."""
        return tuple(source for source in self.all_sources if source.weight > 0)

    def draw(self, rng: random.Random) -> Source:
        """The source of one position of the plan, by weight."""
        sources = self.sources
        point = rng.random() * sum(source.weight for source in sources)
        for source in sources:
            point -= source.weight
            if point < 0:
                return source
        return sources[-1]

    @property
    def num_shards(self) -> int:
        return -(-self.num_programs // self.shard_size)

    def programs_in(self, shard: int) -> int:
        return min(self.shard_size, self.num_programs - shard * self.shard_size)

    @property
    def options(self) -> Options:
        """The recorder's: everything by default, but programs end where their trace would be dropped."""
        return Options(max_frames=self.max_frames + 1, timeout_s=self.timeout_s)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Recipe":
        """The inverse of `to_dict`; a key that does not exist is refused with the nearest one."""
        recipe: Recipe = _from_dict(cls(), data, "")
        return recipe


def _from_dict(default: Any, data: Mapping[str, Any], prefix: str) -> Any:
    known = {each.name: getattr(default, each.name) for each in dataclasses.fields(default)}
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            fix = f"did you mean {prefix + near[0]!r}?" if near else ""
            raise ConfigError(f"a data recipe has no key {prefix + key!r}", fix=fix)
        if dataclasses.is_dataclass(known[key]):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{prefix + key!r} is a group of settings, not {value!r}")
            values[key] = _from_dict(known[key], value, f"{prefix}{key}.")
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(default, **values)

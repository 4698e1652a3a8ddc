"""Functions that people wrote (`data/functions.py`), on the inputs that people gave them and on mutations of those."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from opencwm.data.functions import STDLIB, harvest, load_harvest, save_harvest
from opencwm.data.sources.base import Dealer, Job, Package, Say, Shard, Take, Work, record_calls
from opencwm.data.sources.mutation import with_mutations
from opencwm.errors import ConfigError
from opencwm.trace.recording.options import Options

HARVEST = "functions.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Functions:
    name: ClassVar[str] = "functions"
    kinds: ClassVar[tuple[str, ...]] = ("harvested", "mutated")

    weight: float = 0.0
    """Share of the programs, relative to the other sources'; less where the harvest is exhausted before: no function is
    used twice."""
    places: tuple[str, ...] = ("stdlib",)
    """Where functions are harvested: "stdlib", "site-packages", names of packages, files and folders."""
    calls: int = 6
    """Most inputs kept per function (6: precursor of CWM, arXiv 2503.05703)."""

    def __post_init__(self) -> None:
        if self.calls < 1:
            raise ConfigError(f"functions.calls is {self.calls}: it must be at least 1")

    @property
    def is_trusted(self) -> bool:
        """Whether all code is the standard library's."""
        return set(self.places) <= {STDLIB}

    def prepare(self, folder: Path, say: Say) -> None:
        if not (folder / HARVEST).exists():
            functions = list(harvest(self.places))
            save_harvest(folder / HARVEST, functions)
            say(f"harvested {len(functions):,} functions with inputs from {', '.join(self.places)}")

    def files(self) -> tuple[str, ...]:
        return (HARVEST,)

    def deal(self, shard: Shard) -> Dealer:
        dealt = iter(load_harvest(shard.folder / HARVEST)[shard.number :: shard.count])

        def work(rng: random.Random) -> Work | None:
            function = next(dealt, None)
            if function is None:
                return None
            return Work(
                name=f"{function.module}.{function.qualname}",
                source=function.source,
                runs=with_mutations(function.calls, ("harvested", "mutated"), self.calls, rng),
                max_rows=self.calls,
                package=Package(name=function.package, version=function.version, licence=function.licence),
            )

        return work

    def record(self, jobs: Iterable[Job], options: Options) -> Iterator[Sequence[Take]]:
        return record_calls(jobs, options, trusted=self.is_trusted)

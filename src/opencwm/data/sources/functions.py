"""Functions that people wrote (`data/functions.py`), on inputs of many origins.

    harvest ---> calls in code and doctests, calls that tests made, calls that a model wrote: once per dataset
    each shard -> more, made from types and by mutation --record--> those that show most are kept

What costs something (a harvest, running tests, a model) is done once and lies in `functions.jsonl`; what follows from
a seed is made anew with each shard.
"""

import ast
import dataclasses
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from opencwm.data.asked_inputs import ask_for_calls
from opencwm.data.call_sites import CallSites, observe
from opencwm.data.dedup import source_key
from opencwm.data.functions import Definition, Harvested, harvest, load_harvest, save_harvest
from opencwm.data.inputs import mutated_calls
from opencwm.data.journal import Journal
from opencwm.data.places import STDLIB, find_places
from opencwm.data.sources.base import Dealer, Job, Package, Run, Say, Shard, Take, Work, record_calls
from opencwm.data.typed_inputs import has_typed_inputs, typed_calls
from opencwm.errors import ConfigError
from opencwm.executors import here
from opencwm.provider import served_model
from opencwm.trace.recording.options import Options

HARVEST = "functions.jsonl"
JOURNAL = "functions-asked.jsonl"
PORTION = 32
"""Functions that a model is asked about at a time: what a kill loses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Functions:
    name: ClassVar[str] = "functions"
    kinds: ClassVar[tuple[str, ...]] = ("harvested", "observed", "asked", "typed", "mutated")

    weight: float = 0.0
    """Share of the programs, relative to the other sources'; less where the harvest is exhausted before: no function is
    used twice."""
    places: tuple[str, ...] = ("stdlib",)
    """Where functions are harvested: "stdlib", "site-packages", names of packages, files and folders (also those
    that `pip install --target` has filled)."""
    tests: tuple[str, ...] = ()
    """Scripts, and files and folders of tests, that are run (in the sandbox) to see what functions are called with."""
    model: str | None = None
    """`URL#name` of a served model that writes inputs; None: no one does."""
    asked: int = 8
    """Inputs that the model is asked for per function."""
    typed: int = 6
    """Inputs made from annotations, and from the types of known inputs, that are tried per function."""
    mutated: int = 12
    """Mutations of known inputs that are tried per function."""
    calls: int = 6
    """Most inputs kept per function (6: precursor of CWM, arXiv 2503.05703)."""

    def __post_init__(self) -> None:
        for name, least in (("calls", 1), ("asked", 1), ("typed", 0), ("mutated", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"functions.{name} is {getattr(self, name)}: it must be at least {least}")

    @property
    def is_trusted(self) -> bool:
        """Whether all code is the standard library's, on inputs that no model wrote."""
        return set(self.places) <= {STDLIB} and self.model is None

    def prepare(self, folder: Path, say: Say) -> None:
        if (folder / HARVEST).exists():
            return
        model = None if self.model is None else served_model(self.model)
        observed = self._observed(say)
        functions = list(harvest(self.places, observed=observed, is_wanted=self._is_wanted, executor=here(), say=say))
        say(f"harvested {len(functions):,} functions from {', '.join(self.places)}")
        journal = Journal(folder / JOURNAL)
        if model is not None:

            def answer(asked: Sequence[Harvested]) -> list[list[str]]:
                return ask_for_calls([(each.source, each.qualname) for each in asked], model, count=self.asked)

            for done in journal.ask(functions, lambda each: source_key(each.source), answer, portion=PORTION):
                say(f"{model.name} has written inputs of {done:,} of {len(functions):,} functions")
            functions = [
                dataclasses.replace(each, asked=tuple(journal.answers[source_key(each.source)])) for each in functions
            ]
        save_harvest(folder / HARVEST, functions)
        journal.remove()

    def _observed(self, say: Say) -> CallSites:
        if not self.tests:
            return {}
        found = [place for name in self.places for place in find_places(name)]
        roots, folders = [place.root for place in found], [place.folder for place in found]
        seen = observe(self.tests, roots, path=list(dict.fromkeys(folders)))
        say(f"{', '.join(self.tests)} called {len(seen):,} functions with {sum(map(len, seen.values())):,} inputs")
        return seen

    def _is_wanted(self, definition: Definition) -> bool:
        """Whether a function that nobody is seen to call can be given inputs nevertheless."""
        if isinstance(definition, ast.ClassDef):
            return self.model is not None
        if self.model is not None:
            return bool(definition.args.args or definition.args.posonlyargs or definition.args.kwonlyargs)
        return self.typed > 0 and has_typed_inputs(definition)

    def files(self) -> tuple[str, ...]:
        return (HARVEST,)

    def deal(self, shard: Shard) -> Dealer:
        dealt = iter(load_harvest(shard.folder / HARVEST)[shard.number :: shard.count])

        def work(rng: random.Random) -> Work | None:
            for function in dealt:
                if runs := self._runs(function, rng):
                    return Work(
                        name=f"{function.module}.{function.qualname}",
                        source=function.source,
                        runs=runs,
                        max_rows=self.calls,
                        package=Package(name=function.package, version=function.version, licence=function.licence),
                    )
            return None

        return work

    def _runs(self, function: Harvested, rng: random.Random) -> tuple[Run, ...]:
        """Known calls, then such that are made of types and of those."""
        known = (("harvested", function.calls), ("observed", function.observed), ("asked", function.asked))
        runs: dict[str, str] = {}
        for kind, calls in known:
            runs |= {call: kind for call in calls if call not in runs}
        seed = str(rng.getrandbits(48))
        typed = typed_calls(function.source, function.qualname, list(runs), count=self.typed, seed=seed)
        runs |= dict.fromkeys(typed, "typed")
        runs |= dict.fromkeys(mutated_calls(list(runs), rng, count=self.mutated), "mutated")
        return tuple(Run(kind=kind, call=call) for call, kind in runs.items())

    def record(self, jobs: Iterable[Job], options: Options) -> Iterator[Sequence[Take]]:
        return record_calls(jobs, options, trusted=self.is_trusted)

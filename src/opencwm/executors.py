"""Run one function over many work items: in this process, or in a pool of processes on this machine.

    items --Executor.map--> (item, result) as they finish

Work items are small picklable values and functions are importable by name, so that the same call runs anywhere.
Results are written by the work itself (a shard, a file); what comes back is a summary. Left out: leases and retries
across machines.
"""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Protocol, TypeVar

from opencwm.errors import WorldError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """Each item with its result, in the order in which they finish; the first error ends the iteration."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Inline:
    """One after the other, here."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        for item in items:
            yield item, function(item)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessPool:
    """A pool of fresh interpreters; nothing is inherited but what the items carry."""

    num_workers: int

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        pool = ProcessPoolExecutor(self.num_workers, mp_context=multiprocessing.get_context("spawn"))
        try:
            futures = {pool.submit(function, item): item for item in items}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as exc:
            raise WorldError("a worker process died", fix="run the command again with fewer workers") from exc
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def executor_for(num_workers: int) -> Executor:
    return Inline() if num_workers <= 1 else ProcessPool(num_workers=num_workers)

"""Run one function over many work items: in this process, in processes on this machine, or on a Ray cluster.

    items --Executor.map--> (item, result) as they finish

Work items are small picklable values and functions are importable by name, so that the same call runs anywhere. Items
are taken as there is room for them, so a generator may lease them at that moment (`ledger.py`). An item whose worker
dies is done again by another one. Results are written by the work itself (a shard, a file); what comes back is a
summary. Workers end when the process that started them does, however it ends.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from difflib import get_close_matches
from multiprocessing.connection import wait as wait_for_end
from typing import Any, Literal, Protocol, TypeVar, cast, get_args

from opencwm.errors import ConfigError, WorldError

Item = TypeVar("Item")
Result = TypeVar("Result")
Kind = Literal["inline", "pool", "ray"]
MAX_ATTEMPTS = 5
"""Workers that one item may cost: it may have been in the way of somebody's kill, or be what kills them."""


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
    """Fresh interpreters; nothing is inherited but what the items carry. Each is a pool of one, so that a worker's
    death costs its own item only."""

    num_workers: int

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        source = iter(items)
        idle = [_one_worker() for _ in range(self.num_workers)]
        busy: dict[Future[Result], tuple[ProcessPoolExecutor, Item, int]] = {}
        try:
            while True:
                while idle and (taken := next(source, _END)) is not _END:
                    worker, item = idle.pop(), taken
                    busy[worker.submit(function, item)] = worker, item, 1
                if not busy:
                    return
                for future in wait(busy, return_when=FIRST_COMPLETED).done:
                    worker, item, attempt = busy.pop(future)
                    try:
                        result = future.result()
                    except BrokenProcessPool as exc:
                        worker.shutdown()
                        if attempt == MAX_ATTEMPTS:
                            raise _gave_up(item) from exc
                        worker = _one_worker()
                        busy[worker.submit(function, item)] = worker, item, attempt + 1
                    else:
                        idle.append(worker)
                        yield item, result
        finally:
            for worker in (*idle, *(worker for worker, *_ in busy.values())):
                worker.shutdown(wait=True, cancel_futures=True)


def here() -> Executor:
    """All CPUs of this machine that may be used."""
    num_workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Inline() if num_workers == 1 else ProcessPool(num_workers=num_workers)


_END: Any = object()


def _one_worker() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """End this worker when the process that started it ends: its queue would never tell."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers are started with this"

    def watch() -> None:
        wait_for_end([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _gave_up(item: object) -> WorldError:
    return WorldError(
        f"{MAX_ATTEMPTS} worker processes died on one piece of work ({item!r:.200})",
        fix="is there too little memory? Run the command again with fewer workers",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Ray:
    """Tasks on a Ray cluster: the one at `address` ("auto": the one this machine belongs to), or one of its own on this
    machine. All machines must see the paths that the items name."""

    num_workers: int | None = None
    """Items in flight; None: one for each CPU of the cluster."""
    address: str | None = None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        ray = _ray()
        is_ours = not ray.is_initialized()
        if is_ours:
            own = {} if self.address else {"num_cpus": self.num_workers, "include_dashboard": False}
            ray.init(address=self.address or "local", log_to_driver=False, logging_level="ERROR", **own)
        try:
            yield from self._map(ray, function, items)
        finally:
            if is_ours:
                ray.shutdown()

    def _map(
        self, ray: Any, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Result]]:
        task = ray.remote(num_cpus=1, max_retries=MAX_ATTEMPTS - 1)(function)
        room = self.num_workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        source = iter(items)
        busy: dict[Any, Item] = {}
        while True:
            while len(busy) < room and (item := next(source, _END)) is not _END:
                busy[task.remote(item)] = item
            if not busy:
                return
            (ready,), _ = ray.wait(list(busy), num_returns=1)
            item = busy.pop(ready)
            try:
                result = ray.get(ready)
            except ray.exceptions.RayTaskError as exc:
                raise exc.cause from exc
            except ray.exceptions.RayError as exc:
                raise _gave_up(item) from exc
            yield item, result


def _ray() -> Any:
    try:
        import ray
    except ImportError as exc:
        raise ConfigError("the executor ray needs Ray", fix="pip install 'opencwm[ray]'") from exc
    return ray


def named(name: str) -> Kind:
    """The kind of executor with this name; a ConfigError where there is none."""
    for kind in get_args(Kind):
        if kind == name:
            return cast(Kind, kind)
    near = get_close_matches(name, get_args(Kind), 1, cutoff=0.0)
    raise ConfigError(f"there is no executor {name!r}", fix=f"did you mean {near[0]!r}?")


def executor_for(num_workers: int, kind: Kind | None = None, *, address: str | None = None) -> Executor:
    """By name; None: a process pool, or this process where one worker is asked for."""
    if kind == "ray":
        return Ray(num_workers=None if address else num_workers, address=address)
    if address is not None:
        raise ConfigError("an address is that of a Ray cluster", fix="give --executor ray, too")
    if kind == "inline" or (kind is None and num_workers <= 1):
        return Inline()
    return ProcessPool(num_workers=max(1, num_workers))

"""The one thread that owns the engine, and how the event loop speaks to it.

    event loop --add, cancel--> inbox --between two steps--> Scheduler --tokens--> event loop --> one queue per request

Everything but `Worker._work` and what it calls runs in the event loop.
"""

import asyncio
import contextlib
import itertools
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Sequence
from queue import SimpleQueue

from opencwm.infer.engine import Engine
from opencwm.infer.scheduler import Made, Scheduler
from opencwm.infer.server.errors import Refusal
from opencwm.infer.server.metrics import Metrics
from opencwm.protocols import Request


class Worker:
    def __init__(self, engine: Engine, metrics: Metrics, *, max_queue: int) -> None:
        """At most `max_queue` generations wait for one of the engine's slots."""
        self.capacity = engine.max_batch + max_queue
        self._engine = engine
        self._metrics = metrics
        self._inbox: SimpleQueue[tuple[int, Request | None] | None] = SimpleQueue()
        self._keys = itertools.count()
        self._queues: dict[int, asyncio.Queue[Made]] = {}
        """Of the generations that have not ended."""
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def num_open(self) -> int:
        return len(self._queues)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def open(self, requests: Sequence[Request]) -> "Generations":
        """Begin all of them, or refuse all of them."""
        if len(requests) > self.capacity:
            raise Refusal(400, f"{len(requests)} generations in one request; this server takes {self.capacity}")
        self.check_room(len(requests))
        queue: asyncio.Queue[Made] = asyncio.Queue()
        keys = [next(self._keys) for _ in requests]
        for key, request in zip(keys, requests, strict=True):
            self._queues[key] = queue
            self._inbox.put((key, request))
        return Generations(self, keys, queue)

    def check_room(self, count: int) -> None:
        """A Refusal where `count` more generations would have to wait outside the queue."""
        if len(self._queues) + count > self.capacity:
            raise Refusal(429, "too many requests are waiting: try again later", code="queue_full")

    def cancel(self, key: int) -> bool:
        """End a generation; False where it has ended already."""
        if self._queues.pop(key, None) is None:
            return False
        self._inbox.put((key, None))
        return True

    def stop(self) -> None:
        """End the thread after its current step."""
        self._inbox.put(None)
        self._thread.join()

    def _deliver(self, parts: list[Made]) -> None:
        for part in parts:
            queue = self._queues.get(part.key)
            if queue is not None:  # else it was cancelled during the step
                queue.put_nowait(part)
                if part.finish is not None:
                    del self._queues[part.key]

    def _work(self) -> None:
        scheduler = Scheduler(self._engine)
        known: set[int] = set()
        while self._obey(scheduler, known):
            try:
                parts = scheduler.step()
            except Exception as exc:  # a fault of ours: whoever is in there has failed, the server has not
                traceback.print_exc(file=sys.stderr)
                error = f"the engine failed ({type(exc).__name__})"
                parts = [Made(key=key, finish="failed", error=error) for key in known]
                scheduler = Scheduler(self._engine)
            self._metrics.steps.inc()
            self._metrics.made_tokens.inc(sum(len(part.tokens) for part in parts))
            self._metrics.running.set(scheduler.num_running)
            self._metrics.waiting.set(scheduler.num_waiting)
            known -= {part.key for part in parts if part.finish is not None}
            if parts:
                self._tell(parts)

    def _obey(self, scheduler: Scheduler, known: set[int]) -> bool:
        """Do what has come into the inbox, and wait there while there is nothing else to do; False: stop."""
        while scheduler.is_idle or not self._inbox.empty():
            item = self._inbox.get()
            if item is None:
                return False
            key, request = item
            if request is not None:
                scheduler.add(key, request)
                known.add(key)
            else:
                scheduler.cancel(key)
                known.discard(key)
                self._metrics.running.set(scheduler.num_running)
                self._metrics.waiting.set(scheduler.num_waiting)
        return True

    def _tell(self, parts: list[Made]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._deliver, parts)


class Generations:
    """The generations of one HTTP request."""

    def __init__(self, worker: Worker, keys: list[int], queue: "asyncio.Queue[Made]") -> None:
        self._worker = worker
        self._index = {key: index for index, key in enumerate(keys)}
        self._queue = queue

    async def __aiter__(self) -> AsyncIterator[tuple[int, Made]]:
        """What is made, with the place of its generation, until all have ended."""
        while self._index:
            part = await self._queue.get()
            if part.key in self._index:
                yield self._index[part.key], part
                if part.finish is not None:
                    self._index.pop(part.key, None)

    def end(self, place: int) -> None:
        """One of them needs no more."""
        for key in [key for key, index in self._index.items() if index == place]:
            del self._index[key]
            self._worker.cancel(key)

    def cancel(self) -> int:
        """End whatever has not ended; how many had not."""
        keys, self._index = list(self._index), {}
        return sum(self._worker.cancel(key) for key in keys)

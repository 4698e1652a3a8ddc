"""A pytest plugin that survives its tests, and runs some of them.

    OPENCWM_APART='{"part": [0, 2], "known": [...], "seconds": 20, "lost": FILE}' pytest -p opencwm_apart ...

Tests run in a process that is forked off when all modules are imported. One that takes it down, or takes too long,
costs itself: it is lost, and the tests after it run in a new one. Those that are known to be lost are not run, and a
new process begins there, too, so that the other tests find what they found before. Of the tests that are collected,
those of one part run. What is lost goes to a file, a line each: {"test", "cause"}.

Chance is made to repeat itself: a generator without a seed has one, and the cyclic garbage of a test is collected when
it is over, not at some line of a later one. Needs `fork`.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import signal
import sys
from typing import Any

import pytest

JOB = json.loads(os.environ["OPENCWM_APART"])
TIME, CRASH = "time", "crash"


random.Random.__init__.__defaults__ = (0,)  # type: ignore[attr-defined,unused-ignore]
random.Random.seed.__defaults__ = (0, 2)  # type: ignore[attr-defined,unused-ignore]
random.seed(0)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[Any]) -> None:
    part, count = JOB["part"]
    items[:] = items[len(items) * part // count : len(items) * (part + 1) // count]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: Any) -> bool:
    known = frozenset(JOB["known"])
    gc.disable()
    gc.collect()
    gc.freeze()  # what is there now need not be looked through after every test
    batch: list[Any] = []
    for item in [*session.items, None]:
        if item is not None and item.nodeid not in known:
            batch.append(item)
            continue
        while batch:
            del batch[: _run(batch)]
    return True


def pytest_runtest_makereport(item: Any, call: Any) -> Any:
    """Of a test whose budget is spent, without what pytest would say: it parses all files of the traceback for that."""
    if call.excinfo is None or call.excinfo.type.__name__ != "BudgetStop":
        return None
    return pytest.TestReport(item.nodeid, item.location, {}, "failed", "its budget is spent", call.when)


def _run(items: list[Any]) -> int:
    """How many tests are done with; the last of them may be lost."""
    sys.stdout.flush()
    sys.stderr.flush()
    done, ours = os.pipe()
    process = os.fork()
    if process == 0:
        _run_here(items, ours)
    os.close(ours)
    count, cause = 0, TIME
    while count < len(items) and select.select([done], [], [], JOB["seconds"])[0]:
        said = os.read(done, 4096)
        count += len(said)
        if not said:
            cause = CRASH
            break
    os.close(done)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    if count == len(items):
        return count
    with open(JOB["lost"], "a", encoding="ascii") as file:
        file.write(json.dumps({"test": items[count].nodeid, "cause": cause}) + "\n")
    return count + 1


def _run_here(items: list[Any], ours: int) -> None:
    try:
        os.setsid()
        for item, after in zip(items, [*items[1:], None]):  # noqa: B905
            gc.collect(0)  # what has come since the last time
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            os.write(ours, b".")
    finally:
        os._exit(0)

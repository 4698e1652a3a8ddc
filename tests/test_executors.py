import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opencwm import executors
from opencwm.errors import WorldError
from opencwm.executors import Inline, ProcessPool, executor_for


def pid_and_square(n):
    return os.getpid(), n * n


def fail(n):
    raise ValueError(n)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_every_item_comes_back_with_its_result(num_workers):
    results = dict(executor_for(num_workers).map(pid_and_square, range(5)))
    assert {item: square for item, (_, square) in results.items()} == {n: n * n for n in range(5)}
    assert ({pid for pid, _ in results.values()} == {os.getpid()}) == (num_workers == 1)


def die(n):
    os._exit(n)


def test_work_that_kills_every_worker_is_given_up(monkeypatch):
    monkeypatch.setattr(executors, "MAX_ATTEMPTS", 2)
    with pytest.raises(WorldError, match="2 worker processes died on one piece of work"):
        list(ProcessPool(num_workers=1).map(die, [3]))


def die_once(path):
    if path.exists():
        return os.getpid()
    path.touch()
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_dead_worker_was_at_is_done_by_another(tmp_path):
    items = [tmp_path / str(n) for n in range(2)]
    assert [item for item, _ in sorted(ProcessPool(num_workers=2).map(die_once, items))] == items


def test_items_are_taken_as_there_is_room():
    taken = []

    def items():
        for n in range(6):
            taken.append(n)
            yield n

    results = ProcessPool(num_workers=2).map(pid_and_square, items())
    next(results)
    assert len(taken) <= 3
    results.close()


ORPHAN = """
import time
from opencwm.executors import ProcessPool
list(ProcessPool(num_workers=1).map(time.sleep, [60]))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds its processes in /proc")
def test_workers_end_with_the_process_that_started_them():
    def children():
        tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        return [int(pid) for pid in tasks.read_text().split()]

    process = subprocess.Popen([sys.executable, "-c", ORPHAN])
    while len(workers := children()) < 2:  # the worker, and multiprocessing's own helper
        time.sleep(0.05)
    time.sleep(0.5)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < deadline, workers
        time.sleep(0.05)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("executor", [Inline(), ProcessPool(num_workers=2)])
def test_an_error_of_the_work_reaches_the_caller(executor):
    with pytest.raises(ValueError, match="3"):
        list(executor.map(fail, [3]))

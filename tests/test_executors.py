import os

import pytest

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


def test_a_worker_that_dies_is_a_failure_of_the_world():
    with pytest.raises(WorldError, match="worker process died"):
        list(ProcessPool(num_workers=1).map(die, [3]))


@pytest.mark.parametrize("executor", [Inline(), ProcessPool(num_workers=2)])
def test_an_error_of_the_work_reaches_the_caller(executor):
    with pytest.raises(ValueError, match="3"):
        list(executor.map(fail, [3]))

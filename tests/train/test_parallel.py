"""What many processes train is what one does: the same losses, the same states, whoever saves and whoever resumes."""

import signal
from dataclasses import replace

import pytest
import torch
from training import LOOP, fresh, losses, muon_steps, run
from training import together as in_processes

from opencwm.errors import ConfigError
from opencwm.train import checkpoint, optim
from opencwm.train.parallel import ParallelConfig


def weights_of(folder):
    model = fresh()
    checkpoint.load(folder, model, optim.build(model, LOOP.optim))
    return dict(model.named_parameters())


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    assert in_processes(2, folder, run, folder, LOOP) == [0] * 2
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    run(folder, LOOP)
    return folder


def same(folder, reference):
    assert losses(folder) == pytest.approx(losses(reference), abs=1e-5)
    theirs = weights_of(reference)
    for name, tensor in weights_of(folder).items():
        torch.testing.assert_close(tensor, theirs[name], atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize(
    ("number", "parallel"),
    [
        (2, ParallelConfig(tensor=2, recompute="full")),
        (4, ParallelConfig(tensor=2, recompute="selective")),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else f"{value.tensor} {value.recompute}",
)
def test_many_processes_train_what_one_does(number, parallel, alone, tmp_path):
    assert in_processes(number, tmp_path, run, tmp_path, replace(LOOP, parallel=parallel)) == [0] * number
    same(tmp_path, alone)


def test_two_processes_train_what_one_does(two, alone):
    same(two, alone)


def test_a_run_of_which_one_process_was_killed_ends_as_one_that_was_left_alone(two, tmp_path):
    loop = replace(LOOP, save_every=2)
    failed, killed = in_processes(2, tmp_path, run, tmp_path, loop, None, 6)
    assert (failed, killed) == (1, -signal.SIGKILL)
    begun = losses(tmp_path)
    assert begun == losses(two)[:6]
    assert in_processes(2, tmp_path, run, tmp_path, loop) == [0] * 2
    gone_on = losses(tmp_path)[6:]
    assert gone_on == losses(two)[-len(gone_on) :]
    assert 2 <= len(gone_on) <= 4  # from the state of step 4 or, if it was whole, of step 6
    theirs = weights_of(two)
    for name, tensor in weights_of(tmp_path).items():
        assert torch.equal(tensor, theirs[name]), name


def test_a_run_goes_on_in_another_number_of_processes(alone, tmp_path):
    assert in_processes(2, tmp_path, run, tmp_path, LOOP, 3) == [0] * 2
    assert in_processes(4, tmp_path, run, tmp_path, replace(LOOP, parallel=ParallelConfig(tensor=2)), 6) == [0] * 4
    run(tmp_path, LOOP)
    same(tmp_path, alone)


@pytest.mark.parametrize("number", [2, 4])
def test_muon_moves_split_matrices_as_it_moves_whole_ones(number, tmp_path):
    assert in_processes(number, tmp_path, muon_steps) == [0] * number


def test_processes_that_are_not_there_are_asked_for(tmp_path):
    with pytest.raises(ConfigError, match=r"ask for 4 processes, this is one"):
        run(tmp_path, replace(LOOP, parallel=ParallelConfig(data=2, tensor=2)))
    with pytest.raises(ConfigError, match="at least 1"):
        ParallelConfig(tensor=0)

"""What many processes train is what one does: the same losses, the same states, whoever saves and whoever resumes."""

import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tiny_models import tiny_model
from training import LOOP, SHAPE, fresh, gathered, losses, muon_steps, refused, run
from training import together as in_processes

from opencwm.errors import ConfigError
from opencwm.model.attention import PackedAttention
from opencwm.model.transformer import Transformer
from opencwm.train import checkpoint, optim
from opencwm.train.parallel import ALONE, ParallelConfig, cut_matrices, fill, split


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
    assert len(losses(tmp_path)) == 3  # all stop where one of them is asked to
    assert in_processes(4, tmp_path, run, tmp_path, replace(LOOP, parallel=ParallelConfig(tensor=2)), 6) == [0] * 4
    assert len(losses(tmp_path)) == 6
    run(tmp_path, LOOP)
    same(tmp_path, alone)


def test_weights_are_gathered_block_by_block(tmp_path):
    assert in_processes(2, tmp_path, gathered) == [0] * 2


@pytest.mark.parametrize("number", [2, 4])
def test_muon_moves_split_matrices_as_it_moves_whole_ones(number, tmp_path):
    assert in_processes(number, tmp_path, muon_steps) == [0] * number


def test_processes_that_are_not_there_are_asked_for(tmp_path):
    with pytest.raises(ConfigError, match=r"ask for 4 processes, this is one"):
        run(tmp_path, replace(LOOP, parallel=ParallelConfig(data=2, tensor=2)))
    with pytest.raises(ConfigError, match="at least 1"):
        ParallelConfig(tensor=0)
    assert in_processes(2, tmp_path, refused) == [0] * 2


def test_more_processes_than_heads_are_refused():
    with pytest.raises(ConfigError, match="2 key-value heads and 64 inner columns cannot be cut into 4"):
        cut_matrices(fresh(), SimpleNamespace(mesh="two dimensions", num_tensor=4))


def test_what_is_computed_again_is_what_was_asked_for():
    tokens, gradients = torch.arange(1, 9), []
    for kind, expected in {"none": (1, 1), "selective": (1, 2), "full": (2, 2)}.items():
        model, attend, calls = fresh(), PackedAttention(SHAPE, [8]), {"attention": 0, "feed-forward": 0}
        with torch.no_grad():
            for block in model.model.layers:
                block.self_attn.o_proj.weight.fill_(0.1)

        def counted(*args, attend=attend, calls=calls):
            calls["attention"] += 1
            return attend(*args)

        def count(*args, calls=calls):
            calls["feed-forward"] += 1

        for block in model.model.layers:
            block.mlp.register_forward_pre_hook(count)
        split(model, ALONE, ParallelConfig(recompute=kind), torch.float32)
        model(tokens, tokens, counted).square().sum().backward()
        assert tuple(calls.values()) == tuple(2 * number for number in expected), kind
        gradients.append(model.model.layers[0].self_attn.q_proj.weight.grad)
    assert gradients[0].any()
    assert all(torch.equal(gradients[0], other) for other in gradients[1:])


def test_a_model_that_is_filled_is_the_one_that_its_weights_are_of():
    model = tiny_model(qk_norm=False)
    with torch.device("meta"):
        ours, empty = Transformer(model.config), Transformer(model.config)
    fill(ours, model.state_dict().items(), torch.device("cpu"))
    tokens = torch.arange(60)
    assert torch.equal(ours.score(tokens, [60]), model.score(tokens, [60]))
    with pytest.raises(AssertionError, match="no weights for"):
        fill(empty, [], torch.device("cpu"))

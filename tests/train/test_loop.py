"""The loop learns, counts, and resumes bit for bit."""

import json
import shutil
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from training import Counting

from opencwm.data.pack import PackState, batches, pack
from opencwm.errors import ConfigError, DataError, WorldError
from opencwm.model.config import ModelConfig
from opencwm.model.transformer import Transformer
from opencwm.train import checkpoint, optim
from opencwm.train.loop import LoopConfig, check_run, loss_of, train, write_metrics
from opencwm.train.optim import OptimConfig
from opencwm.train.schedule import ScheduleConfig
from opencwm.train.spikes import SpikeConfig

SHAPE = ModelConfig(
    vocab_size=32, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2,
    num_key_value_heads=1, head_dim=16, layer_types=("sliding_attention", "full_attention", "full_attention"),
    sliding_window=8, max_position_embeddings=64, qk_norm=True,
)  # fmt: skip
LOOP = LoopConfig(
    num_steps=12, seq_len=64, num_rows=2, precision="bf16", log_every=4, save_every=5,
    optim=OptimConfig(lr=0.02, adam_lr=0.01), schedule=ScheduleConfig(warmup_steps=2),
)  # fmt: skip


def rows(state: PackState):
    return batches(pack(Counting(), LOOP.seq_len, state, waiting=4, pad_id=0), LOOP.num_rows)


def fresh() -> Transformer:
    model = Transformer(SHAPE)
    model.initialise(0)
    return model


def quiet(record):
    pass


def test_loss_falls_and_the_log_has_units(tmp_path):
    records = []
    loop = replace(LOOP, num_steps=60, spikes=SpikeConfig(memory=5))
    progress, _ = train(model := fresh(), rows, loop, tmp_path, log=records.append)
    steps = [r for r in records if r["event"] == "step"]
    assert [r["step"] for r in steps] == list(range(4, 61, 4))
    assert steps[-1]["loss"] < 0.5 * steps[0]["loss"]
    assert steps[-1]["tokens"] == 60 * 2 * 64
    assert {"loss", "grad_norm", "lr", "tokens_per_s", "eta_s", "seconds"} <= steps[-1].keys()
    trained = [batch.trained.mean() for batch, _ in islice(rows(PackState()), 8)]
    assert [step["trained_share"] for step in steps[:2]] == pytest.approx([sum(trained[:4]) / 4, sum(trained[4:]) / 4])
    assert steps[0]["eta_s"] > steps[-1]["eta_s"] == 0
    assert len(progress.norms) == 5
    assert not model.training


def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    prepared = []
    whole, _ = train((a := fresh()), rows, LOOP, tmp_path / "whole", log=quiet)
    # stops after step 7: the last saved state is that of step 7, written when the loop ends
    train(
        fresh(), rows, LOOP, tmp_path / "parts", log=quiet, prepare=prepared.append,
        stop=lambda progress: progress.step == 7,
    )  # fmt: skip
    manifest = tmp_path / "parts" / checkpoint.STATE / checkpoint.MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"seconds": 1e6}))
    resumed, _ = train((b := fresh()), rows, LOOP, tmp_path / "parts", log=quiet, prepare=prepared.append)
    assert len(prepared) == 1  # a run that goes on has its optimizers' state
    assert resumed.step == whole.step == 12
    assert resumed.seconds > 1e6
    assert resumed.loader == whole.loader
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y), name


def test_a_run_killed_between_saves_goes_on_from_the_last_one(tmp_path):
    class Killed(BaseException):
        pass

    def die(progress):
        if progress.step == 8:
            raise Killed
        return False

    with pytest.raises(Killed):
        train(fresh(), rows, LOOP, tmp_path, log=quiet, stop=die)
    records = []
    train((b := fresh()), rows, LOOP, tmp_path, log=records.append)
    assert records[0]["step"] == 5
    train((a := fresh()), rows, LOOP, tmp_path / "whole", log=quiet)
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_a_half_written_state_is_not_taken_for_one(tmp_path):
    model = fresh()
    train(model, rows, LOOP, tmp_path, log=quiet)
    path = next((tmp_path / checkpoint.STATE).glob("*.distcp"))
    for damaged in (path, tmp_path / checkpoint.STATE / checkpoint.MANIFEST):
        kept = damaged.read_bytes()
        damaged.write_bytes(kept[: len(kept) // 2])
        with pytest.raises(DataError, match="not a whole training state") as caught:
            train(fresh(), rows, LOOP, tmp_path, log=quiet)
        assert str(tmp_path / checkpoint.PREVIOUS_STATE) in caught.value.fix
        damaged.write_bytes(kept)


def test_a_run_that_was_killed_while_it_saved_goes_on_from_the_state_before(tmp_path):
    train(model := fresh(), rows, LOOP, tmp_path, log=quiet)
    optimizers = optim.build(model, LOOP.optim)
    states = [tmp_path / name for name in (checkpoint.STATE, checkpoint.PREVIOUS_STATE)]
    assert [json.loads((state / checkpoint.MANIFEST).read_text())["step"] for state in states] == [12, 10]
    assert checkpoint.load(tmp_path, model, optimizers).step == 12
    (states[0] / checkpoint.MANIFEST).unlink()
    assert checkpoint.load(tmp_path, model, optimizers).step == 10
    shutil.rmtree(states[0])
    (tmp_path / checkpoint.UNFINISHED).mkdir()
    (tmp_path / checkpoint.UNFINISHED / "rest").touch()
    resumed, _ = train(fresh(), rows, LOOP, tmp_path, log=quiet)
    assert resumed.step == 12
    assert not (states[0] / "rest").exists()


def test_a_state_that_cannot_be_written_or_is_of_an_earlier_version_is_said(tmp_path):
    (tmp_path / checkpoint.UNFINISHED).touch()  # where a folder must be
    with pytest.raises(WorldError, match="could not be written"):
        train(fresh(), rows, replace(LOOP, num_steps=1), tmp_path, log=quiet)
    (tmp_path / checkpoint.UNFINISHED).unlink()
    (tmp_path / checkpoint.PREVIOUS_STATE).touch()
    with pytest.raises(WorldError, match="could not be written"):
        train(fresh(), rows, replace(LOOP, num_steps=2, save_every=1), tmp_path, log=quiet)
    shutil.rmtree(tmp_path / checkpoint.STATE)
    (tmp_path / "state.pt").touch()
    with pytest.raises(DataError, match="of an earlier version"):
        train(fresh(), rows, LOOP, tmp_path, log=quiet)


def test_a_log_that_goes_on_loses_what_is_made_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"event": "step", "step": 1}\n{"event": "step", "step": 2}\n{"event": "step", "step": 3}\n{"ev')
    write_metrics(path)({"event": "start", "step": 2})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 2]


def test_steps_without_targets_are_not_in_the_log(tmp_path):
    def some(state):
        for number, (batch, after) in enumerate(rows(state)):
            yield (replace(batch, trained=np.zeros_like(batch.trained)) if number % 2 else batch), after

    logs = []
    for every in (1, 2):
        train(fresh(), some, replace(LOOP, num_steps=4, log_every=every), tmp_path / f"{every}", log=logs.append)
    losses = [(log["step"], log["loss"]) for log in logs if log["event"] == "step"]
    assert [step for step, _ in losses] == [1, 3, 2, 4]
    assert losses[2][1] == losses[0][1]


def test_loss_counts_trained_targets_only():
    model = fresh()
    batch, _ = next(rows(PackState()))
    loss, count = loss_of(model, batch, torch.float32)
    logits = model.score(torch.from_numpy(batch.inputs).long(), list(batch.lengths))
    per_token = torch.nn.functional.cross_entropy(logits, torch.from_numpy(batch.targets).long(), reduction="none")
    mask = torch.from_numpy(batch.trained)
    assert count == int(mask.sum()) < len(mask)
    torch.testing.assert_close(loss, per_token[mask].mean())


def test_every_optimizer_follows_the_schedule_and_gradients_are_clipped(tmp_path):
    loop = replace(LOOP, num_steps=6, log_every=6, optim=OptimConfig(lr=0.02, adam_lr=0.01, clip=1e-3))
    records = []
    _, (muon, adam) = train(fresh(), rows, loop, tmp_path, log=records.append)
    factor = loop.schedule.factor(5, 6)
    assert 0 < factor < 1
    assert [group["lr"] for group in muon.param_groups] == [records[-1]["lr"]] == [0.02 * factor]
    assert [group["lr"] for group in adam.param_groups] == [0.01 * factor] * 2
    seen = torch.stack([state["exp_avg_sq"].sum() for state in adam.state.values()]).sum()
    assert records[-1]["grad_norm"] > 0.1
    assert seen < 1e-3**2


def test_a_step_runs_where_the_model_is():
    """The meta device computes shapes only, and refuses tensors of another device: it stands for a GPU here."""
    model = fresh().to("meta")
    batch, _ = next(rows(PackState()))
    loss, _ = loss_of(model, batch, torch.float32)
    loss.backward()
    assert loss.device.type == "meta"
    assert all(parameter.grad.device.type == "meta" for parameter in model.parameters())


class Often(SpikeConfig):
    """About every other step, by the digits of its norm."""

    def reason_to_skip(self, norm, before):
        return "an odd norm" if int(norm * 1e4) % 2 else None


def test_a_spike_is_what_is_far_above_the_median_of_the_last_norms():
    config = SpikeConfig(factor=10.0, memory=3)
    assert config.reason_to_skip(1e9, [1.0, 2.0]) is None
    assert config.reason_to_skip(20.0, [1.0, 2.0, 99.0]) is None
    assert config.reason_to_skip(21.0, [1.0, 2.0, 99.0]) == "the gradient's norm is 10 times the usual one"
    assert replace(config, factor=None).reason_to_skip(1e9, [1.0, 2.0, 3.0]) is None
    assert config.reason_to_skip(float("inf"), []) == "the gradient is not finite"
    with pytest.raises(ConfigError, match="factor is 0"):
        SpikeConfig(factor=0.5)


def test_spikes_are_skipped_and_resuming_among_them_is_exact(tmp_path):
    loop = replace(LOOP, spikes=Often(budget=99))
    records = []
    whole, _ = train((a := fresh()), rows, loop, tmp_path / "whole", log=records.append)
    skipped = [record["step"] for record in records if record["event"] == "skipped"]
    assert 1 <= len(skipped) == whole.num_skipped <= 11
    assert len(whole.norms) == 12 - len(skipped)
    train(fresh(), rows, loop, tmp_path / "parts", log=quiet, stop=lambda progress: progress.step == skipped[0])
    resumed, _ = train((b := fresh()), rows, loop, tmp_path / "parts", log=quiet)
    assert (resumed.num_skipped, resumed.norms) == (whole.num_skipped, whole.norms)
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y), name


def test_a_skipped_step_changes_nothing_but_the_count(tmp_path):
    model = fresh()
    loop = replace(LOOP, num_steps=8, spikes=Often())
    seen = []
    train(model, rows, loop, tmp_path, log=quiet, stop=lambda progress: seen.append(
        (progress.num_skipped, model.lm_head.weight.detach().clone())))  # fmt: skip
    for (skipped, before), (more, after) in pairwise(seen):
        assert torch.equal(before, after) == (more == skipped + 1)


def test_a_gradient_that_is_not_finite_stops_before_the_update(tmp_path):
    model = fresh()
    records = []
    with torch.no_grad():
        model.lm_head.weight[3, 3] = float("nan")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(DataError, match="not finite, and 3 steps were skipped before"):
        train(model, rows, replace(LOOP, spikes=SpikeConfig(budget=3)), tmp_path, log=records.append)
    assert [record["step"] for record in records if record["event"] == "skipped"] == [1, 2, 3]
    assert checkpoint.load(tmp_path, fresh(), optim.build(model, LOOP.optim)).step == 3
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], equal_nan=True)


def test_8_bits_are_refused_without_a_gpu(tmp_path):
    with pytest.raises(ConfigError, match="need a GPU, this is cpu"):
        train(fresh(), rows, replace(LOOP, precision="fp8", device="cpu"), tmp_path, log=quiet)


def test_a_batch_bounds_its_global_layers():
    model = fresh()
    batch, _ = next(rows(PackState()))
    with torch.no_grad():
        for block in model.model.layers:
            block.self_attn.o_proj.weight.normal_(0, 0.5)
        losses = [float(loss_of(model, replace(batch, global_window=n), torch.float32)[0]) for n in (None, 64, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_a_batch_without_targets_has_no_loss():
    batch, _ = next(rows(PackState()))
    loss, count = loss_of(fresh(), replace(batch, trained=np.zeros_like(batch.trained)), torch.float32)
    assert (float(loss.detach()), count) == (0.0, 0)


def test_resuming_under_another_configuration_names_the_keys(tmp_path):
    check_run(tmp_path, {"seed": 0, "loop.seq_len": 64})
    check_run(tmp_path, {"seed": 0, "loop.seq_len": 64})
    with pytest.raises(ConfigError, match=r"loop\.seq_len"):
        check_run(tmp_path, {"seed": 0, "loop.seq_len": 128})
    with pytest.raises(ConfigError, match=r"differs in: new\)"):
        check_run(tmp_path, {"seed": 0, "loop.seq_len": 64, "new": 1})
    assert json.loads((tmp_path / "config.json").read_text())["loop.seq_len"] == 64


def test_schedules():
    trapezoid = ScheduleConfig(warmup_steps=10, decay_share=0.4)
    assert trapezoid.factor(0, 100) == pytest.approx(0.1)
    assert trapezoid.factor(30, 100) == 1.0
    assert trapezoid.factor(80, 100) == pytest.approx(0.5)
    assert trapezoid.factor(100, 100) == 0.0
    cosine = ScheduleConfig(kind="cosine", warmup_steps=10, floor=0.1)
    assert cosine.factor(55, 100) == pytest.approx(0.55)
    assert cosine.factor(100, 100) == pytest.approx(0.1)


def test_a_batch_may_bound_its_global_layers():
    batch = replace(next(rows(PackState()))[0], global_window=SHAPE.sliding_window)
    model, local = fresh(), Transformer(replace(SHAPE, layer_types=("sliding_attention",) * 3))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    local.load_state_dict(model.state_dict())
    bounded, _ = loss_of(model, batch, torch.float32)
    expected, _ = loss_of(local, replace(batch, global_window=None), torch.float32)
    whole, _ = loss_of(model, replace(batch, global_window=None), torch.float32)
    assert torch.equal(bounded, expected)
    assert not torch.allclose(bounded, whole)

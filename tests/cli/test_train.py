"""`opencwm train`, for some steps: what it prints, what it leaves, and that it goes on exactly as it began."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from opencwm.cli import main
from opencwm.data.build import build
from opencwm.data.recipe import Recipe
from opencwm.model import weights
from opencwm.model.config import ModelConfig
from opencwm.model.transformer import Transformer
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import read_parquet
from opencwm.trace.text import render_text

SHAPE = ModelConfig(
    vocab_size=416, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=16, layer_types=("sliding_attention", "full_attention"), sliding_window=32,
    max_position_embeddings=512, qk_norm=True,
)  # fmt: skip


@pytest.fixture
def settings(tmp_path):
    data = tmp_path / "data"
    build(Recipe(num_programs=8, shard_size=8, max_frames=40, near_duplicates=None), data, say=lambda line: None)
    Tokenizer.train(map(render_text, read_parquet(next(data.glob("*.parquet")))), 400).save(tmp_path / "tok")
    own = ["data=data", "tokenizer=tok", "run=run"]
    small = ["model.hidden_size=32", "model.intermediate_size=64", "model.head_dim=16"]
    return [*own, *small, "loop.num_steps=2", "loop.seq_len=256", "loop.num_rows=1", "loop.compile=false"]


def torchrun(folder, *argv):
    """`opencwm train` in two processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*launcher, "-m", "opencwm", "train", *argv],
        cwd=folder, capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_two_steps_leave_a_model_and_a_run_goes_on_only_as_it_began(opencwm, settings, tmp_path):
    done = opencwm("train", "nano", *settings, "loop.log_every=1", "--json")
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["event"] for record in records] == ["start", "step", "step", "end"]
    assert records[-1]["step"] == 2
    kept = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert kept == records[:-1]
    assert {"config.json", "model.safetensors", "tokenizer.json", "optimizer.safetensors"} <= {
        path.name for path in (tmp_path / "run" / "model").iterdir()
    }
    again = opencwm("train", "nano", *settings, "loop.optim.lr=0.5")
    assert again.returncode == 2
    assert "loop.optim" in again.stderr
    assert "Traceback" not in again.stderr


def test_a_killed_run_ends_as_one_that_was_left_alone(opencwm, settings, tmp_path):
    settings = [each for each in settings if not each.startswith(("run=", "loop.num_steps"))]
    settings += ["loop.num_steps=60", "loop.save_every=4", "loop.log_every=1", "loop.threads=1"]
    command = [sys.executable, "-m", "opencwm", "train", "nano", *settings, "run=killed", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            if json.loads(line)["step"] == 10:
                running.kill()
    assert running.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model").exists()
    for run in ("killed", "alone"):
        done = opencwm("train", "nano", *settings, f"run={run}")
        assert done.returncode == 0, done.stderr
    first, second = (tmp_path / run / "model" / "model.safetensors" for run in ("killed", "alone"))
    assert first.read_bytes() == second.read_bytes()
    killed, alone = (
        [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("killed", "alone")
    )
    assert [record["step"] for record in killed if record["event"] == "step"] == list(range(1, 61))
    assert [r["loss"] for r in killed if r["event"] == "step"] == [r["loss"] for r in alone if r["event"] == "step"]


def test_processes_under_torchrun_take_a_model_apart_and_put_it_together(settings, tmp_path):
    torch.manual_seed(0)
    model = Transformer(SHAPE)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    weights.save(model, tmp_path / "start")
    settings = [each for each in settings if not each.startswith("model.")]
    settings += ["model=none", "start=start", "loop.num_rows=2", "loop.precision=bf16", "loop.log_every=1"]
    settings += ["loop.optim.lr=0", "loop.optim.adam_lr=0"]
    done = torchrun(tmp_path, "nano", *settings, "--json")
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["event"] for record in records] == ["start", "step", "step", "end"]
    assert records[0]["processes"] == 2
    assert records[1]["grad_norm"] > 0
    assert records[-1]["tokens"] == 2 * 2 * 256
    kept = weights.load(tmp_path / "run" / "model")
    assert kept.config == model.config
    for (name, before), after in zip(model.named_parameters(), kept.parameters(), strict=True):
        assert torch.equal(before.bfloat16().float(), after), name
    assert set(load_file(tmp_path / "run" / "model" / "optimizer.safetensors")) == {
        f"{name}|{key}"
        for name, parameter in model.named_parameters()
        for key in (["momentum"] if ".layers." in name and parameter.ndim == 2 else ["exp_avg", "exp_avg_sq", "step"])
    }


def said_once(done, sentence):
    assert done.returncode == 1  # torchrun's, whatever its processes end with
    assert "exitcode  : 2" in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")] == [f"error: {sentence}"]
    assert done.stderr.count("Traceback") == 1  # torchrun's own
    assert done.stdout == ""
    return True


def test_under_torchrun_a_mistake_that_all_find_is_said_once(tmp_path):
    assert said_once(torchrun(tmp_path, "nano", "--nosuch"), "no such option: --nosuch")


def test_under_torchrun_a_mistake_that_one_finds_is_said_once_while_the_others_wait_for_it(settings, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"loop.seed": 1}')
    settings = [each for each in settings if not each.startswith("loop.num_rows")]
    done = torchrun(tmp_path, "nano", *settings, "loop.num_rows=2")
    differing = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert "loop.seed" in differing
    assert said_once(done, differing.removeprefix("error: "))


@pytest.fixture
def second_of_two(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "any", "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)


def test_a_process_that_torchrun_leaves_alone_says_what_it_knows(second_of_two, monkeypatch, capsys):
    waited = []
    monkeypatch.setattr(main.time, "sleep", waited.append)
    assert main.run(["train", "nosuch"]) == 2
    assert "no train recipe" in capsys.readouterr().err
    assert waited == [main.PATIENCE_S]


@pytest.mark.parametrize("argv", [["nano", "--profile"], ["scaling-laws"]], ids=" ".join)
def test_what_is_for_one_process_is_refused_in_two(argv, second_of_two, monkeypatch, capsys):
    monkeypatch.setattr(main, "PATIENCE_S", 0)
    assert main.run(["train", *argv]) == 2
    said = capsys.readouterr().err
    assert "is for one process, torchrun started 2" in said
    assert "leave torchrun out" in said

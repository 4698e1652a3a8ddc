"""`opencwm train`, for two steps: what it prints, what it leaves, and that it goes on only as it began."""

import json

import pytest

from opencwm.data.build import build
from opencwm.data.recipe import Recipe
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import read_parquet
from opencwm.trace.text import render_text


@pytest.fixture
def settings(tmp_path):
    data = tmp_path / "data"
    build(Recipe(num_programs=8, shard_size=8, max_frames=40), data, say=lambda line: None)
    Tokenizer.train(map(render_text, read_parquet(next(data.glob("*.parquet")))), 400).save(tmp_path / "tok")
    own = ["data=data", "tokenizer=tok", "run=run"]
    small = ["model.hidden_size=32", "model.intermediate_size=64", "model.head_dim=16"]
    return [*own, *small, "loop.num_steps=2", "loop.seq_len=256", "loop.num_rows=1", "loop.compile=false"]


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

"""`opencwm data`, on a dataset of a few programs."""

import json

import pytest

from opencwm.data.build import build
from opencwm.data.recipe import Recipe
from opencwm.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    build(Recipe(num_programs=12, shard_size=6, near_duplicates=None), folder, say=lambda line: None)
    return str(folder)


def test_stats_are_the_manifest_and_what_the_shards_say(opencwm, dataset):
    data = json.loads(opencwm("data", "stats", dataset, "--json").stdout)
    assert data["num_traces"] == sum(data["kept"].values())
    (generated,) = data["stats"]["by_source"]
    assert (generated["kind"], generated["traces"]) == ("generated", data["num_traces"])
    assert generated["frames"] == data["num_frames"] == sum(row["frames"] for row in data["stats"]["by_event"])
    table = opencwm("data", "stats", dataset).stdout
    assert f"{data['num_frames']:,}" in table
    assert "from frames" in table


def test_peek_shows_as_many_traces_as_asked_for(opencwm, dataset):
    lines = opencwm("data", "peek", dataset, "-n", "2", "--json").stdout.splitlines()
    assert [set(json.loads(line)) for line in lines] == [{"trace_id", "source", "trace"}] * 2
    assert "def main():" in opencwm("data", "peek", dataset, "-n", "1").stdout


def test_peek_writes_a_page_to_read(opencwm, dataset, tmp_path):
    done = opencwm("data", "peek", dataset, "-n", "2", "--html", "peek.html")
    assert done.stdout.strip() == "peek.html"
    assert (tmp_path / "peek.html").read_text().count("<article>") == 2


def test_an_unknown_executor_is_refused_with_the_nearest(opencwm):
    done = opencwm("data", "build", "nano", "-o", "out", "--executor", "poool")
    assert done.returncode == 2
    assert "did you mean 'pool'?" in done.stderr
    done = opencwm("data", "build", "nano", "-o", "out", "--address", "auto")
    assert done.returncode == 2
    assert "--executor ray" in done.stderr


def test_a_tokenizer_is_learned_and_can_be_loaded(opencwm, dataset, tmp_path):
    done = opencwm("data", "tokenizer", dataset, "-o", "tok", "--vocab-size", "500")
    assert done.returncode == 0, done.stderr
    loaded = Tokenizer.load(tmp_path / "tok")
    assert 273 < loaded.vocab_size <= 500
    assert loaded.decode(loaded.encode("def f(x):\n    return x\n")) == "def f(x):\n    return x\n"


def test_a_dry_run_prints_the_recipe_and_makes_nothing(opencwm, tmp_path):
    done = opencwm("data", "build", "nano", "-o", "out", "--dry-run", "num_programs=7")
    assert json.loads(done.stdout)["num_programs"] == 7
    assert not (tmp_path / "out").exists()
    train = opencwm("train", "nano", "--dry-run", "loop.num_steps=3")
    assert json.loads(train.stdout)["loop"]["num_steps"] == 3


def test_a_setting_that_does_not_exist_is_refused_with_the_nearest(opencwm):
    done = opencwm("train", "nano", "loop.num_step=3")
    assert done.returncode == 2
    assert "did you mean 'loop.num_steps'?" in done.stderr


def test_a_dataset_is_shown_to_be_clean_or_not(opencwm, dataset, tmp_path):
    trace = json.loads(opencwm("data", "peek", dataset, "-n", "1", "--json").stdout)
    (tmp_path / "other.jsonl").write_text(json.dumps({"task_id": "O/1", "code": "def f(x):\n    return {x: [x]}\n"}))
    clean = opencwm("data", "decontaminate", dataset, "other.jsonl")
    assert clean.returncode == 0, clean.stderr
    assert "against 1 items: 0 contaminated" in clean.stdout
    source = trace["trace"]["header"]["context"]
    (tmp_path / "same.jsonl").write_text(json.dumps({"task_id": "S/1", "code": source}))
    dirty = opencwm("data", "decontaminate", dataset, "same.jsonl", "--json")
    assert dirty.returncode == 1
    assert json.loads(dirty.stdout)["is_clean"] is False

"""`opencwm data derive`, on a dataset of one call."""

import json

import pytest

from opencwm.trace.files import Row, read_traces, write_parquet


@pytest.fixture
def dataset(opencwm, half, tmp_path):
    opencwm("trace", "run", half, "--call", "g([3, 4])", "-o", "half.jsonl")
    rows = [Row.of(trace, source="generated") for trace in read_traces(tmp_path / "half.jsonl")]
    (tmp_path / "data").mkdir()
    write_parquet(tmp_path / "data" / "shard-00000.parquet", rows)
    manifest = {"num_traces": 1, "shards": [{"file": "shard-00000.parquet", "num_traces": 1}]}
    (tmp_path / "data" / "manifest.json").write_text(json.dumps(manifest))
    return "data"


def test_a_view_is_derived_and_derived_again_at_once(opencwm, dataset):
    done = opencwm("data", "derive", dataset, "-o", "prose", "--as", "prose", "per_trace=2", "--workers", "1")
    assert (done.returncode, done.stdout) == (0, "2 pairs in prose\n"), done.stderr
    again = opencwm("data", "derive", dataset, "-o", "prose", "--as", "prose", "per_trace=2", "--json")
    assert json.loads(again.stdout)["num_pairs"] == 2
    assert "is complete" in again.stderr
    pairs = [json.loads(line) for line in opencwm("data", "peek", "prose", "--json").stdout.splitlines()]
    assert [pair["answer"] for pair in pairs] == ["[2]", "[2]"]
    shown = opencwm("data", "peek", "prose", "-n", "1").stdout
    assert "What does `g([3, 4])` return?" in shown
    assert "2 pairs of the view prose" in opencwm("data", "stats", "prose").stdout
    assert opencwm("data", "peek", "prose", "--html", "page.html").returncode == 2


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--as", "narrated"], "a narration needs a model"),
        (["--model", "http://localhost:1#m"], "a model tells the view narrated, and no other"),
        (["per_trce=2"], "did you mean 'per_trace'?"),
        (["--executor", "ry"], "did you mean 'ray'?"),
        (["--as", "narrated", "--model", "http://localhost:1"], "write it as URL#name"),
    ],
)
def test_a_mistake_is_one_sentence(opencwm, dataset, argv, says):
    done = opencwm("data", "derive", dataset, "-o", "out", *argv)
    assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr

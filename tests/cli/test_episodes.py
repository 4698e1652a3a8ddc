"""`opencwm data episodes`, from a suite's traces to files of episodes."""

import json
import shutil
from pathlib import Path

import pytest

from opencwm.trace.files import read_rows, read_traces

BASKET = Path(__file__).parent.parent.parent / "examples" / "basket"


@pytest.fixture
def suite(opencwm, tmp_path):
    shutil.copytree(BASKET, tmp_path / "basket")
    done = opencwm("trace", "pytest", "-o", "tests.jsonl", "--scope", "basket", "--", "-q", "basket")
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path / "tests.jsonl"


def test_episodes_of_a_suite(opencwm, suite, tmp_path):
    done = opencwm("data", "episodes", "tests.jsonl", "--root", "basket", "-o", "out.parquet", "max_depth=1", "--json")
    cut = json.loads(done.stdout)
    rows = list(read_rows(tmp_path / "out.parquet"))
    assert (cut["num_episodes"], cut["num_frames"]) == (len(rows), sum(len(row.trace.frames) for row in rows))
    assert len({row.trace_id for row in rows}) == len(rows)
    assert "repository basket basket.py:Basket.total" in {row.source for row in rows}
    assert {row.trace.header["test"]["id"].rpartition("::")[2] for row in rows} >= {
        "test_total",
        "test_discount[apple-162]",
    }
    assert {row.trace.header["episode"]["max_depth"] for row in rows} == {1}
    said = opencwm("data", "episodes", "tests.jsonl", "--root", "basket", "-o", "out.jsonl.gz").stderr
    assert f"{len(list(read_traces(tmp_path / 'out.jsonl.gz')))} episodes of " in said


def test_what_cannot_be_done_is_said_in_one_sentence(opencwm, suite, tmp_path):
    (tmp_path / "empty").mkdir()
    for words, sentence in (
        (["tests.jsonl", "--root", "empty"], "no Python file in empty"),
        (["none.jsonl", "--root", "basket"], "none.jsonl cannot be read"),
        (["tests.jsonl", "--root", "basket", "step_in=2"], "step_in is 2.0"),
        (["tests.jsonl", "--root", "basket", "step_inn=1"], "did you mean 'step_in'?"),
    ):
        done = opencwm("data", "episodes", *words, "-o", "out.jsonl")
        assert (done.returncode, "Traceback" in done.stderr, sentence in done.stderr) == (2, False, True), done.stderr
    assert not (tmp_path / "out.jsonl").exists()

"""`opencwm data tokens`, on a few texts."""

import json

import pytest
from half_program import HALF

from opencwm.tokenizer import Tokenizer


@pytest.fixture
def texts(tmp_path):
    Tokenizer.train([HALF], 300).save(tmp_path / "tok")
    (tmp_path / "texts").mkdir()
    for name in ("a.py", "b.py", "c.md"):
        (tmp_path / "texts" / name).write_text("x = 1\n" * 20)
    return "texts"


def test_texts_become_tokens_once(opencwm, texts, tmp_path):
    argv = ["data", "tokens", texts, "--tokenizer", "tok", "-o", "out", "--suffix", ".py", "--workers", "1"]
    done = opencwm(*argv)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert done.stdout == f"2 documents, {manifest['num_tokens']:,} tokens, in any order\n"
    assert opencwm("data", "stats", "out").stdout == done.stdout
    again = opencwm(*argv, "--json")
    assert "out is complete" in again.stderr
    assert json.loads(again.stdout) == manifest
    other = opencwm(*argv[:2], *argv[2:-4], "--suffix", ".md")
    assert (other.returncode, "begun with other sources" in other.stderr) == (2, True), other.stderr


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["nothing", "--tokenizer", "tok"], "nothing does not exist"),
        (["texts", "--tokenizer", "texts"], "not a tokenizer folder"),
        (["texts", "--tokenizer", "tok", "--suffix", ".c"], "holds no files to read"),
    ],
)
def test_a_mistake_is_one_sentence(opencwm, texts, argv, says):
    done = opencwm("data", "tokens", *argv, "-o", "out")
    assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr

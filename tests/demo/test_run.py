"""The demo from end to end, with a model that knows nothing and a few programs; and what its page says."""

import re

import pytest

from opencwm.demo.page import AFTER, BEFORE, COPY, FORCED_ROWS, FREE_ROWS, accuracy_table
from opencwm.demo.run import EXAMPLES, DemoConfig, chunks, copied, read_heldout, run_demo, trained_in_words
from opencwm.errors import ConfigError
from opencwm.report import LossPoint
from opencwm.trace.compare import compare


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder as training exports it: a few thousand weights, nothing learned, optimizer state included."""
    from tiny_models import fresh, shape_for

    from opencwm.tokenizer import Tokenizer
    from opencwm.trace.text import render_text
    from opencwm.train import optim
    from opencwm.train.stage import export

    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer.train(map(render_text, read_heldout(DemoConfig(num_measured=20))), 600)
    tokenizer.save(folder / "tokenizer")
    network = fresh(shape_for(tokenizer, vocab_size=608, hidden_size=16, head_dim=4, max_position_embeddings=4096))
    export(folder / "model", network, optim.build(network, optim.OptimConfig()), folder / "tokenizer")
    return folder / "model"


def test_the_whole_loop_turns_and_writes_its_page(model, tmp_path):
    said = []
    config = DemoConfig(
        output=tmp_path / "report.html",
        model=str(model),
        max_steps=8,
        num_programs=12,
        harvest=(),
        num_measured=2,
        num_predicted=2,
        max_frames=9,
        threads=1,
    )
    result = run_demo(config, say=said.append)
    steps = [line for line in said if re.match(r"\d\. ", line)]
    assert steps == ["1. Record", "2. Train", "3. Predict", "4. Compare"]
    assert set(result.metrics) == {COPY, BEFORE, AFTER, "free"}
    assert any("tokens per second" in line and "held-out frames right" in line.lower() for line in said)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count('<article class="program"') == 2
    assert result.sentence in html
    for word in ("Each frame after the true ones", "From the call to the end", "opencwm demo --model", 'class="loss"'):
        assert word in html


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no config\.json"):
        run_demo(DemoConfig(model=str(tmp_path)), say=lambda line: None)


def test_the_held_out_programs_are_drawn_by_seed_and_not_too_long():
    config = DemoConfig(num_measured=30, max_frames=40)
    drawn = read_heldout(config)
    assert len(drawn) == 30
    assert all(len(trace.frames) <= 40 for trace in drawn)
    assert [t.context for t in read_heldout(config)] == [t.context for t in drawn]
    assert [t.context for t in read_heldout(DemoConfig(num_measured=30, max_frames=40, seed=1))] != [
        t.context for t in drawn
    ]


def test_patience_ends_between_chunks_but_never_before_the_first():
    traces = list(range(30))
    assert [len(chunk) for chunk in chunks(traces, None)] == [12, 12, 6]
    assert [len(chunk) for chunk in chunks(traces, -1.0)] == [12]


def test_better_worse_and_neither_are_told_apart():
    traces = read_heldout(DemoConfig(num_measured=20))
    right = [compare(trace, trace, given=1) for trace in traces]
    wrong = copied(traces)
    losses = [LossPoint(step=4, loss=1.0, tokens_per_s=1234.0)]
    assert "it got better" in trained_in_words({BEFORE: wrong, AFTER: right}, losses)
    assert "it got worse" in trained_in_words({BEFORE: right, AFTER: wrong}, losses)
    assert "no clear change" in trained_in_words({BEFORE: right, AFTER: right}, losses)
    assert "1,234 tokens per second" in trained_in_words({BEFORE: right, AFTER: right}, losses)


def test_tables_have_a_value_for_every_row_and_series():
    traces = read_heldout(DemoConfig(num_measured=10))
    right = [compare(trace, trace, given=1) for trace in traces]
    for rows in (FORCED_ROWS, FREE_ROWS):
        table = accuracy_table("title", "note", rows, {COPY: copied(traces), AFTER: right})
        assert all(row.estimates[AFTER].mean == 1.0 for row in table.rows)
        assert all(row.estimates[COPY] is not None for row in table.rows)


def test_a_checkout_s_examples_are_recorded_too():
    assert (EXAMPLES / "half.py").is_file()

"""The fit finds a law that is there; a small search runs, stops, goes on, and is drawn."""

import math
import random
from dataclasses import replace

import pytest

from opencwm.data.build import build
from opencwm.data.recipe import Recipe
from opencwm.data.sources.generated import Generated
from opencwm.errors import ConfigError, DataError
from opencwm.model import shapes
from opencwm.report.power_laws import Curve, power_law_page
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import read_traces
from opencwm.trace.text import render_text
from opencwm.train.scaling_laws import (
    RESULTS,
    Run,
    ScalingConfig,
    fit,
    flop_per_token,
    near_best,
    points,
    power_law,
    read_runs,
    scaling_laws,
    shape_for,
)  # fmt: skip


def landscape(noise: float) -> list[Run]:
    """A search over a bowl whose bottom is at 2 C^-0.2 and 30 C^0.25."""
    rng = random.Random(1)
    runs = []
    for budget in (1e10, 1e11, 1e12, 1e13):
        for _ in range(400):
            rate, batch = 10 ** rng.uniform(-4, -0.5), 10 ** rng.uniform(3, 6)
            away = math.log(rate / (2 * budget**-0.2)) ** 2 + math.log(batch / (30 * budget**0.25)) ** 2
            loss = 1 + 0.05 * away + rng.gauss(0, noise)
            runs.append(Run(budget=budget, rate=rate, batch_tokens=int(batch), loss=loss, hidden_size=1,
                            flop_per_token=1.0, tokens=1, seconds=1.0))  # fmt: skip
    return runs


def test_the_fit_finds_the_law_and_its_interval_holds_it():
    laws = fit(landscape(0.0), keep=0.02)
    assert laws.rate.exponent == pytest.approx(-0.2, abs=0.05)
    assert laws.batch.exponent == pytest.approx(0.25, abs=0.05)
    assert laws.rate(1e12) == pytest.approx(2 * 1e12**-0.2, rel=0.35)
    low, high = laws.batch.exponent_interval
    assert low < laws.batch.exponent < high
    noisy = fit(landscape(0.02), keep=0.02).batch.exponent_interval
    assert noisy[1] - noisy[0] > high - low


def test_runs_on_a_law_give_exactly_that_law():
    common = {"rate": 1.0, "loss": 1.0, "hidden_size": 1, "flop_per_token": 1.0, "tokens": 1, "seconds": 1.0}
    runs = [Run(budget=4.0**n, batch_tokens=3 * 2**n, **common) for n in range(5)]
    assert power_law(runs, lambda run: run.batch_tokens) == pytest.approx((math.log(3), 0.5))


def test_the_papers_count_of_flop():
    """For the 32B at 8,192 tokens: 6 x (parameters without embedding and head) + 6 d L S, norms aside."""
    shape = shapes.paper_32b()
    matrices = 32_581_097_472 - 2 * shape.vocab_size * shape.hidden_size - 129 * shape.hidden_size
    assert flop_per_token(shape, 8192) == 6 * matrices + 6 * 6144 * 64 * 8192


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("laws")
    recipe = Recipe(num_programs=24, shard_size=12, generated=Generated(easiest=0.0, ramp=1.0), near_duplicates=None)
    build(recipe, folder / "data", say=lambda line: None)
    texts = [render_text(t) for path in sorted((folder / "data").glob("*.parquet")) for t in read_traces(path)]
    Tokenizer.train(texts, 300).save(folder / "tokenizer")
    return ScalingConfig(
        data=folder / "data", tokenizer=folder / "tokenizer", run=folder / "run", budgets=(5e8, 2e9), ratio=0.02,
        runs_per_budget=2, batch_tokens=(512, 1024), seq_len=512, num_layers=1, validation_rows=4,
    )  # fmt: skip


def test_larger_budgets_get_wider_models(config):
    widths = [shape_for(config, budget).hidden_size for budget in (1e9, 1e11, 1e13)]
    assert widths == sorted(set(widths))
    shape = shape_for(config, 1e11)
    per_token = flop_per_token(shape, config.seq_len)
    assert config.ratio * per_token**2 == pytest.approx(1e11, rel=0.5)


def test_a_search_stopped_and_given_again_is_the_same(config, tmp_path):
    said = []
    laws = scaling_laws(replace(config, run=tmp_path / "whole"), say=said.append)
    assert len(laws.runs) == len(said) == 4
    assert all(0 < run.loss < 10 for run in laws.runs)
    whole = (tmp_path / "whole" / RESULTS).read_text().splitlines(keepends=True)
    cut = tmp_path / "cut"
    scaling_laws(replace(config, run=cut), say=said.append)
    (cut / RESULTS).write_text("".join(whole[:2]) + whole[2][:40])  # killed while it wrote
    again = scaling_laws(replace(config, run=cut), say=said.append)
    assert "2 of 4 runs are there already" in said
    assert [(r.budget, r.rate, r.loss) for r in again.runs] == [(r.budget, r.rate, r.loss) for r in laws.runs]
    assert len(read_runs(cut / RESULTS)) == 4
    with pytest.raises(ConfigError, match="ratio"):
        scaling_laws(replace(config, run=cut, ratio=0.1), say=said.append)


def test_points_are_spread_and_batches_are_rows(config):
    found = points(replace(config, runs_per_budget=16))
    assert len(set(found)) == 16
    assert all(config.rates[0] <= rate <= config.rates[1] and batch % 512 == 0 for rate, batch in found)
    middle = math.sqrt(config.rates[0] * config.rates[1])
    assert sum(rate < middle for rate, _ in found) == 8


def test_the_page_shows_every_run(config):
    runs = landscape(0.0)
    fitted = near_best(runs, 0.02)
    curve = Curve(
        name="Rate <b>", runs=[(run.budget, run.rate, run in fitted) for run in runs], factor=2.0, exponent=-0.2,
        exponent_interval=(-0.3, -0.1),
    )  # fmt: skip
    page = power_law_page([curve], "so it was")
    assert page.count('class="run"') + page.count('class="best"') == len(runs)
    assert page.count('class="best"') == len(fitted) > 4
    assert "Rate &lt;b&gt;" in page


def test_what_cannot_be_fitted_is_said(config):
    with pytest.raises(ConfigError, match="two budgets"):
        replace(config, budgets=(1e9,))
    with pytest.raises(ConfigError, match="from low to high"):
        replace(config, rates=(1.0, 0.1))
    with pytest.raises(DataError, match="at least two budgets"):
        fit(landscape(0.0)[:5], keep=0.01)

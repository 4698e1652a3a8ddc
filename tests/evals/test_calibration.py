import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencwm.errors import ConfigError
from opencwm.evals.calibration import auroc, bins, evaluate, metrics
from opencwm.fakes import ScriptedModel
from opencwm.report.reliability import reliability_page

JUDGED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def test_a_model_that_is_right_as_often_as_it_says():
    rng = random.Random(0)
    judged = [(p, rng.random() < p) for p in (rng.random() for _ in range(20_000))]
    found = metrics(judged)
    assert found["ece"] < 0.02
    assert found["brier"] == pytest.approx(1 / 6, abs=0.01)  # the mean of p (1 - p)
    assert found["auroc"] == pytest.approx(5 / 6, abs=0.01)


def test_a_model_that_is_always_sure_and_right_half_the_time():
    found = metrics([(1.0, True), (1.0, False)] * 50)
    assert (found["ece"], found["brier"], found["auroc"]) == (0.5, 0.5, 0.5)
    assert found["bins"] == {"0.9-1.0": {"frames": 100, "confidence": 1.0, "right": 0.5}}


@given(JUDGED)
def test_each_frame_is_in_the_bin_of_its_confidence(judged):
    found = bins(judged)
    assert sum(each.num for each in found) == len(judged)
    for each in found:
        inside = [right for p, right in judged if each.low <= p < each.high or (p == 1.0 and each.high == 1.0)]
        assert (each.num, each.right) == (len(inside), sum(inside) / len(inside))


@given(JUDGED)
def test_auroc_is_the_share_of_pairs_in_order(judged):
    right, wrong = ([p for p, is_right in judged if is_right is wanted] for wanted in (True, False))
    pairs = [(a > b) + (a == b) / 2 for a in right for b in wrong]
    assert auroc(judged) == (pytest.approx(sum(pairs) / len(pairs), abs=1e-4) if pairs else None)


def test_a_model_that_cannot_score_is_refused():
    with pytest.raises(ConfigError, match="tells no probabilities"):
        evaluate(ScriptedModel([]), [])


def test_the_page_draws_every_bin():
    found = metrics([(0.05, False), (0.55, True), (0.97, True), (0.99, True)])
    page = reliability_page({"model": "a<b", "n": 2, "metrics": json.loads(json.dumps(found))})
    assert page.count("<rect") == 3
    assert page.count('<circle class="best"') == 3
    assert "Is a&lt;b right as often as it says?" in page
    assert "75.0% right" in page
    assert not math.isnan(found["ece"])

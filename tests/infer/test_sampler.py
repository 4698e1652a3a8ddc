from collections import Counter

import pytest
import torch

from opencwm.infer.sampler import Draw, allowed, choose, log_probabilities, sample
from opencwm.protocols import Request

LOGITS = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()


def test_sampling_follows_the_distribution():
    request = Request(prompt=(0,), max_tokens=1, temperature=1.0)
    draw = Draw(0)
    counts = Counter(sample(LOGITS, request, draw.uniform()) for _ in range(4000))
    assert [counts[token] / 4000 for token in range(4)] == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)


def test_temperature_sharpens():
    request = Request(prompt=(0,), max_tokens=1, temperature=0.5)
    draw = Draw(0)
    counts = Counter(sample(LOGITS, request, draw.uniform()) for _ in range(4000))
    squares = [0.25, 0.09, 0.0225, 0.0025]
    assert [counts[token] / 4000 for token in range(4)] == pytest.approx([x / sum(squares) for x in squares], abs=0.03)


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.01, {0}), (0.5, {0}), (0.6, {0, 1}), (0.9, {0, 1, 2}), (1.0, {0, 1, 2, 3})]
)
def test_top_p_keeps_the_smallest_set_that_holds_its_share(top_p, kept):
    request = Request(prompt=(0,), max_tokens=1, temperature=1.0, top_p=top_p)
    assert {sample(LOGITS, request, step / 200) for step in range(200)} == kept


def test_masked_tokens_are_never_chosen_and_log_probabilities_stay_unmasked():
    request = Request(prompt=(0,), max_tokens=1)
    sampled = Request(prompt=(0,), max_tokens=1, temperature=1.0)
    masks = [b"\x00\x00\x01\x01", None, b"\x00\x01"]
    assert [choose(LOGITS, request, Draw(0), mask) for mask in masks] == [2, 0, 1]
    draw = Draw(0)
    assert {choose(LOGITS, sampled, draw, masks[0]) for _ in range(100)} == {2, 3}
    tokens = [2, 0, 1]
    expected = [LOGITS[token].item() for token in tokens]
    assert log_probabilities(LOGITS.repeat(3, 1), tokens) == pytest.approx(expected)
    assert allowed(masks[2], 4).tolist() == [False, True, False, False]

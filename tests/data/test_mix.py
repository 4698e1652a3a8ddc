"""A mix is what it says: shares and epochs follow from one another, and every stream has its share at any moment."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencwm.data.mix import Cycle, Ingredient, epochs, mix, shares
from opencwm.errors import ConfigError

AMOUNTS = st.lists(st.integers(1, 10**12), min_size=1, max_size=6)


@pytest.mark.parametrize("text", ["runs/a", "runs/a:0.3", "runs/a@2", "runs/a:b:0.3", "C:/a@b@1.5", "a:b", "a@b"])
def test_an_ingredient_is_read_as_it_is_written(text):
    assert str(Ingredient.from_text(text)) == text


def test_what_makes_no_mix_is_refused():
    for texts, match in (
        (["a:0.3", "b@1"], "1 have a share and 1 epochs"),
        (["a:0.3", "b"], "1 have a share and 0 epochs"),
        ([], "needs a dataset folder"),
    ):
        with pytest.raises(ConfigError, match=match):
            shares(mix(*texts), [1] * len(texts))
    for text in ("a:0", "a@-1", "a:inf", "a:nan", ""):
        with pytest.raises(ConfigError):
            mix(text)


@given(AMOUNTS, st.data())
def test_shares_follow_from_epochs_and_epochs_from_shares(num_tokens, data):
    wanted = data.draw(st.lists(st.integers(1, 4), min_size=len(num_tokens), max_size=len(num_tokens)))
    total = sum(e * u for e, u in zip(wanted, num_tokens, strict=True))
    found = shares(mix(*(f"{i}@{e}" for i, e in enumerate(wanted))), num_tokens)
    assert sum(found) == pytest.approx(1)
    assert epochs(found, num_tokens, total) == pytest.approx(wanted)
    again = shares(mix(*(f"{i}:{share!r}" for i, share in enumerate(found))), num_tokens)
    assert again == pytest.approx(found)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=8), st.integers(0, 10**12))
def test_each_stream_is_read_from_its_start_without_a_gap_and_has_its_share(rates, start):
    cycle = Cycle(rates, slots=512)
    drawn = [cycle[n] for n in range(start, start + 700)]
    for stream, rate in enumerate(rates):
        indices = [index for each, index in drawn if each == stream]
        if indices:
            assert indices == list(range(indices[0], indices[0] + len(indices)))
        expected = 700 * rate / sum(rates)
        # even distances are rounded in each stream, and rates to one in 512
        assert abs(len(indices) - expected) <= 1 + len(rates) / 2 + 700 / 512
    first = [cycle[n] for n in range(512)]
    assert all(first.index((stream, 0)) >= 0 for stream in range(len(rates)))
    assert len(set(first)) == 512 or len(rates) == 1


def test_a_rare_stream_is_not_lost():
    cycle = Cycle([1e-9, 1.0])
    counts = Counter(cycle[n][0] for n in range(1 << 16))
    assert counts[0] == 1

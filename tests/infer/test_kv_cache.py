import pytest
import torch
from tiny_models import VOCAB, tiny_model

from opencwm.infer.kv_cache import GROWTH, KVCache, Step, cache_bytes

CPU = torch.device("cpu")


def fed(model, counts, *, known=None):
    """A cache, and the hidden states of tokens that were fed in passes of so many."""
    cache = known or KVCache(model.config, dtype=torch.float32, device=CPU)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, VOCAB, (sum(counts),), generator=generator)
    hidden = []
    with torch.no_grad():
        for count in counts:
            cache.reserve(cache.length + count)
            step = Step([cache], [count])
            hidden.append(model(tokens[cache.length : cache.length + count], step.positions, step))
            cache.length += count
    return cache, torch.cat(hidden), tokens


@pytest.mark.parametrize("window", [1, 2, 8, 40])
@pytest.mark.parametrize("counts", [[1] * 60, [60], [33, 1, 1, 7, 40, 2, 16], [5] * 20])
def test_hidden_states_are_those_of_one_pass_over_everything(counts, window, monkeypatch):
    monkeypatch.setattr(KVCache, "spare", 60)
    model = tiny_model(qk_norm=True, window=window)
    cache, hidden, tokens = fed(model, counts)
    whole = fed(model, [len(tokens)])[1] if len(tokens) <= 60 else None
    with torch.no_grad():
        expected = model.logits(hidden)
        assert torch.allclose(expected, model.score(tokens, [len(tokens)]), atol=1e-4)
    assert whole is None or torch.allclose(hidden, whole, atol=1e-5)
    assert cache.length == len(tokens)


def test_what_does_not_count_is_forgotten(monkeypatch):
    monkeypatch.setattr(KVCache, "spare", 20)
    model = tiny_model(qk_norm=True)
    cache = KVCache(model.config, dtype=torch.float32, device=CPU)
    tokens = torch.randint(0, VOCAB, (90,), generator=torch.Generator().manual_seed(1))
    hidden = []
    with torch.no_grad():
        while cache.length < 90:
            right, wrong = tokens[cache.length : cache.length + 3], torch.full((9,), 5)
            cache.reserve(cache.length + 12)
            step = Step([cache], [12])
            hidden.append(model(torch.cat([right, wrong]), step.positions, step)[:3])
            cache.length += 3
        expected = model.score(tokens, [90])
        assert torch.allclose(model.logits(torch.cat(hidden)), expected, atol=1e-4)


def test_local_layers_take_their_window_and_no_more(monkeypatch):
    monkeypatch.setattr(KVCache, "spare", 16)
    model = tiny_model(qk_norm=True, window=8)
    cache, _, _ = fed(model, [16] * 25)
    config, values = model.config, 2 * 2 * 8
    num_global = config.layer_types.count("full_attention")
    held = {rows.shape[2] for rows, window in zip(cache.rows, cache.windows, strict=True) if window is not None}
    assert held == {8 - 1 + 16}
    capacity = cache.rows[0].shape[2]
    assert capacity % GROWTH == 0
    assert 400 <= capacity <= max(400 + GROWTH, 400 * 1.25 + GROWTH)
    assert cache.num_bytes == (num_global * capacity + (config.num_hidden_layers - num_global) * 23) * values * 4
    needed = cache_bytes(config, 400, bytes_per_value=4)
    assert needed == (num_global * 400 + (config.num_hidden_layers - num_global) * 8) * values * 4
    assert needed <= cache.num_bytes


def test_what_a_short_sequence_takes_does_not_depend_on_the_window():
    model = tiny_model(qk_norm=True, window=400)
    cache, _, _ = fed(model, [10])
    assert {rows.shape[2] for rows in cache.rows} == {GROWTH}


def test_a_pass_over_several_sequences_keeps_them_apart():
    model = tiny_model(qk_norm=False)
    caches = [fed(model, [count])[0] for count in (3, 40, 17)]
    alone = [fed(model, [count])[0] for count in (3, 40, 17)]
    new = [torch.tensor([1, 2, 3]), torch.tensor([4]), torch.tensor([5, 6])]
    for cache in caches + alone:
        cache.reserve(cache.length + 3)
    with torch.no_grad():
        step = Step(caches, [3, 1, 2])
        together = model(torch.cat(new), step.positions, step).split([3, 1, 2])
        for cache, tokens, hidden in zip(alone, new, together, strict=True):
            one = Step([cache], [len(tokens)])
            assert torch.allclose(model(tokens, one.positions, one), hidden, atol=1e-5)

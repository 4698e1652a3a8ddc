import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import VOCAB, tiny_model

from opencwm.infer.kv_cache import KVCache, Step
from opencwm.infer.prefixes import PrefixCache

MODEL = tiny_model(qk_norm=True, window=8)
BLOCK_BYTES = 4 * 2 * 2 * 8 * 4  # of one layer: 4 positions, keys and values, 2 heads of 8, float32


def empty() -> KVCache:
    return KVCache(MODEL.config, dtype=torch.float32, device=torch.device("cpu"))


@torch.no_grad()
def compute(cache: KVCache, tokens: list[int]) -> torch.Tensor:
    """The hidden states of the tokens that the cache does not hold yet."""
    count = len(tokens) - cache.length
    cache.reserve(len(tokens))
    step = Step([cache], [count])
    hidden = MODEL(torch.tensor(tokens[cache.length :]), step.positions, step)
    cache.length += count
    return hidden


def sequence(*pieces: tuple[int, int]) -> list[int]:
    return [token for seed, count in pieces for token in random.Random(seed).choices(range(VOCAB), k=count)]


def test_what_is_known_is_not_computed_again_and_gives_the_same():
    prefixes = PrefixCache(MODEL.config, max_bytes=1 << 30, block=4)
    first = empty()
    compute(first, sequence((1, 41)))
    prefixes.keep(first, sequence((1, 41)))
    for known, tokens in [(40, sequence((1, 41), (2, 5))), (20, sequence((1, 23), (3, 9))), (0, sequence((4, 20)))]:
        cache, afresh = empty(), empty()
        prefixes.fill(cache, tokens[:-1])
        assert cache.length == known
        assert torch.allclose(compute(cache, tokens), compute(afresh, tokens)[known:], atol=1e-5)


def test_what_comes_out_is_a_copy():
    prefixes = PrefixCache(MODEL.config, max_bytes=1 << 30, block=4)
    tokens = sequence((1, 12))
    first, second, third = empty(), empty(), empty()
    compute(first, tokens)
    prefixes.keep(first, tokens)
    prefixes.fill(second, tokens)
    for rows in second.rows + first.rows:
        rows.zero_()
    prefixes.fill(third, tokens)
    assert all(rows.abs().sum() > 0 for rows in third.rows)


def test_local_rows_go_first_and_come_back_when_they_are_computed_again():
    num_local = MODEL.config.layer_types.count("sliding_attention")
    num_global = MODEL.config.num_hidden_layers - num_local
    tokens = sequence((1, 40))
    some = 10 * num_global * BLOCK_BYTES + 3 * num_local * BLOCK_BYTES
    prefixes = PrefixCache(MODEL.config, max_bytes=some, block=4)
    whole = empty()
    compute(whole, tokens)
    prefixes.keep(whole, tokens)
    assert prefixes.num_bytes == some
    lengths = []
    for end in (40, 36, 32, 20, 7):
        cache = empty()
        prefixes.fill(cache, tokens[:end])
        lengths.append(cache.length)
    assert lengths == [40, 36, 0, 0, 0]  # two blocks make a window of 8, and three have local rows
    again = empty()
    compute(again, tokens[:20])
    prefixes.keep(again, tokens[:20])
    cache = empty()
    prefixes.fill(cache, tokens[:20])
    assert cache.length == 20


def test_nothing_is_kept_where_nothing_may_be():
    prefixes = PrefixCache(MODEL.config, max_bytes=0, block=4)
    cache = empty()
    compute(cache, sequence((1, 12)))
    prefixes.keep(cache, sequence((1, 12)))
    assert prefixes.num_bytes == 0
    prefixes.fill(other := empty(), sequence((1, 12)))
    assert other.length == 0


@settings(max_examples=25)
@given(
    pieces=st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 11)), min_size=1, max_size=4), max_size=8),
    blocks=st.integers(1, 40),
)
def test_the_budget_holds_and_what_is_known_is_right(pieces, blocks):
    prefixes = PrefixCache(MODEL.config, max_bytes=blocks * BLOCK_BYTES * 5, block=4)
    for tokens in [sequence(*item) for item in pieces]:
        cache, afresh = empty(), empty()
        prefixes.fill(cache, tokens[:-1])
        known = cache.length
        assert torch.allclose(compute(cache, tokens), compute(afresh, tokens)[known:], atol=1e-4)
        prefixes.keep(cache, tokens)
        held = held_bytes(prefixes._root)
        assert prefixes.num_bytes == held <= prefixes.max_bytes


def held_bytes(block) -> int:
    own = sum(rows.nbytes for rows in [*block.held, *(block.local or [])])
    return own + sum(held_bytes(child) for child in block.children.values())


def test_a_cache_that_holds_something_is_not_filled():
    cache = empty()
    cache.length = 3
    with pytest.raises(AssertionError, match="holds 3"):
        PrefixCache(MODEL.config, max_bytes=1).fill(cache, [1, 2])

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import VOCAB, naive, tiny_model

from opencwm.infer.engine import Engine
from opencwm.infer.kv_cache import KVCache, Step
from opencwm.infer.prefixes import PrefixCache
from opencwm.infer.scheduler import Scheduler
from opencwm.protocols import Request


@pytest.fixture(scope="module")
def model():
    return tiny_model(qk_norm=True)


@pytest.fixture(scope="module")
def known(model):
    """Requests, some with a beginning in common, and what the loop without a cache makes of each."""
    rng = random.Random(5)
    base = tuple(rng.randrange(VOCAB) for _ in range(30))
    prompts = [base, base[:12], (*base[:20], 5), (7,), (1, 2, 3) * 6, tuple(rng.randrange(VOCAB) for _ in range(45))]
    requests = [Request(prompt=prompt, max_tokens=3 + 5 * i, logprobs=True) for i, prompt in enumerate(prompts)]
    return requests, [naive(model, list(request.prompt), request.max_tokens) for request in requests]


ARRIVAL = st.tuples(st.integers(0, 4), st.integers(0, 5), st.one_of(st.none(), st.integers(0, 6)))
"""Steps to wait before it comes, which request it is, and after how many steps it is cancelled."""


@settings(max_examples=15)
@given(
    arrivals=st.lists(ARRIVAL, min_size=1, max_size=8),
    max_batch=st.integers(1, 4),
    num_drafted=st.sampled_from([0, 3]),
    prefill_tokens=st.sampled_from([4, 25, 1000]),
    prefix_bytes=st.sampled_from([0, 60_000, 1 << 30]),
    joining=st.sampled_from([1, 16]),
    spare=st.sampled_from([20, 512]),
)
def test_greedy_output_is_that_of_each_alone_whatever_comes_and_goes(
    model, known, arrivals, max_batch, num_drafted, prefill_tokens, prefix_bytes, joining, spare
):
    requests, answers = known
    engine = Engine(
        model,
        max_batch=max_batch,
        num_drafted=num_drafted,
        prefill_tokens=prefill_tokens,
        prefix_bytes=prefix_bytes,
    )
    engine.prefixes = PrefixCache(model.config, max_bytes=prefix_bytes, block=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KVCache, "spare", spare)
        patch.setattr("opencwm.infer.scheduler.JOINING", joining)
        run_arrivals(Scheduler(engine), requests, answers, arrivals, max_batch)


def run_arrivals(scheduler, requests, answers, arrivals, max_batch):
    tokens = {key: [] for key in range(len(arrivals))}
    logprobs = {key: [] for key in tokens}
    ended = {}

    def step():
        for made in scheduler.step():
            assert made.key not in ended
            tokens[made.key] += made.tokens
            logprobs[made.key] += made.logprobs
            if made.finish is not None:
                ended[made.key] = made.finish
        assert scheduler.num_running <= max_batch

    now, cancels = 0, {}
    for key, (gap, which, cancel_after) in enumerate(arrivals):
        for _ in range(gap):
            step()
            now += 1
            for due in cancels.pop(now, []):
                scheduler.cancel(due)
                ended.setdefault(due, "cancelled")
        scheduler.add(key, requests[which])
        if cancel_after is not None:
            cancels.setdefault(now + cancel_after + 1, []).append(key)
    while not scheduler.is_idle:
        step()
        now += 1
        for due in cancels.pop(now, []):
            scheduler.cancel(due)
            ended.setdefault(due, "cancelled")

    assert set(ended) == set(tokens)
    for key, (_, which, cancel_after) in enumerate(arrivals):
        expected, expected_logprobs = answers[which]
        if ended[key] == "length":
            assert tuple(tokens[key]) == expected
            assert logprobs[key] == pytest.approx(expected_logprobs, abs=1e-4)
        else:
            assert cancel_after is not None
            assert tuple(tokens[key]) == expected[: len(tokens[key])]


def test_a_long_prompt_does_not_hold_up_who_runs(model):
    scheduler = Scheduler(Engine(model, max_batch=2, num_drafted=0, prefill_tokens=16))
    scheduler.add(0, Request(prompt=(1, 2), max_tokens=100))
    scheduler.step()
    scheduler.add(1, Request(prompt=(3,) * 161, max_tokens=5))
    steps = [{made.key for made in scheduler.step()} for _ in range(11)]
    assert steps == [{0}] * 8 + [{0, 1}] * 3


def test_the_likeliest_tokens_are_told(model):
    prompt = (4, 5, 6)
    plain, asked = Engine(model).generate(
        [
            Request(prompt=prompt, max_tokens=9, logprobs=True),
            Request(prompt=prompt, max_tokens=9, logprobs=True, top_logprobs=3),
        ]
    )
    assert plain.top_logprobs is None
    assert [len(best) for best in asked.top_logprobs] == [3] * 9
    assert [best[0] for best in asked.top_logprobs] == [
        (token, pytest.approx(logprob, abs=1e-5)) for token, logprob in zip(plain.tokens, plain.logprobs, strict=True)
    ]
    logits = model.score(torch.tensor(prompt), [3])[-1]
    assert [token for token, _ in asked.top_logprobs[0]] == logits.topk(3).indices.tolist()


class Memory:
    """Runs out when a cache is to hold more than so many positions."""

    def __init__(self, monkeypatch, *, positions: int) -> None:
        reserve = KVCache.reserve

        def limited(cache, length):
            if length > positions:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
            reserve(cache, length)

        monkeypatch.setattr(KVCache, "reserve", limited)


def test_where_memory_runs_out_the_longest_is_given_up_and_the_others_are_right(model, known, monkeypatch):
    requests, answers = known
    Memory(monkeypatch, positions=60)
    long = Request(prompt=(9,) * 40, max_tokens=100)
    too_long = Request(prompt=(9,) * 80, max_tokens=100)
    done = Engine(model, num_drafted=3).generate([requests[3], long, requests[4], too_long])
    assert [item.finish for item in done] == ["length", "failed", "length", "failed"]
    assert 0 < len(done[1].tokens) < 30
    assert "memory" in done[1].error
    assert [done[0].tokens, done[2].tokens] == [answers[3][0], answers[4][0]]


def test_memory_that_runs_out_in_a_prompt_leaves_the_scheduler_whole(model, known, monkeypatch):
    requests, answers = known
    call, is_out = Step.__call__, [True]

    def once(step, layer, *states):
        if layer == 1 and is_out:
            is_out.clear()
            raise MemoryError
        return call(step, layer, *states)

    monkeypatch.setattr(Step, "__call__", once)
    monkeypatch.setattr("opencwm.infer.scheduler.JOINING", 1)
    done = Engine(model).generate([requests[0], requests[1]])
    assert [item.finish for item in done] == ["failed", "length"]
    assert done[1].tokens == answers[1][0]


def test_where_memory_for_prefixes_runs_out_they_are_given_up_and_the_request_is_not(model, known, monkeypatch):
    requests, answers = known
    engine = Engine(model)
    engine.prefixes = PrefixCache(model.config, max_bytes=1 << 30, block=4)
    assert engine.generate([requests[0]])[0].tokens == answers[0][0]
    assert engine.prefixes.num_bytes > 0

    def full(cache, start, end):
        raise MemoryError

    monkeypatch.setattr(KVCache, "block", full)
    assert engine.generate([requests[4]])[0].tokens == answers[4][0]
    assert engine.prefixes.num_bytes == 0


def test_other_errors_are_not_taken_for_lack_of_memory(model, monkeypatch):
    def broken(step, layer, *states):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(Step, "__call__", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        Engine(model).generate([Request(prompt=(1, 2), max_tokens=3)])

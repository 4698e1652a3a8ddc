import random
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from tiny_models import VOCAB, naive, tiny_model

from opencwm.errors import ConfigError
from opencwm.infer.drafts import Drafter
from opencwm.infer.engine import Engine
from opencwm.infer.resolve import NANO
from opencwm.protocols import Request


@pytest.fixture(scope="module", params=["cwm", "qwen3"])
def model(request):
    model = tiny_model(qk_norm=request.param == "qwen3")
    assert model.config.model_type == request.param
    return model


def random_requests(rng: random.Random, count: int, **changes) -> list[Request]:
    return [
        Request(
            prompt=tuple(rng.randrange(VOCAB) for _ in range(rng.choice([1, 2, 7, 8, 9, 17, 40]))),
            max_tokens=rng.choice([1, 3, 12, 30]),
            logprobs=True,
            **changes,
        )
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def requests_and_answers(model):
    requests = random_requests(random.Random(1), 12)
    return requests, [naive(model, list(request.prompt), request.max_tokens) for request in requests]


@pytest.mark.parametrize("num_drafted", [0, 1, 8])
@pytest.mark.parametrize("max_batch", [1, 3, 16])
def test_greedy_equals_the_loop_without_a_cache(model, requests_and_answers, max_batch, num_drafted):
    requests, answers = requests_and_answers
    completions = Engine(model, max_batch=max_batch, num_drafted=num_drafted).generate(requests)
    for completion, (tokens, logprobs) in zip(completions, answers, strict=True):
        assert completion.tokens == tokens
        assert completion.finish == "length"
        assert completion.logprobs == pytest.approx(logprobs, abs=1e-4)


def test_output_is_varied_enough_for_these_tests(model):
    tokens, _ = naive(model, [1, 2, 3], 30)
    assert len(set(tokens)) > 5


def test_stop_ids_end_a_completion_and_are_its_last_token(model):
    tokens, _ = naive(model, [5, 6], 30)
    stop = frozenset({tokens[10]})
    first = tokens.index(tokens[10])
    completion = Engine(model).generate([Request(prompt=(5, 6), max_tokens=30, stop_ids=stop)])[0]
    assert (completion.tokens, completion.finish) == (tokens[: first + 1], "stop")


class Knowing(Drafter):
    """Drafts what will come, but for every so many a wrong token."""

    script: ClassVar[dict[tuple[int, ...], tuple[int, ...]]] = {}
    wrong_every = 7

    def draft(self, count):
        for prompt, tokens in self.script.items():
            made = len(self.tokens) - len(prompt)
            if tuple(self.tokens[: len(prompt)]) == prompt and made >= 0:
                coming = list(tokens[made : made + count])
                return [(t + 1) % VOCAB if (made + i) % self.wrong_every == 3 else t for i, t in enumerate(coming)]
        return []


@pytest.mark.parametrize("max_batch", [1, 4])
def test_a_stop_text_ends_a_completion_before_it_and_no_other(max_batch):
    engine = Engine.load(NANO, max_batch=max_batch, threads=1, dtype=torch.float32)
    ask = Request(prompt="def f(xs):\n    total = 0\n", max_tokens=60)
    whole = engine.generate([ask])[0]
    middle = len(whole.text) // 2
    stop = whole.text[middle : middle + 3]
    before = whole.text[: whole.text.index(stop)]
    assert len(before) > 10
    stopped, other = engine.generate([replace(ask, stop_texts=("never", stop)), ask])
    assert (stopped.text, stopped.finish) == (before, "stop")
    assert stopped.tokens == whole.tokens[: len(stopped.tokens)] != whole.tokens
    assert (other.text, other.tokens) == (whole.text, whole.tokens)


def test_a_stop_text_without_a_tokenizer_is_refused(model):
    with pytest.raises(ConfigError, match="need a tokenizer"):
        Engine(model).generate([Request(prompt=(5, 6), max_tokens=3, stop_texts=("x",))])


@pytest.mark.parametrize("num_drafted", [1, 3, 12])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_drafts_change_nothing_but_the_number_of_steps(model, num_drafted, temperature, monkeypatch):
    prompts = [(1, 2, 3), (4,), (5, 6) * 10, (7, 8, 9, 10)]
    requests = [
        Request(prompt=prompt, max_tokens=40, temperature=temperature, seed=i, logprobs=True)
        for i, prompt in enumerate(prompts)
    ]
    plain = Engine(model, num_drafted=0).generate(requests)
    monkeypatch.setattr(Knowing, "script", {p: done.tokens for p, done in zip(prompts, plain, strict=True)})
    monkeypatch.setattr("opencwm.infer.scheduler.drafter_of", lambda prompt, tokenizer: Knowing(prompt))
    steps = []
    logits = Engine.logits
    monkeypatch.setattr(Engine, "logits", lambda engine, hidden: (steps.append(1), logits(engine, hidden))[1])
    drafted = Engine(model, num_drafted=num_drafted, max_batch=3).generate(requests)
    assert [item.tokens for item in drafted] == [item.tokens for item in plain]
    for mine, theirs in zip(drafted, plain, strict=True):
        assert mine.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)
    assert len(steps) < 80


def test_requests_that_share_a_beginning_get_what_they_get_alone(model):
    rng = random.Random(7)
    base = tuple(rng.randrange(VOCAB) for _ in range(40))
    prompts = [base, base[:33], (*base[:20], 3, 4), base[:20], (*base, *base), base[:1], base]
    requests = [Request(prompt=prompt, max_tokens=10) for prompt in prompts]
    together = Engine(model, max_batch=2).generate(requests)
    assert [item.tokens for item in together] == [naive(model, list(prompt), 10)[0] for prompt in prompts]


def test_sampling_depends_on_the_seed_and_not_on_the_company(model):
    rng = random.Random(1)
    requests = [Request(prompt=(1, 2, seed), max_tokens=20, temperature=1.0, top_p=0.9, seed=seed) for seed in range(6)]
    alone = [Engine(model).generate([request])[0].tokens for request in requests]
    crowd = requests + random_requests(rng, 9)
    assert [item.tokens for item in Engine(model, max_batch=4).generate(crowd)[:6]] == alone
    other = [Request(prompt=(1, 2, seed), max_tokens=20, temperature=1.0, seed=seed + 100) for seed in range(6)]
    assert [item.tokens for item in Engine(model).generate(other)] != alone


def test_scores_are_those_of_the_naive_forward(model):
    rng = random.Random(3)
    sequences = [[rng.randrange(VOCAB) for _ in range(length)] for length in (2, 9, 30, 1, 17)]
    for sequence, scores in zip(sequences, Engine(model).score(sequences), strict=True):
        logits = model.score(torch.tensor(sequence), [len(sequence)])[:-1]
        assert scores.argmax == tuple(logits.argmax(-1).tolist())
        expected = logits.log_softmax(-1)[torch.arange(len(sequence) - 1), sequence[1:]].tolist()
        assert scores.logprobs == pytest.approx(expected, abs=1e-4)


def test_a_sequence_ends_where_the_model_does():
    model = tiny_model(qk_norm=True, length=16)
    done = Engine(model).generate([Request(prompt=(1,) * 10, max_tokens=50), Request(prompt=(1,) * 16, max_tokens=5)])
    assert [(len(item.tokens), item.finish) for item in done] == [(6, "length"), (0, "length")]


@pytest.mark.parametrize("layer_type", ["full_attention", "sliding_attention"])
def test_models_with_layers_of_one_kind(layer_type):
    model = tiny_model(qk_norm=True, layer_types=(layer_type,) * 3)
    requests = [Request(prompt=(1, 2, 3), max_tokens=20), Request(prompt=(4,) * 30, max_tokens=20)]
    expected = [naive(model, list(request.prompt), 20)[0] for request in requests]
    assert [item.tokens for item in Engine(model).generate(requests)] == expected


def test_bfloat16_weights_give_float32_log_probabilities():
    model = tiny_model(qk_norm=True)
    frequencies = model.frequencies.clone()
    model.to(torch.bfloat16).frequencies = frequencies
    completion = Engine(model).generate([Request(prompt=(1, 2, 3), max_tokens=20, logprobs=True)])[0]
    coarse = [value for value in completion.logprobs if torch.tensor(value).bfloat16().item() == value]
    assert len(coarse) < 5


@pytest.mark.parametrize("num_drafted", [-1, 10_000])
def test_more_drafted_tokens_than_a_step_takes_are_refused(model, num_drafted):
    with pytest.raises(ConfigError, match=f"num_drafted is {num_drafted}"):
        Engine(model, num_drafted=num_drafted)

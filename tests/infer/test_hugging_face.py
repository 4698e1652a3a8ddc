"""The adapter for transformers, against our engine on the same weights, and on an architecture that is not ours."""

import pytest
import tokenizers
import torch
import transformers
from tiny_models import fresh, save_folder, shape_for

from opencwm.cli import main
from opencwm.errors import ConfigError
from opencwm.infer.engine import Engine
from opencwm.infer.grammar import TraceGrammar
from opencwm.infer.hugging_face import Constraint, HuggingFaceModel
from opencwm.infer.resolve import open_model
from opencwm.prediction import predict
from opencwm.protocols import Message, Request
from opencwm.tokenizer import Tokenizer

CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<me>{% endif %}"
TEXT = "def f(n):\n    return [n, n + 1]\n"


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train([TEXT, "main 0 1 2 3"], 330)


@pytest.fixture(scope="module")
def ours(tmp_path_factory, tokenizer):
    """A folder in the `cwm` layout."""
    folder = tmp_path_factory.mktemp("hf") / "ours"
    shape = shape_for(tokenizer, qk_norm=False, sliding_window=16)
    return save_folder(folder, fresh(shape, seed=3), tokenizer)


@pytest.fixture(scope="module")
def llama(tmp_path_factory, tokenizer):
    """A folder that only transformers reads, without CWM's special tokens."""
    folder = tmp_path_factory.mktemp("hf") / "llama"
    config = transformers.LlamaConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    inner = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers_bpe(), eos_token="<end>")
    inner.chat_template = CHAT
    inner.save_pretrained(folder)
    return folder


def tokenizers_bpe():
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=alphabet, special_tokens=["<a>", "<b>", "<end>"]
    )
    inner.train_from_iterator([TEXT], trainer)
    return inner


@pytest.fixture(scope="module")
def both(ours):
    """In float32: greedy choices do not hang on rounding."""
    theirs = HuggingFaceModel.load(ours, device=torch.device("cpu"))
    theirs._model.float()
    return theirs, Engine.load(ours, dtype=torch.float32)


def test_it_makes_what_our_engine_makes(both, tokenizer):
    theirs, engine = both
    prompts = [tuple(tokenizer.encode(TEXT)), tuple(tokenizer.encode("main")), (5,)]
    requests = [Request(prompt=prompt, max_tokens=40, logprobs=True, top_logprobs=3) for prompt in prompts]
    for mine, other in zip(engine.generate(requests), theirs.generate(requests), strict=True):
        assert other.tokens == mine.tokens
        assert (other.text, other.finish) == (mine.text, mine.finish)
        assert other.logprobs == pytest.approx(mine.logprobs, abs=1e-4)
        for best, expected in zip(other.top_logprobs, mine.top_logprobs, strict=True):
            assert [token for token, _ in best] == [token for token, _ in expected]


def test_stop_ids_end_it(both, tokenizer):
    theirs, _ = both
    prompt = tuple(tokenizer.encode(TEXT))
    (free,) = theirs.generate([Request(prompt=prompt, max_tokens=12)])
    stop = free.tokens[4]
    (stopped,) = theirs.generate([Request(prompt=prompt, max_tokens=12, stop_ids=frozenset({stop}))])
    assert stopped.tokens == free.tokens[: free.tokens.index(stop) + 1]
    assert (free.finish, stopped.finish) == ("length", "stop")


def test_scores_are_our_engine_s(both, tokenizer):
    theirs, engine = both
    sequences = [tokenizer.encode(TEXT), tokenizer.encode("main 0 1")]
    for mine, other in zip(engine.score(sequences), theirs.score(sequences), strict=True):
        assert other.argmax == mine.argmax
        assert other.logprobs == pytest.approx(mine.logprobs, abs=1e-4)
        assert other.argmax_logprobs == pytest.approx(mine.argmax_logprobs, abs=1e-4)


def test_a_grammar_is_kept_to(both, tokenizer):
    theirs, engine = both
    context = "\ndef main():  # << START_OF_TRACE\n    return 1\n"
    request = Request(prompt=(3, 4), max_tokens=30, grammar=TraceGrammar(context, tokenizer), logprobs=True)
    mine, other = engine.generate([request])[0], theirs.generate([request])[0]
    assert other.tokens == mine.tokens
    assert other.logprobs == pytest.approx(mine.logprobs, abs=1e-4)


def test_the_same_seed_gives_the_same_sample(both, tokenizer):
    theirs, _ = both
    requests = [Request(prompt=(5, 6), max_tokens=20, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (completion.tokens for completion in theirs.generate(requests))
    assert first == again != other


def test_samples_are_of_the_temperature_and_the_share_that_are_asked_for(both):
    theirs, _ = both

    def made(**options):
        return theirs.generate([Request(prompt=(5, 6), max_tokens=16, seed=1, **options)])[0]

    greedy = made()
    assert made(temperature=1e-3).tokens == greedy.tokens
    assert made(temperature=50.0, top_p=1e-6).tokens == greedy.tokens
    flat = made(temperature=1e3, top_logprobs=60)
    assert any(token not in dict(best) for token, best in zip(flat.tokens, flat.top_logprobs, strict=True))


class Ends:
    """The state of a grammar over three ids, of which the second is allowed."""

    def __init__(self):
        self.taken = []

    def allowed(self):
        return bytes([0, 1, 0])

    def accept(self, token):
        self.taken.append(token)


def test_ids_that_a_grammar_does_not_know_are_not_allowed():
    state = Ends()
    constrain = Constraint(state, 2)
    for ids in ([7, 8], [7, 8, 1], [7, 8, 1, 1]):
        scores = constrain(torch.tensor([ids]), torch.zeros(1, 5))
        assert scores.isfinite().tolist() == [[False, True, False, False, False]]
    assert state.taken == [1, 1]


def test_predicting_with_it_is_predicting_with_our_engine(both):
    theirs, engine = both
    mine, other = (predict(TEXT, "f(3)", model, max_frames=2) for model in (engine, theirs))
    assert other.parsed == mine.parsed
    assert other.frame_confidences == pytest.approx(mine.frame_confidences, abs=1e-4)


def test_a_folder_of_another_architecture_is_opened_by_transformers(llama):
    model = open_model(str(llama), device="cpu")
    assert isinstance(model, HuggingFaceModel)
    assert (model.name, model.tokenizer) == ("llama", None)
    (made,) = model.generate([Request(prompt="def f", max_tokens=5)])
    assert (len(made.tokens), made.finish) == (5, "length")


def test_it_is_not_served(llama, capsys):
    assert main.run(["serve", "--model", str(llama), "--port", "0"]) == 2
    assert "is run by transformers" in capsys.readouterr().err


def test_it_answers_chats_and_stops_at_texts(llama):
    model = open_model(str(llama), device="cpu")
    chat = (Message(role="user", content="hi"),)
    (made,) = model.generate([Request(prompt=chat, max_tokens=8)])
    assert len(made.tokens) == 8
    stop = made.text[2:4]
    (stopped,) = model.generate([Request(prompt=chat, max_tokens=8, stop_texts=("never", stop))])
    assert stopped.text == made.text[: made.text.index(stop)]
    assert stopped.finish == "stop"
    (free,) = model.generate([Request(prompt="def f", max_tokens=8, stop_texts=("def",))])
    assert (len(free.tokens), free.finish) == (8, "length")  # a stop text of the prompt is none


def test_texts_end_with_the_model_s_own_stop_token_and_with_those_of_the_request(llama):
    model = open_model(str(llama), device="cpu")
    (made,) = model.generate([Request(prompt="def f", max_tokens=8)])
    stop = made.tokens[3]
    expected = made.tokens[: made.tokens.index(stop) + 1]
    (asked,) = model.generate([Request(prompt="def f", max_tokens=8, stop_ids=frozenset({stop}))])
    own = []
    for ids in (stop, [stop]):
        model._model.generation_config.eos_token_id = ids
        own += model.generate([Request(prompt="def f", max_tokens=8)])
    for stopped in (asked, *own):
        assert (stopped.tokens, stopped.finish) == (expected, "stop")
        assert stopped.text == model._text.decode(list(expected[:-1]))


def test_a_folder_that_transformers_cannot_read_gets_its_sentence(llama, tmp_path):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((llama / name).read_bytes())
    with pytest.raises(ConfigError, match="transformers cannot read"):
        open_model(str(tmp_path), device="cpu")


def test_a_model_without_a_chat_template_says_so(both):
    theirs, _ = both
    with pytest.raises(ConfigError, match="no chat template"):
        theirs.generate([Request(prompt=(Message(role="user", content="hi"),), max_tokens=2)])

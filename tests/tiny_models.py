"""Random models of a few thousand weights, folders of such, and the loop that every engine must agree with."""

from pathlib import Path
from typing import Any

import torch

from opencwm.model import weights
from opencwm.model.config import ModelConfig, RopeScaling, layer_pattern
from opencwm.model.transformer import Transformer
from opencwm.tokenizer import Tokenizer

VOCAB = 97
MIXED = layer_pattern(5)


def tiny_model(*, qk_norm: bool, window: int = 8, length: int = 512, layer_types=MIXED) -> Transformer:
    """A random model whose next token is far from constant."""
    config = ModelConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=len(layer_types),
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        layer_types=layer_types,
        sliding_window=window,
        max_position_embeddings=length,
        qk_norm=qk_norm,
        rope_scaling=None if qk_norm else RopeScaling(original_max_position_embeddings=32),
        rope_theta=1e4,
    )
    model = Transformer(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.3, generator=generator)
    return model.eval()


def shape_for(tokenizer: Tokenizer, **changes: Any) -> ModelConfig:
    """Two layers for a tokenizer's vocabulary, with its special tokens."""
    shape = {
        "vocab_size": tokenizer.vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "layer_types": ("sliding_attention", "full_attention"),
        "sliding_window": 64,
        "max_position_embeddings": 512,
        "qk_norm": True,
        "bos_token_id": tokenizer.special["begin_of_text"],
        "eos_token_id": (tokenizer.special["end_of_text"],),
        "pad_token_id": tokenizer.special["pad"],
    }
    return ModelConfig(**(shape | changes))


def save_folder(folder: Path, model: Transformer, tokenizer: Tokenizer) -> Path:
    """A model folder as training leaves it."""
    weights.save(model, folder)
    tokenizer.save(folder)
    return folder


def fresh(shape: ModelConfig, seed: int = 0) -> Transformer:
    """A model as training begins with it."""
    model = Transformer(shape)
    model.initialise(seed)
    return model


@torch.no_grad()
def naive(model: Transformer, prompt: list[int], max_tokens: int, stop_ids: frozenset[int] = frozenset()):
    """The loop without a cache: tokens, and the log-probability of each."""
    tokens, logprobs = list(prompt), []
    while len(tokens) - len(prompt) < max_tokens:
        logits = model.score(torch.tensor(tokens), [len(tokens)])[-1]
        tokens.append(int(logits.argmax()))
        logprobs.append(float(logits.log_softmax(-1)[tokens[-1]]))
        if tokens[-1] in stop_ids:
            break
    return tuple(tokens[len(prompt) :]), logprobs

"""Random models of a few thousand weights, and the loop that every engine must agree with."""

import torch

from opencwm.model.config import ModelConfig, RopeScaling, layer_pattern
from opencwm.model.transformer import Transformer

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

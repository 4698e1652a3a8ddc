"""The floating-point operations that a training step must do, and the share of a device's peak that they make.

    2 per weight and token forward, twice that backward:  6 N T, and 6 V D for each trained token (the head)
    4 H per query head and visible key forward, twice that backward:  12 N_heads H K

Counted is what the model asks for, not what an implementation does: keys that a window or a document hides, masked
parts of blocks, activations computed anew and the optimizer count nothing. That is the numerator of model FLOP
utilisation (MFU, PaLM, arXiv 2204.02311, appendix B), with each document's visible keys in the place of their T / 2.
"""

from collections.abc import Sequence

from opencwm.model.config import ModelConfig


def training_flop(config: ModelConfig, lengths: Sequence[int], num_trained: int) -> int:
    """Of one step over packed documents of the given lengths, of which `num_trained` tokens have a loss."""
    hidden, heads = config.hidden_size, config.num_attention_heads * config.head_dim
    keys = 2 * config.num_key_value_heads * config.head_dim
    per_layer = hidden * (2 * heads + keys) + 3 * hidden * config.intermediate_size
    weights = config.num_hidden_layers * per_layer * sum(lengths) + config.vocab_size * hidden * num_trained
    visible = sum(
        visible_keys(length, config.window(layer)) for layer in range(config.num_hidden_layers) for length in lengths
    )
    return 6 * weights + 12 * heads * visible


def visible_keys(length: int, window: int | None) -> int:
    """Pairs of a query and a key that it sees, in one document."""
    full = min(length, window or length)
    return full * (full + 1) // 2 + (length - full) * full

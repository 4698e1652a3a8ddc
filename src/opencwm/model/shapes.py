"""The sizes that recipes are made in, each a whole `ModelConfig`.

`paper_32b` is the released model to the last tensor: Table 2 of CWM (arXiv 2510.02387) with the layer pattern of its
code, which makes the last layer global too. The others are ours: the same proportions, scaled down.
"""

from opencwm.model.config import ModelConfig, RopeScaling, layer_pattern


def paper_32b() -> ModelConfig:
    """32,581,097,472 parameters in 579 tensors."""
    return ModelConfig(
        vocab_size=128_256,
        hidden_size=6144,
        intermediate_size=21_504,
        num_hidden_layers=64,
        num_attention_heads=48,
        num_key_value_heads=8,
        head_dim=128,
        layer_types=layer_pattern(64),
        sliding_window=8192,
        max_position_embeddings=131_072,
        rope_theta=1e6,
        rope_scaling=RopeScaling(),
        bos_token_id=128_000,
        eos_token_id=(128_001, 128_008, 128_009),
    )


def b1_8() -> ModelConfig:
    """1.83 billion parameters, 525 million of them embedding and head."""
    return ModelConfig(
        vocab_size=128_256,
        hidden_size=2048,
        intermediate_size=7168,
        num_hidden_layers=24,
        num_attention_heads=16,
        num_key_value_heads=4,
        head_dim=128,
        layer_types=layer_pattern(24),
        sliding_window=2048,
        max_position_embeddings=32_768,
        rope_theta=1e6,
        rope_scaling=RopeScaling(factor=4.0),
        bos_token_id=128_000,
        eos_token_id=(128_001, 128_008, 128_009),
    )


def small() -> ModelConfig:
    """About 150 million parameters, for a vocabulary of our own training."""
    return ModelConfig(
        vocab_size=32_768,
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=16,
        num_attention_heads=12,
        num_key_value_heads=4,
        head_dim=64,
        layer_types=layer_pattern(16),
        sliding_window=512,
        max_position_embeddings=8192,
        rope_theta=500_000.0,
    )


def nano() -> ModelConfig:
    """About 7 million parameters: the model that ships with the project."""
    return ModelConfig(
        vocab_size=1024,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        # a local layer first: the global one after it can then match what precedes a token; the last is global
        layer_types=("sliding_attention", "full_attention", "sliding_attention") * 2
        + ("sliding_attention", "full_attention"),
        sliding_window=128,
        max_position_embeddings=8192,
        rope_theta=10_000.0,
        qk_norm=True,
    )

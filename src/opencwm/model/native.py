"""Meta's own layout of a CWM checkpoint: its parameter names, the order of its RoPE pairs, its `params.json`.

    native name, config  --to_hf_name / to_hf_tensor-->  Hugging Face name, tensor     (and back)

Its attention rotates interleaved pairs (2i, 2i + 1) where the Hugging Face layout rotates (i, i + H/2): the rows of q
and k are permuted on the way. Every other tensor is copied. Source: the code of the CWM release (September 2025).
"""

import re
from typing import Any

from torch import Tensor

from opencwm.errors import ConfigError
from opencwm.model.config import ModelConfig, RopeScaling, layer_pattern

PREFIX = "model."
"""Before every native name in the distributed checkpoint."""
OUTSIDE = {
    "tok_embeddings.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
IN_LAYER = {
    "attention_norm.weight": "input_layernorm.weight",
    "attention.wq.weight": "self_attn.q_proj.weight",
    "attention.wk.weight": "self_attn.k_proj.weight",
    "attention.wv.weight": "self_attn.v_proj.weight",
    "attention.wo.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "feed_forward.w1.weight": "mlp.gate_proj.weight",
    "feed_forward.w3.weight": "mlp.up_proj.weight",
    "feed_forward.w2.weight": "mlp.down_proj.weight",
}
TO_NATIVE = {hf: native for native, hf in (OUTSIDE | IN_LAYER).items()}
RESERVED_IDS = 256
"""Special tokens of the released tokenizer, after its ranks."""


def to_hf_name(name: str) -> str | None:
    """The Hugging Face name of a native one, None where there is none."""
    if name in OUTSIDE:
        return OUTSIDE[name]
    match = re.fullmatch(r"layers\.(\d+)\.(.+)", name)
    inner = IN_LAYER.get(match[2]) if match else None
    return f"model.layers.{match[1]}.{inner}" if match and inner else None


def to_native_name(name: str) -> str:
    """The native name of one of the `cwm` layout; a KeyError where there is none."""
    match = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", name)
    return f"layers.{match[1]}.{TO_NATIVE[match[2]]}" if match else TO_NATIVE[name]


def to_hf_tensor(name: str, tensor: Tensor, config: ModelConfig) -> Tensor:
    """The tensor with Hugging Face name `name`, from the native one."""
    return _reordered(name, tensor, config, (config.head_dim // 2, 2))


def to_native_tensor(name: str, tensor: Tensor, config: ModelConfig) -> Tensor:
    """The inverse of `to_hf_tensor`."""
    return _reordered(name, tensor, config, (2, config.head_dim // 2))


def _reordered(name: str, tensor: Tensor, config: ModelConfig, pairs: tuple[int, int]) -> Tensor:
    """q and k with the rows of each head, seen as a `pairs` table, transposed; anything else as it is."""
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return tensor
    return tensor.view(-1, *pairs, tensor.shape[1]).transpose(1, 2).reshape(tensor.shape)


def to_params(config: ModelConfig) -> dict[str, Any]:
    """The `model` part of `params.json`. Raises ConfigError for what that layout cannot say."""
    if config.qk_norm:
        raise ConfigError("the native layout has no qk_norm", fix="keep this model in the Hugging Face layout")
    every, last = _pattern(config)
    params: dict[str, Any] = {
        "dim": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads,
        "n_kv_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "ffn_dim": config.intermediate_size,
        "vocab_size": config.vocab_size,
        "norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "max_seq_len": config.max_position_embeddings,
        "window_attn": {
            "window_pattern": every,
            "local_window": config.sliding_window,
            "global_window": None,
            "global_last_layer": last,
        },
    }
    if config.rope_scaling is not None:
        params["scaled_rope"] = {
            "scale_factor": config.rope_scaling.factor,
            "low_freq_factor": config.rope_scaling.low_freq_factor,
            "high_freq_factor": config.rope_scaling.high_freq_factor,
            "old_context_len": config.rope_scaling.original_max_position_embeddings,
        }
    return params


def _pattern(config: ModelConfig) -> tuple[int, bool]:
    """(window_pattern, global_last_layer) that make the layer types."""
    last_layer = config.num_hidden_layers - 1
    for every in range(1, config.num_hidden_layers + 1):
        for last in (False, True):
            is_global = [layer % every == 0 or (last and layer == last_layer) for layer in range(last_layer + 1)]
            if is_global == [kind == "full_attention" for kind in config.layer_types]:
                return every, last
    raise ConfigError(
        "the native layout cannot say this layer pattern: it has a global layer every n layers, from the first one",
        fix="keep this model in the Hugging Face layout",
    )


def from_params(params: dict[str, Any], shapes: dict[str, tuple[int, ...]], *, where: str) -> ModelConfig:
    """The configuration that `params.json` (its `model` part) and the native tensors' shapes describe; sizes of the
    vocabulary and of the feed-forward layer are those of the tensors. Raises ConfigError naming what is missing."""
    try:
        windows, scaling = params["window_attn"], params.get("scaled_rope")
        num_layers, first_id = params["n_layers"], shapes["tok_embeddings.weight"][0] - RESERVED_IDS
        return ModelConfig(
            vocab_size=shapes["tok_embeddings.weight"][0],
            hidden_size=params["dim"],
            intermediate_size=shapes["layers.0.feed_forward.w1.weight"][0],
            num_hidden_layers=num_layers,
            num_attention_heads=params["n_heads"],
            num_key_value_heads=params.get("n_kv_heads") or params["n_heads"],
            head_dim=params.get("head_dim") or params["dim"] // params["n_heads"],
            layer_types=layer_pattern(
                num_layers, every=windows["window_pattern"], is_last_global=windows.get("global_last_layer", True)
            ),
            sliding_window=windows["local_window"],
            max_position_embeddings=params["max_seq_len"],
            rope_theta=float(params["rope_theta"]),
            rope_scaling=scaling
            and RopeScaling(
                factor=float(scaling["scale_factor"]),
                low_freq_factor=float(scaling["low_freq_factor"]),
                high_freq_factor=float(scaling["high_freq_factor"]),
                original_max_position_embeddings=int(scaling["old_context_len"]),
            ),
            rms_norm_eps=params["norm_eps"],
            # begin of text; end of text, end of message, end of turn
            bos_token_id=first_id,
            eos_token_id=(first_id + 1, first_id + 8, first_id + 9),
        )
    except (KeyError, TypeError) as exc:
        raise ConfigError(f"{where}: {exc} is missing or of the wrong type") from exc

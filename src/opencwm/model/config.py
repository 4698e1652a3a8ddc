"""What a model is made of: the CWM architecture as one frozen object, and its Hugging Face `config.json`.

The architecture is that of CWM (arXiv 2510.02387, section 4.1): a dense decoder with grouped-query attention, SwiGLU,
RMSNorm before each block, llama3-scaled RoPE, interleaved local and global attention, no biases, an untied head.
One addition of ours, for small models: `qk_norm`. A configuration without it is written in the Hugging Face `cwm`
layout, one with it in the `qwen3` layout, which is the same architecture with RMSNorm over each head of q and k.

The layer pattern is always explicit: the defaults of `transformers.CwmConfig` do not describe the released 32B.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opencwm.errors import ConfigError

LayerType = Literal["full_attention", "sliding_attention"]
LAYOUTS = ("cwm", "qwen3")
"""The `model_type` of a `config.json` that can be ours."""
LACKING = ("tie_word_embeddings", "attention_bias", "mlp_bias")
"""What models of others have and this architecture has not: no `config.json` of ours sets one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RopeScaling:
    """The llama3 recipe: long wavelengths are stretched by `factor`, short ones kept, the middle interpolated."""

    factor: float = 16.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    layer_types: tuple[LayerType, ...]
    """One entry per layer; `layer_pattern` makes CWM's."""
    sliding_window: int
    """A local layer's query at position p sees the keys p - sliding_window + 1 .. p."""
    max_position_embeddings: int
    """Longest sequence in tokens the model is meant for."""
    rope_theta: float = 1e6
    rope_scaling: RopeScaling | None = None
    """None: plain RoPE."""
    rms_norm_eps: float = 1e-5
    qk_norm: bool = False
    """RMSNorm over each head of q and k, before RoPE."""
    bos_token_id: int = 0
    eos_token_id: tuple[int, ...] = (1,)
    pad_token_id: int | None = None

    def __post_init__(self) -> None:
        if len(self.layer_types) != self.num_hidden_layers:
            raise ConfigError(
                f"layer_types names {len(self.layer_types)} layers, num_hidden_layers says {self.num_hidden_layers}",
                fix="give one entry of layer_types per layer",
            )
        unknown = set(self.layer_types) - {"full_attention", "sliding_attention"}
        if unknown:
            raise ConfigError(
                f"layer_types holds {sorted(unknown)[0]!r}", fix="use full_attention or sliding_attention"
            )
        if self.num_attention_heads % self.num_key_value_heads:
            raise ConfigError(
                f"{self.num_attention_heads} attention heads cannot share {self.num_key_value_heads} key-value heads",
                fix="make num_attention_heads a multiple of num_key_value_heads",
            )
        if self.head_dim % 2:
            raise ConfigError(f"head_dim is {self.head_dim}", fix="RoPE rotates pairs: make it even")
        if self.qk_norm and self.rope_scaling is not None:
            raise ConfigError("qk_norm together with rope_scaling", fix="leave one of them out")

    @property
    def model_type(self) -> Literal["cwm", "qwen3"]:
        return "qwen3" if self.qk_norm else "cwm"

    def window(self, layer: int) -> int | None:
        """Width in tokens of a local layer; None for a global one."""
        return self.sliding_window if self.layer_types[layer] == "sliding_attention" else None

    def to_hf(self) -> dict[str, Any]:
        """The content of a Hugging Face `config.json`."""
        rope: dict[str, Any] = {"rope_type": "default", "rope_theta": self.rope_theta}
        if self.rope_scaling is not None:
            scaling = self.rope_scaling
            rope |= {
                "rope_type": "llama3",
                "factor": scaling.factor,
                "low_freq_factor": scaling.low_freq_factor,
                "high_freq_factor": scaling.high_freq_factor,
                "original_max_position_embeddings": scaling.original_max_position_embeddings,
            }
        data: dict[str, Any] = {
            "architectures": ["Qwen3ForCausalLM" if self.qk_norm else "CwmForCausalLM"],
            "model_type": self.model_type,
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "max_position_embeddings": self.max_position_embeddings,
            "rms_norm_eps": self.rms_norm_eps,
            "attention_bias": False,
            "mlp_bias": False,
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "tie_word_embeddings": False,
            "use_cache": True,
            "sliding_window": self.sliding_window,
            "layer_types": list(self.layer_types),
            "rope_parameters": rope,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": list(self.eos_token_id),
            "pad_token_id": self.pad_token_id,
            "dtype": "bfloat16",
        }
        if self.qk_norm:
            data["use_sliding_window"] = True
            data["max_window_layers"] = 0
        return data

    @classmethod
    def from_hf(cls, data: dict[str, Any], *, where: str = "config.json") -> "ModelConfig":
        """The inverse of `to_hf`, accepting files written by others as well; raises ConfigError naming the field."""
        model_type = data.get("model_type")
        if model_type not in LAYOUTS:
            raise ConfigError(
                f"{where}: model_type is {model_type!r}", fix="use a model folder in the cwm or qwen3 layout"
            )
        if any(data.get(key) for key in LACKING):
            raise ConfigError(f"{where}: tied embeddings and biases are not part of this architecture")
        rope = data.get("rope_parameters") or {"rope_theta": data.get("rope_theta"), **(data.get("rope_scaling") or {})}
        if rope.get("rope_type", "default") not in ("default", "llama3"):
            raise ConfigError(f"{where}: rope_type {rope['rope_type']!r} is not supported", fix="use default or llama3")
        eos: Any = data.get("eos_token_id")
        try:
            scaling = None
            if rope.get("rope_type") == "llama3":
                scaling = RopeScaling(
                    factor=float(rope["factor"]),
                    low_freq_factor=float(rope["low_freq_factor"]),
                    high_freq_factor=float(rope["high_freq_factor"]),
                    original_max_position_embeddings=int(rope["original_max_position_embeddings"]),
                )
            return cls(
                vocab_size=data["vocab_size"],
                hidden_size=data["hidden_size"],
                intermediate_size=data["intermediate_size"],
                num_hidden_layers=data["num_hidden_layers"],
                num_attention_heads=data["num_attention_heads"],
                num_key_value_heads=data["num_key_value_heads"],
                head_dim=data["head_dim"],
                layer_types=tuple(data["layer_types"]),
                sliding_window=data.get("sliding_window") or data["max_position_embeddings"],
                max_position_embeddings=data["max_position_embeddings"],
                rope_theta=float(rope["rope_theta"]),
                rope_scaling=scaling,
                rms_norm_eps=data["rms_norm_eps"],
                qk_norm=model_type == "qwen3",
                bos_token_id=data["bos_token_id"],
                eos_token_id=tuple(eos) if isinstance(eos, list) else (eos,),
                pad_token_id=data.get("pad_token_id"),
            )
        except (KeyError, TypeError) as exc:
            raise ConfigError(f"{where}: {exc} is missing or of the wrong type") from exc

    def save(self, folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps(self.to_hf(), indent=2) + "\n")


def layer_pattern(num_layers: int, *, every: int = 4, is_last_global: bool = True) -> tuple[LayerType, ...]:
    """CWM's interleaving: layers 0, `every`, 2 `every`, ... and the last one are global, the others local."""
    return tuple(
        "full_attention" if layer % every == 0 or (is_last_global and layer == num_layers - 1) else "sliding_attention"
        for layer in range(num_layers)
    )

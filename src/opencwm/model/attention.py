"""Document-causal attention over packed tokens, full or in a sliding window.

    q_TNH, k_TKH, v_TKH  --attend(layer)-->  out_TNH

The transformer knows one thing about attention: a callable with this signature. `PackedAttention` here serves
training and scoring, where every key of a document is at hand; `opencwm.infer.kv_cache` serves generation.

Documents are packed end to end and attend to themselves only, yet no T x T mask is ever built. Who computes it is
chosen by the device: `attention_flex` on a GPU, `attention_blocks` elsewhere.

T = packed tokens, N = query heads, K = key-value heads, H = head dimension.
"""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from opencwm.model.attention_blocks import BlockAttention
from opencwm.model.attention_flex import FlexAttention
from opencwm.model.config import ModelConfig


class Attend(Protocol):
    def __call__(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor: ...


class PackedAttention:
    """Attention over packed documents given by their lengths, in order; the lengths add up to T."""

    def __init__(self, config: ModelConfig, lengths: Sequence[int], *, global_window: int | None = None) -> None:
        """`global_window` bounds the global layers of this batch to that many tokens, as CWM does in mid-training
        for rows of middling length (arXiv 2510.02387, section 5.3); None leaves them whole."""
        self.config = config
        self.lengths = list(lengths)
        self.global_window = global_window
        self._by_device: dict[str, BlockAttention | FlexAttention] = {}

    def __call__(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor:
        assert q_TNH.shape[0] == sum(self.lengths), f"{q_TNH.shape[0]} tokens, lengths add to {sum(self.lengths)}"
        device = q_TNH.device.type
        if device not in self._by_device:
            kind = FlexAttention if device == "cuda" else BlockAttention
            self._by_device[device] = kind(self.lengths)
        window = self.config.window(layer) or self.global_window
        if window is not None and window >= max(self.lengths):
            window = None
        return self._by_device[device](q_TNH, k_TKH, v_TKH, window)

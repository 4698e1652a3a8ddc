"""Document-causal attention over packed tokens, full or in a sliding window.

    q_TNH, k_TKH, v_TKH  --attend(layer)-->  out_TNH

The transformer knows one thing about attention: a callable with this signature. `PackedAttention` here serves
training and scoring, where every key of a document is at hand; `opencwm.infer.kv_cache` serves generation.

T = packed tokens, N = query heads, K = key-value heads, H = head dimension, W = window.

A document attends to itself only, so each one is a call of its own to PyTorch's fused causal kernel and no T x T mask
is ever built. A local layer over a document longer than its window goes block by block: queries of block b see the
keys of blocks b-1 and b, which covers every window, at a cost linear in the document's length.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from opencwm.model.config import ModelConfig


class Attend(Protocol):
    def __call__(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor: ...


class PackedAttention:
    """Attention over packed documents given by their lengths, in order; the lengths add up to T."""

    def __init__(self, config: ModelConfig, lengths: Sequence[int]) -> None:
        self.config = config
        self.lengths = list(lengths)

    def __call__(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor:
        assert q_TNH.shape[0] == sum(self.lengths), f"{q_TNH.shape[0]} tokens, lengths add to {sum(self.lengths)}"
        window = self.config.window(layer)
        outs = []
        for q, k, v in zip(
            q_TNH.split(self.lengths), k_TKH.split(self.lengths), v_TKH.split(self.lengths), strict=True
        ):
            local = window is not None and len(q) > window
            outs.append(local_attention(q, k, v, window) if local and window else causal_attention(q, k, v))
        return outs[0] if len(outs) == 1 else torch.cat(outs)


def causal_attention(q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor:
    """One document, every earlier position visible."""
    q, k, v = (x.transpose(0, 1)[None] for x in (q_TNH, k_TKH, v_TKH))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
    return out[0].transpose(0, 1)


def local_attention(q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, window: int) -> Tensor:
    """One document, each query sees itself and the `window` - 1 positions before it."""
    length = q_TNH.shape[0]
    num_blocks = -(-length // window)
    padding = num_blocks * window - length
    groups = q_TNH.shape[1] // k_TKH.shape[1]
    # (blocks, W, heads, H), padded at the end: padded keys lie after every real query, so causality hides them
    q, k, v = (F.pad(x, (0, 0, 0, 0, 0, padding)).view(num_blocks, window, *x.shape[1:]) for x in (q_TNH, k_TKH, v_TKH))
    k, v = (torch.cat([F.pad(x, (0, 0, 0, 0, 0, 0, 1, 0))[:-1], x], dim=1) for x in (k, v))
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    query = torch.arange(window, device=q.device)[:, None] + window
    key = torch.arange(2 * window, device=q.device)[None, :]
    seen = ((query - key >= 0) & (query - key < window)).expand(num_blocks, 1, window, 2 * window).clone()
    seen[0, :, :, :window] = False  # before the first block there is nothing
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=groups > 1)
    return out.transpose(1, 2).reshape(num_blocks * window, *q_TNH.shape[1:])[:length]

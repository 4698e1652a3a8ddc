"""Document-causal attention over packed tokens, full or in a sliding window.

    q_TNH, k_TKH, v_TKH  --attend(layer)-->  out_TNH

The transformer knows one thing about attention: a callable with this signature. `PackedAttention` here serves
training and scoring, where every key of a document is at hand; `opencwm.infer.kv_cache` serves generation.

T = packed tokens, N = query heads, K = key-value heads, G = N / K, H = head dimension, W = window, B = T / W blocks.

Documents are packed end to end and attend to themselves only, yet no T x T mask is ever built. A global layer goes
document by document, in blocks of queries against all keys up to the block's end. A local layer cuts the whole row
into blocks of W tokens; the keys a block can see lie in it and in the block before it, so all blocks are one batched
product and the cost is linear in T. Both are plain batched matrix products: in bfloat16 they use a CPU's matrix units,
which the backward pass of PyTorch's fused kernel leaves idle.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from opencwm.model.config import ModelConfig

QUERY_BLOCK = 512
"""Queries per block of a global layer: measured on documents of 300 to 2000 tokens."""

LENGTH_STEP = 64
"""Documents are padded to a multiple of this."""


class Attend(Protocol):
    def __call__(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor: ...


class PackedAttention:
    """Attention over packed documents given by their lengths, in order; the lengths add up to T."""

    def __init__(self, config: ModelConfig, lengths: Sequence[int]) -> None:
        self.config = config
        self.lengths = list(lengths)
        self._bias: Tensor | None = None

    def __call__(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor:
        assert q_TNH.shape[0] == sum(self.lengths), f"{q_TNH.shape[0]} tokens, lengths add to {sum(self.lengths)}"
        window = self.config.window(layer)
        if window is not None and window < max(self.lengths):
            if self._bias is None or self._bias.dtype != q_TNH.dtype:
                self._bias = local_bias(self.lengths, window).to(q_TNH.device, q_TNH.dtype)
            return local_attention(q_TNH, k_TKH, v_TKH, self._bias)
        parts = [x.split(self.lengths) for x in (q_TNH, k_TKH, v_TKH)]  # type: ignore[no-untyped-call]
        return torch.cat([CausalAttention.apply(q, k, v) for q, k, v in zip(*parts, strict=True)])  # type: ignore[no-untyped-call]


def local_bias(lengths: Sequence[int], window: int) -> Tensor:
    """0 where a query sees a key and -inf elsewhere: (B, W, 2 W), keys of the block before first."""
    documents = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    documents_BW = F.pad(documents, (0, -len(documents) % window), value=-1).view(-1, window)
    keys_BE = torch.cat([F.pad(documents_BW, (0, 0, 1, 0), value=-2)[:-1], documents_BW], dim=1)
    distance = torch.arange(window, 2 * window)[:, None] - torch.arange(2 * window)[None, :]
    seen = (documents_BW[:, :, None] == keys_BE[:, None, :]) & (distance >= 0) & (distance < window)
    return torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))


def local_attention(q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, bias_BWE: Tensor) -> Tensor:
    """Every document of a packed row at once; each query sees what `bias_BWE` lets it see."""
    length, num_heads, head_dim = q_TNH.shape
    num_kv = k_TKH.shape[1]
    num_blocks, window, num_keys = bias_BWE.shape
    padding = num_blocks * window - length
    q, k, v = (F.pad(x, (0, 0, 0, 0, 0, padding)).view(num_blocks, window, *x.shape[1:]) for x in (q_TNH, k_TKH, v_TKH))
    # rows of one product: the window's queries of all heads that share a key-value head
    q = (q * head_dim**-0.5).view(num_blocks, window, num_kv, -1, head_dim).permute(0, 2, 3, 1, 4)
    k, v = (torch.cat([F.pad(x, (0, 0, 0, 0, 0, 0, 1, 0))[:-1], x], dim=1) for x in (k, v))
    k, v = (x.permute(0, 2, 1, 3).flatten(0, 1) for x in (k, v))
    scores = torch.bmm(q.reshape(num_blocks * num_kv, -1, head_dim), k.transpose(1, 2))
    scores = scores.view(num_blocks, -1, window, num_keys) + bias_BWE[:, None]
    out = torch.bmm(scores.softmax(-1).view(num_blocks * num_kv, -1, num_keys), v)
    out = out.view(num_blocks, num_heads, window, head_dim).transpose(1, 2)
    return out.reshape(num_blocks * window, num_heads, head_dim)[:length]


class CausalAttention(torch.autograd.Function):
    """One document, every earlier position visible."""

    @staticmethod
    def forward(ctx: Any, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor:
        length, num_heads, head_dim = q_TNH.shape
        num_kv = k_TKH.shape[1]
        groups = num_heads // num_kv
        q_KGTH = padded((q_TNH * head_dim**-0.5).transpose(0, 1)).view(num_kv, groups, -1, head_dim)
        k_KTH, v_KTH = padded(k_TKH.transpose(0, 1)), padded(v_TKH.transpose(0, 1))
        out_KGTH = torch.empty_like(q_KGTH)
        weights = []
        for start, end in query_blocks(q_KGTH.shape[2]):
            q = q_KGTH[:, :, start:end].reshape(num_kv, -1, head_dim)
            scores = torch.bmm(q, k_KTH[:, :end].transpose(1, 2)).view(num_kv, groups, end - start, end)
            later = torch.ones(end - start, end - start, dtype=torch.bool, device=q.device).triu(1)
            scores[..., start:].masked_fill_(later, float("-inf"))
            probabilities = scores.softmax(-1).view(num_kv, -1, end)
            weights.append(probabilities)
            out = torch.bmm(probabilities, v_KTH[:, :end])
            out_KGTH[:, :, start:end] = out.view(num_kv, groups, end - start, head_dim)
        ctx.save_for_backward(q_KGTH, k_KTH, v_KTH, *weights)
        return out_KGTH.view(num_heads, -1, head_dim).transpose(0, 1)[:length]

    @staticmethod
    def backward(ctx: Any, grad_TNH: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q_KGTH, k_KTH, v_KTH, *weights = ctx.saved_tensors
        num_kv, groups, _, head_dim = q_KGTH.shape
        length = grad_TNH.shape[0]
        grad_KGTH = padded(grad_TNH.transpose(0, 1)).view(q_KGTH.shape)
        dq_KGTH = torch.empty_like(q_KGTH)
        dk_KTH, dv_KTH = torch.zeros_like(k_KTH), torch.zeros_like(v_KTH)
        for (start, end), probabilities in zip(query_blocks(q_KGTH.shape[2]), weights, strict=True):
            grad = grad_KGTH[:, :, start:end].reshape(num_kv, -1, head_dim)
            q = q_KGTH[:, :, start:end].reshape(num_kv, -1, head_dim)
            dv_KTH[:, :end] += torch.bmm(probabilities.transpose(1, 2), grad)
            dp = torch.bmm(grad, v_KTH[:, :end].transpose(1, 2))
            ds = torch._softmax_backward_data(dp, probabilities, -1, dp.dtype)
            dk_KTH[:, :end] += torch.bmm(ds.transpose(1, 2), q)
            dq_KGTH[:, :, start:end] = torch.bmm(ds, k_KTH[:, :end]).view(num_kv, groups, end - start, head_dim)
        dq_TNH = dq_KGTH.view(num_kv * groups, -1, head_dim).transpose(0, 1)[:length] * head_dim**-0.5
        return dq_TNH, dk_KTH.transpose(0, 1)[:length], dv_KTH.transpose(0, 1)[:length]


def padded(x_NTH: Tensor) -> Tensor:
    """A copy with zeros after the document, which no query of it sees: lengths are then so few that the kernels which
    the CPU library generates for each are made once."""
    num_heads, length, head_dim = x_NTH.shape
    out = x_NTH.new_zeros(num_heads, -(-length // LENGTH_STEP) * LENGTH_STEP, head_dim)
    out[:, :length] = x_NTH
    return out


def query_blocks(length: int) -> list[tuple[int, int]]:
    return [(start, min(start + QUERY_BLOCK, length)) for start in range(0, length, QUERY_BLOCK)]

"""Attention over packed documents as plain batched matrix products, for the CPU.

    short windows   the whole row in blocks of queries; the keys that a block can see lie in it and just before it,
                    so all blocks are one batched product, and the cost is linear in T
    otherwise       document by document, in blocks of queries against the keys up to the block's end

In bfloat16 these products use a CPU's matrix units, which the backward pass of PyTorch's fused kernel leaves idle.
The backward passes are written out, so that of each T x E table of a layer only the probabilities are kept.

T = packed tokens, N = query heads, K = key-value heads, G = N / K, H = head dimension, B = blocks, Q = queries of a
block, E = keys of a block.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

QUERY_BLOCK = 256
"""Queries per block within a document: measured on documents of 200 to 900 tokens."""

SHORT_WINDOW = 256
"""The longest window for which all blocks of a row are one product: measured on the same documents."""

LENGTH_STEP = 64
"""Documents are padded to a multiple of this."""


class BlockAttention:
    """For documents of the given lengths; `window` None: every earlier position of the document is seen."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = list(lengths)
        self._biases: dict[tuple[int, torch.dtype, torch.device], Tensor] = {}

    def __call__(self, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, window: int | None) -> Tensor:
        if window is not None and window <= SHORT_WINDOW:
            key = window, q_TNH.dtype, q_TNH.device
            if key not in self._biases:
                self._biases[key] = local_bias(self.lengths, window).to(q_TNH.device, q_TNH.dtype)
            return LocalAttention.apply(q_TNH, k_TKH, v_TKH, self._biases[key])  # type: ignore[no-any-return,no-untyped-call]
        parts = [x.split(self.lengths) for x in (q_TNH, k_TKH, v_TKH)]  # type: ignore[no-untyped-call]
        return torch.cat([DocumentAttention.apply(q, k, v, window) for q, k, v in zip(*parts, strict=True)])  # type: ignore[no-untyped-call]


def local_bias(lengths: Sequence[int], window: int) -> Tensor:
    """0 where a query sees a key and -inf elsewhere: (B, Q, E). A block's keys are its own tokens and those before it
    that its first query may reach, in whole blocks. Padding sees padding: no row is -inf throughout."""
    size = max(1, window // 2)  # fewer queries meet fewer keys that lie out of their window: measured
    documents = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    documents_BQ = F.pad(documents, (0, -len(documents) % size), value=-1).view(-1, size)
    reach = -(-window // size) * size
    keys_BE = F.pad(documents_BQ.flatten(), (reach, 0), value=-2).unfold(0, reach + size, size)
    distance = torch.arange(reach, reach + size)[:, None] - torch.arange(reach + size)[None, :]
    seen = (documents_BQ[:, :, None] == keys_BE[:, None, :]) & (distance >= 0) & (distance < window)
    return torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))


class LocalAttention(torch.autograd.Function):
    """Every document of a packed row at once; each query sees what `bias_BQE` lets it see."""

    @staticmethod
    def forward(ctx: Any, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, bias_BQE: Tensor) -> Tensor:
        length, num_heads, head_dim = q_TNH.shape
        num_kv = k_TKH.shape[1]
        q = query_rows(q_TNH * head_dim**-0.5, bias_BQE, num_kv)
        k, v = key_rows(k_TKH, bias_BQE), key_rows(v_TKH, bias_BQE)
        scores = torch.bmm(q, k.transpose(1, 2))
        scores = scores.view(len(bias_BQE), num_heads, *bias_BQE.shape[1:]) + bias_BQE[:, None]
        probabilities = scores.softmax(-1).view(len(q), -1, k.shape[1])
        ctx.save_for_backward(q, k, v, probabilities, bias_BQE)
        ctx.sizes = length, num_heads, num_kv
        return token_rows(torch.bmm(probabilities, v), bias_BQE, num_heads)[:length]

    @staticmethod
    def backward(ctx: Any, grad_TNH: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, probabilities, bias_BQE = ctx.saved_tensors
        length, num_heads, num_kv = ctx.sizes
        grad = query_rows(grad_TNH, bias_BQE, num_kv)
        dv = torch.bmm(probabilities.transpose(1, 2), grad)
        dp = torch.bmm(grad, v.transpose(1, 2))
        ds = torch._softmax_backward_data(dp, probabilities, -1, dp.dtype)
        dk = torch.bmm(ds.transpose(1, 2), q)
        dq_TNH = token_rows(torch.bmm(ds, k), bias_BQE, num_heads)[:length] * q.shape[-1] ** -0.5
        return dq_TNH, key_sums(dk, bias_BQE, length), key_sums(dv, bias_BQE, length), None


def query_rows(x_TNH: Tensor, bias_BQE: Tensor, num_kv: int) -> Tensor:
    """(B K, G Q, H): the rows of one product are a block's queries of all heads that share a key-value head."""
    num_blocks, size, _ = bias_BQE.shape
    x = F.pad(x_TNH, (0, 0, 0, 0, 0, num_blocks * size - len(x_TNH))).view(num_blocks, size, *x_TNH.shape[1:])
    return x.transpose(1, 2).reshape(num_blocks * num_kv, -1, x_TNH.shape[2])


def token_rows(x: Tensor, bias_BQE: Tensor, num_heads: int) -> Tensor:
    """The inverse of `query_rows`, padding included."""
    num_blocks, size, _ = bias_BQE.shape
    return x.view(num_blocks, num_heads, size, -1).transpose(1, 2).reshape(num_blocks * size, num_heads, -1)


def key_rows(x_TKH: Tensor, bias_BQE: Tensor) -> Tensor:
    """(B K, E, H): for each block the keys that it can see, each in several blocks."""
    num_blocks, size, num_keys = bias_BQE.shape
    x = F.pad(x_TKH, (0, 0, 0, 0, num_keys - size, num_blocks * size - len(x_TKH)))
    return x.unfold(0, num_keys, size).transpose(2, 3).reshape(-1, num_keys, x.shape[2])


def key_sums(x: Tensor, bias_BQE: Tensor, length: int) -> Tensor:
    """The gradient of `key_rows`: (T, K, H), each key's rows added up."""
    num_blocks, size, num_keys = bias_BQE.shape
    parts = x.view(num_blocks, -1, num_keys // size, size, x.shape[2]).permute(2, 0, 3, 1, 4)
    total = parts.new_zeros(num_blocks + len(parts) - 1, *parts.shape[2:])
    for shift, part in enumerate(parts):
        total[shift : shift + num_blocks] += part
    return total.flatten(0, 1)[num_keys - size :][:length]


class DocumentAttention(torch.autograd.Function):
    """One document; the last `window` positions are visible, or all earlier ones."""

    @staticmethod
    def forward(ctx: Any, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, window: int | None) -> Tensor:
        length, num_heads, head_dim = q_TNH.shape
        num_kv = k_TKH.shape[1]
        groups = num_heads // num_kv
        q_KGTH = padded((q_TNH * head_dim**-0.5).transpose(0, 1)).view(num_kv, groups, -1, head_dim)
        k_KTH, v_KTH = padded(k_TKH.transpose(0, 1)), padded(v_TKH.transpose(0, 1))
        out_KGTH = torch.empty_like(q_KGTH)
        weights = []
        for first, start, end in blocks(q_KGTH.shape[2], window):
            q = q_KGTH[:, :, start:end].reshape(num_kv, -1, head_dim)
            scores = torch.bmm(q, k_KTH[:, first:end].transpose(1, 2)).view(num_kv, groups, end - start, end - first)
            # hidden are the keys that come later, and those that the window has left behind
            later = torch.ones(end - start, end - start, dtype=torch.bool, device=q.device).triu(1)
            scores[..., start - first :].masked_fill_(later, float("-inf"))
            if window is not None and end - first > window:
                passed = torch.ones(end - start, end - first, dtype=torch.bool, device=q.device)
                scores.masked_fill_(passed.tril(start - first - window), float("-inf"))
            probabilities = scores.softmax(-1).view(num_kv, -1, end - first)
            weights.append(probabilities)
            out = torch.bmm(probabilities, v_KTH[:, first:end])
            out_KGTH[:, :, start:end] = out.view(num_kv, groups, end - start, head_dim)
        ctx.save_for_backward(q_KGTH, k_KTH, v_KTH, *weights)
        ctx.window = window
        return out_KGTH.view(num_heads, -1, head_dim).transpose(0, 1)[:length]

    @staticmethod
    def backward(ctx: Any, grad_TNH: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q_KGTH, k_KTH, v_KTH, *weights = ctx.saved_tensors
        num_kv, groups, _, head_dim = q_KGTH.shape
        length = grad_TNH.shape[0]
        grad_KGTH = padded(grad_TNH.transpose(0, 1)).view(q_KGTH.shape)
        dq_KGTH = torch.empty_like(q_KGTH)
        dk_KTH, dv_KTH = torch.zeros_like(k_KTH), torch.zeros_like(v_KTH)
        for (first, start, end), probabilities in zip(blocks(q_KGTH.shape[2], ctx.window), weights, strict=True):
            grad = grad_KGTH[:, :, start:end].reshape(num_kv, -1, head_dim)
            q = q_KGTH[:, :, start:end].reshape(num_kv, -1, head_dim)
            dv_KTH[:, first:end] += torch.bmm(probabilities.transpose(1, 2), grad)
            dp = torch.bmm(grad, v_KTH[:, first:end].transpose(1, 2))
            ds = torch._softmax_backward_data(dp, probabilities, -1, dp.dtype)
            dk_KTH[:, first:end] += torch.bmm(ds.transpose(1, 2), q)
            dq_KGTH[:, :, start:end] = torch.bmm(ds, k_KTH[:, first:end]).view(num_kv, groups, end - start, head_dim)
        dq_TNH = dq_KGTH.view(num_kv * groups, -1, head_dim).transpose(0, 1)[:length] * head_dim**-0.5
        return dq_TNH, dk_KTH.transpose(0, 1)[:length], dv_KTH.transpose(0, 1)[:length], None


def padded(x_NTH: Tensor) -> Tensor:
    """A copy with zeros after the document, which no query of it sees: lengths are then so few that the kernels which
    the CPU library generates for each are made once."""
    num_heads, length, head_dim = x_NTH.shape
    out = x_NTH.new_zeros(num_heads, -(-length // LENGTH_STEP) * LENGTH_STEP, head_dim)
    out[:, :length] = x_NTH
    return out


def blocks(length: int, window: int | None) -> list[tuple[int, int, int]]:
    """First key, first query and end of each block of queries of a document; both ends are multiples of LENGTH_STEP, so
    that products have few different shapes."""
    starts = range(0, length, QUERY_BLOCK)
    firsts = [0 if window is None else max(0, start - window + 1) // LENGTH_STEP * LENGTH_STEP for start in starts]
    return [(first, start, min(start + QUERY_BLOCK, length)) for first, start in zip(firsts, starts, strict=True)]

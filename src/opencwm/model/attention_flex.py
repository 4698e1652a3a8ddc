"""Attention over packed documents on a GPU: FlexAttention, one compiled kernel for each kind of mask.

A block mask names the 128 x 128 tiles in which any query sees any key; the others cost nothing. It is made once per
batch and window, and all layers share it. Without compilation (on a CPU, for tests) the same masks run slowly, and
forward only: PyTorch has no backward pass of FlexAttention on a CPU.

T = packed tokens, N = query heads, K = key-value heads, H = head dimension.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention


class FlexAttention:
    """For documents of the given lengths; `window` None: every earlier position of the document is seen."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.documents_T = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
        self._masks: dict[int | None, BlockMask] = {}

    def __call__(self, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor, window: int | None) -> Tensor:
        if window not in self._masks:
            self._masks[window] = self._mask(window, q_TNH.device)
        q_1NTH, k_1KTH, v_1KTH = (x.transpose(0, 1)[None] for x in (q_TNH, k_TKH, v_TKH))
        attend: Callable[..., Any] = flex_attention
        if q_TNH.is_cuda:
            attend = compiled(flex_attention)
        out_1NTH: Tensor = attend(q_1NTH, k_1KTH, v_1KTH, block_mask=self._masks[window], enable_gqa=True)
        return out_1NTH[0].transpose(0, 1)

    def _mask(self, window: int | None, device: torch.device) -> BlockMask:
        documents_T = self.documents_T.to(device)
        length = len(documents_T)

        def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            seen = (documents_T[query] == documents_T[key]) & (key <= query)
            return seen if window is None else seen & (query - key < window)

        # uncompiled, making the mask holds a T x T table
        make: Callable[..., BlockMask] = compiled(create_block_mask) if device.type == "cuda" else create_block_mask
        return make(sees, None, None, length, length, device=device.type)


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function)

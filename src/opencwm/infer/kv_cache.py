"""Keys and values of the sequences being generated.

    prompt --Prefix (grown by one forward pass)--> slot of a KVCache --decode steps--> ...

A `Prefix` holds the keys and values of every position of one prompt, so that any beginning of it can be continued:
requests that share a beginning compute it once. A `KVCache` holds `num_slots` running sequences: a global layer keeps
every position in a buffer that grows, a local layer only the last W in a ring (position p lies at p % W; the order of
keys does not matter to attention, since RoPE has turned them already). One decode step feeds one token of each of the
first `active` slots; their keys are padded to the longest, so that all of them share one attention call per layer.

A = active slots, C = positions held, W = window, N = query heads, K = key-value heads, G = N / K, H = head dimension.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor

from opencwm.model.attention import PackedAttention
from opencwm.model.config import ModelConfig

GROWTH = 256
"""Global buffers grow by multiples of this many positions, and at least by half."""


class Prefix:
    """Keys and values of one prompt at every position, linear in every layer; grows by being attended to."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.tokens: list[int] = []
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self._alone = PackedAttention(config, [])

    def cut(self, length: int) -> None:
        """Forget everything after the first `length` positions."""
        self.tokens = self.tokens[:length]
        self.keys = [keys[:length] for keys in self.keys] if length else []
        self.values = [values[:length] for values in self.values] if length else []

    def __call__(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor:
        """Attention of new positions over all held and new ones, which are then held too."""
        window = self.config.window(layer)
        if not self.tokens:
            self.keys.append(k_TKH)
            self.values.append(v_TKH)
            if layer == 0:
                self._alone = PackedAttention(self.config, [len(q_TNH)])
            return self._alone(layer, q_TNH, k_TKH, v_TKH)
        keys = self.keys[layer] = torch.cat([self.keys[layer], k_TKH])
        values = self.values[layer] = torch.cat([self.values[layer], v_TKH])
        return attend_after(q_TNH, keys, values, window)


def attend_after(q_TNH: Tensor, keys_CKH: Tensor, values_CKH: Tensor, window: int | None) -> Tensor:
    """The last T of C positions attend to everything before them, or to their window."""
    num_new, num_all = len(q_TNH), len(keys_CKH)
    first = 0 if window is None else max(0, num_all - num_new - window + 1)  # the oldest key that any query sees
    query = torch.arange(num_all - num_new, num_all, device=q_TNH.device)[:, None]
    key = torch.arange(first, num_all, device=q_TNH.device)[None, :]
    seen = query >= key if window is None else (query >= key) & (query - key < window)
    q, k, v = (x.transpose(0, 1)[None] for x in (q_TNH, keys_CKH[first:], values_CKH[first:]))
    out = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=q.shape[1] != k.shape[1])
    return out[0].transpose(0, 1)


class KVCache:
    """Ring and growing buffers of `num_slots` sequences; slots 0 .. active-1 take part in a decode step."""

    def __init__(self, config: ModelConfig, num_slots: int, *, dtype: torch.dtype, device: torch.device) -> None:
        self.config = config
        self.lengths = [0] * num_slots
        """Positions seen so far, per slot."""
        widths = [config.window(layer) or 0 for layer in range(config.num_hidden_layers)]
        shape = (num_slots, config.num_key_value_heads)
        self.keys = [torch.zeros(*shape, width, config.head_dim, dtype=dtype, device=device) for width in widths]
        self.values = [torch.zeros_like(keys) for keys in self.keys]
        self.capacity = 0
        """Positions that the global layers' buffers have room for."""
        self._step: tuple[Tensor, ...] = ()

    def load(self, slot: int, prefix: Prefix, length: int) -> None:
        """Let `slot` hold the first `length` positions of `prefix`, whatever it held before."""
        assert length <= len(prefix.tokens), f"{length} positions of a prefix of {len(prefix.tokens)}"
        self.reserve(length)
        self.lengths[slot] = length
        for layer in range(len(self.keys) if length else 0):
            window = self.config.window(layer)
            first = 0 if window is None else max(0, length - window)
            for held, source in ((self.keys[layer], prefix.keys[layer]), (self.values[layer], prefix.values[layer])):
                rows = source[first:length].transpose(0, 1)
                if window is None or length <= window:
                    held[slot, :, :length] = rows
                else:
                    held[slot] = rows.roll(first % window, dims=1)  # position `first` lies at first % W

    def copy(self, source: int, target: int) -> None:
        """Branch: `target` holds what `source` holds."""
        length = self.lengths[target] = self.lengths[source]
        for buffers in (self.keys, self.values):
            for layer, held in enumerate(buffers):
                end = length if self.config.window(layer) is None else held.shape[2]
                held[target, :, :end] = held[source, :, :end]

    def reserve(self, length: int) -> None:
        """Make room for `length` positions in the global layers."""
        if length <= self.capacity:
            return
        self.capacity = -(-max(length, self.capacity * 3 // 2) // GROWTH) * GROWTH
        for buffers in (self.keys, self.values):
            for layer, held in enumerate(buffers):
                if self.config.window(layer) is None:
                    buffers[layer] = functional.pad(held, (0, 0, 0, self.capacity - held.shape[2]))

    def begin_step(self, active: int) -> Tensor:
        """Prepare one more position of the first `active` slots; returns these positions (A,). The step itself is a
        forward pass that attends to this cache."""
        device = self.keys[0].device
        longest = max(self.lengths[:active]) + 1
        self.reserve(longest)
        positions = torch.tensor(self.lengths[:active], device=device)
        window = self.config.sliding_window
        slots = torch.arange(active, device=device)
        seen = torch.arange(longest, device=device)[None, :] <= positions[:, None]
        seen_local = torch.arange(window, device=device)[None, :] <= positions[:, None]
        self._step = (slots, positions, seen[:, None, None], positions % window, seen_local[:, None, None])
        for slot in range(active):
            self.lengths[slot] += 1
        return positions

    def __call__(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor:
        slots, positions, seen, ring_positions, seen_local = self._step
        if self.config.window(layer) is not None:
            positions, seen = ring_positions, seen_local
        keys, values = self.keys[layer], self.values[layer]
        keys[slots, :, positions] = k_TKH.to(keys.dtype)
        values[slots, :, positions] = v_TKH.to(values.dtype)
        active, width = len(slots), seen.shape[-1]
        # the G queries that share a key head are one query of length G, so no key is ever repeated
        q_AKGH = q_TNH.view(active, keys.shape[1], -1, keys.shape[3]).to(keys.dtype)
        out = functional.scaled_dot_product_attention(
            q_AKGH, keys[:active, :, :width], values[:active, :, :width], attn_mask=seen
        )
        return out.reshape(q_TNH.shape).to(q_TNH.dtype)


def common_length(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))

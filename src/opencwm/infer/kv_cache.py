"""Keys and values of sequences, one cache each, and the attention of a forward pass over several of them.

    new tokens of some sequences --Step: one packed row--> model --each sequence over its own cache--> hidden states

A global layer keeps every position, in a buffer that grows. A local layer keeps the last ones that a window can reach,
in a buffer of at most W - 1 + `spare` rows; when it is full, what no window reaches any more makes room. A pass writes
behind `length`, and only `length` says what counts: a token that turns out wrong is forgotten by not counting it.

Why a buffer per sequence, and no pages: attention on a CPU wants the keys of a sequence side by side, so pages would be
gathered in every layer of every step (58 us for 1,024 positions, to which one token attends in 22, 9 in 151: measured),
while a shared beginning (`prefixes.py`) is copied once per request. And why no padded batch: it makes every sequence as
long as the longest, in memory and in time.

T = packed tokens, S = new tokens of one sequence, C = positions held, W = window, N = query heads, K = key-value heads,
G = N / K, H = head dimension.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as functional
from torch import Tensor

from opencwm.model.config import ModelConfig

GROWTH = 256
"""Buffers grow by multiples of this many positions, and at least by a quarter."""
FEW_TOKENS = 32
"""Up to so many new tokens of a sequence attend with a mask that is a piece of one made before."""


class KVCache:
    """Keys and values of one sequence, of which the first `length` positions count."""

    spare = 512
    """Most tokens that one pass adds."""

    def __init__(self, config: ModelConfig, *, dtype: torch.dtype, device: torch.device) -> None:
        self.config = config
        self.windows = [config.window(layer) for layer in range(config.num_hidden_layers)]
        self.length = 0
        self.first = 0
        """Position of the oldest row of the local layers; global layers hold all."""
        empty = torch.empty(2, config.num_key_value_heads, 0, config.head_dim, dtype=dtype, device=device)
        self.rows = [empty for _ in self.windows]
        """Keys and values of each layer (2, K, C, H)."""

    @property
    def num_bytes(self) -> int:
        """Memory that is taken."""
        return sum(rows.nbytes for rows in self.rows)

    def reserve(self, length: int) -> None:
        """Make room for `length` positions, at most `spare` of them new. Where memory runs out on the way, the cache
        still holds what it held."""
        assert 0 <= length - self.length <= self.spare, f"from {self.length} to {length} positions at once"
        reached = self.config.sliding_window - 1
        most = reached + self.spare
        if length - self.first > most and any(self.windows):
            self._forget(self.length - reached)
        for layer, window in enumerate(self.windows):
            if window is None:
                self._grow(layer, length, None)
            else:
                self._grow(layer, length - self.first, most)

    def _grow(self, layer: int, num_rows: int, most: int | None) -> None:
        held = self.rows[layer].shape[2]
        if held < num_rows:
            capacity = -(-max(num_rows, held + held // 4) // GROWTH) * GROWTH
            capacity = capacity if most is None else min(capacity, most)
            self.rows[layer] = functional.pad(self.rows[layer], (0, 0, 0, capacity - held))

    def _forget(self, first: int) -> None:
        """Let the local layers begin with position `first`."""
        old = slice(first - self.first, self.length - self.first)
        local = [layer for layer, window in enumerate(self.windows) if window is not None]
        for layer, kept in [(layer, self.rows[layer][:, :, old].clone()) for layer in local]:
            self.rows[layer][:, :, : kept.shape[2]] = kept
        self.first = first

    def span(self, window: int | None, num_new: int) -> tuple[int, int, int]:
        """Rows of a layer: the oldest that the new positions see, the first new one, and the end of the new ones."""
        start = self.length if window is None else self.length - self.first
        return 0 if window is None else max(0, start - window + 1), start, start + num_new

    def load(self, held: Sequence[Sequence[Tensor]], local: Sequence[Sequence[Tensor]]) -> None:
        """Hold these blocks: `held[i]` are the rows of the global layers, from position 0 on; `local[i]` those of the
        local layers in the last of these blocks."""
        global_layers, local_layers = (zip(*blocks, strict=True) for blocks in (held, local))
        for layer, window in enumerate(self.windows):
            self.rows[layer] = torch.cat(next(global_layers if window is None else local_layers), dim=2)

    def block(self, start: int, end: int) -> tuple[list[Tensor], list[Tensor] | None]:
        """Copies of positions `start` to `end`, all of which count: the rows of the global layers, and those of the
        local ones, or None where they are no longer held."""
        assert end <= self.length, f"positions {start} to {end} of {self.length}"
        held, local = [], []
        for rows, window in zip(self.rows, self.windows, strict=True):
            if window is None:
                held.append(rows[:, :, start:end].clone())
            elif start >= self.first:
                local.append(rows[:, :, start - self.first : end - self.first].clone())
        return held, local if start >= self.first else None


class Step:
    """The attention (`model.attention.Attend`) of a forward pass over `counts[i]` new tokens of `caches[i]`, packed one
    sequence after the other. The caches must have room; their lengths are for the caller to move on."""

    def __init__(self, caches: Sequence[KVCache], counts: Sequence[int]) -> None:
        config, rows = caches[0].config, caches[0].rows[0]
        self._caches = caches
        self._groups = config.num_attention_heads // config.num_key_value_heads
        self._windows = caches[0].windows
        self._parts: dict[int | None, list[tuple[int, int, int, int, Tensor | None]]] = {}
        """Of each sequence, for global layers and for local ones: its tokens, its rows (`KVCache.span`), its bias."""
        for window in set(self._windows):
            spans = [cache.span(window, count) for cache, count in zip(caches, counts, strict=True)]
            self._parts[window] = [
                (count, *span, causal_bias(count, span[2] - span[0], window, self._groups, like=rows))
                for count, span in zip(counts, spans, strict=True)
            ]
        places = zip(caches, counts, strict=True)
        self.positions = torch.tensor(
            [place for cache, count in places for place in range(cache.length, cache.length + count)],
            device=rows.device,
        )
        """Of each token in its sequence (T,)."""

    def __call__(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor:
        kv = torch.stack((k_TKH, v_TKH)).transpose(1, 2)
        num_kv, num_tokens, head_dim = kv.shape[1:]
        # the heads that share keys are rows of one product
        q = q_TNH.to(self._caches[0].rows[layer].dtype).view(num_tokens, num_kv, -1, head_dim).transpose(0, 1)
        q = q.reshape(1, num_kv, -1, head_dim)
        outs, at = [], 0
        for cache, (count, oldest, start, end, bias) in zip(
            self._caches, self._parts[self._windows[layer]], strict=True
        ):
            rows = cache.rows[layer]
            rows[:, :, start:end] = kv[:, :, at : at + count]
            keys, values = rows[:, None, :, oldest:end].unbind()
            queries = q[:, :, at * self._groups : (at + count) * self._groups]
            outs.append(functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias))
            at += count
        out = (outs[0] if len(outs) == 1 else torch.cat(outs, dim=2)).view(num_kv, num_tokens, -1, head_dim)
        return out.transpose(0, 1).reshape(q_TNH.shape).to(q_TNH.dtype)


def causal_bias(num_new: int, num_keys: int, window: int | None, groups: int, *, like: Tensor) -> Tensor | None:
    """0 where a query sees a key, else -inf (S * G, C); the last key is the last query's own. None: all are seen."""
    if num_new == 1:
        return None
    if num_new > FEW_TOKENS:
        return band(num_new, num_keys - num_new, window, groups, like.dtype, like.device)
    reach = 1 << (num_keys - 1).bit_length() if window is None else window - 1  # few different ones
    known = known_band(FEW_TOKENS, reach, window, groups, like.dtype, like.device)
    end = reach + num_new
    return known[: num_new * groups, end - num_keys : end]


def band(num_new: int, reach: int, window: int | None, groups: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The bias of queries of which i sees the keys up to `reach` + i, within its window (S * G, `reach` + S)."""
    query = torch.arange(reach, reach + num_new, device=device)[:, None]
    distance = query - torch.arange(reach + num_new, device=device)[None, :]
    seen = distance >= 0 if window is None else (distance >= 0) & (distance < window)
    bias = torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, -torch.inf)
    return bias.repeat_interleave(groups, dim=0)


known_band = lru_cache(maxsize=16)(band)


def cache_bytes(config: ModelConfig, length: int, *, bytes_per_value: int = 2, has_windows: bool = True) -> int:
    """Memory that one sequence's keys and values need at `length` tokens: local layers keep their window only (10.7 GB
    for the 32B at 131,072 tokens in bfloat16), or everything where an engine does not know windows (34.4 GB)."""
    windows = [config.window(layer) if has_windows else None for layer in range(config.num_hidden_layers)]
    positions = sum(length if window is None else min(length, window) for window in windows)
    return positions * 2 * config.num_key_value_heads * config.head_dim * bytes_per_value

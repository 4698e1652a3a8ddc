"""Keys and values of the sequences being generated.

    prompt --Prefix (grown by one forward pass)--> slot of a KVCache --decode steps--> ...

A `Prefix` holds the keys and values of every position of one prompt, so that any beginning of it can be continued:
requests that share a beginning compute it once. A `KVCache` holds `num_slots` running sequences: a global layer keeps
every position in a buffer that grows, a local layer the last R = W + `spare` in a ring (position p lies at p % R; the
order of keys does not matter to attention, since RoPE has turned them already). One decode step feeds each of the first
`active` slots a few tokens; queries and keys are padded to the longest, so that all slots share one attention call per
layer. `rewind` then forgets the tokens that turned out wrong: at most `spare` of them, so that the ring still holds
every key that a window can reach.

A = active slots, T = packed tokens of a step, S = most tokens of one slot in it, C = positions held, W = window,
N = query heads, K = key-value heads, G = N / K, H = head dimension.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Where the tokens of one decode step go."""

    slots: Tensor
    """Slot of each token (T,)."""
    places: Tensor
    """Of each token among those of its slot in this step (T,)."""
    positions: Tensor
    """Of each token in its sequence (T,)."""
    ring_places: Tensor
    """Index in the local layers' buffers (T,)."""
    bias: Tensor
    """0 where a query sees a key of the global layers' buffers, -inf elsewhere: (A, 1, G * S, C)."""
    bias_local: Tensor
    """The same of the rings: (A, 1, G * S, R)."""


def cache_bytes(config: ModelConfig, length: int, *, bytes_per_value: int = 2, has_windows: bool = True) -> int:
    """Memory of one sequence's keys and values at `length` tokens: local layers keep their window only (10.7 GB for the
    32B at 131,072 tokens in bfloat16), or everything where an engine does not know windows (34.4 GB)."""
    windows = [config.window(layer) if has_windows else None for layer in range(config.num_hidden_layers)]
    positions = sum(length if window is None else min(length, window) for window in windows)
    return positions * 2 * config.num_key_value_heads * config.head_dim * bytes_per_value


class KVCache:
    """Ring and growing buffers of `num_slots` sequences; slots 0 .. active-1 take part in a decode step."""

    def __init__(
        self, config: ModelConfig, num_slots: int, *, dtype: torch.dtype, device: torch.device, spare: int = 0
    ) -> None:
        self.config = config
        self.spare = spare
        self.lengths = [0] * num_slots
        """Positions seen so far, per slot."""
        is_local = [config.window(layer) is not None for layer in range(config.num_hidden_layers)]
        self.ring = config.sliding_window + spare if any(is_local) else 1
        shape = (num_slots, config.num_key_value_heads)
        self.keys = [
            torch.zeros(*shape, self.ring if local else 0, config.head_dim, dtype=dtype, device=device)
            for local in is_local
        ]
        self.values = [torch.zeros_like(keys) for keys in self.keys]
        self.capacity = 0
        """Positions that the global layers' buffers have room for."""
        self._step: Step | None = None

    def load(self, slot: int, prefix: Prefix, length: int) -> None:
        """Let `slot` hold the first `length` positions of `prefix`, whatever it held before."""
        assert length <= len(prefix.tokens), f"{length} positions of a prefix of {len(prefix.tokens)}"
        self.reserve(length)
        self.lengths[slot] = length
        for layer in range(len(self.keys) if length else 0):
            is_local = self.config.window(layer) is not None
            first = max(0, length - self.ring) if is_local else 0
            for held, source in ((self.keys[layer], prefix.keys[layer]), (self.values[layer], prefix.values[layer])):
                rows = source[first:length].transpose(0, 1)
                if first == 0:
                    held[slot, :, :length] = rows
                else:
                    held[slot] = rows.roll(first % self.ring, dims=1)  # position `first` lies at first % R

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
        capacity = -(-max(length, self.capacity * 3 // 2) // GROWTH) * GROWTH
        for buffers in (self.keys, self.values):
            for layer, held in enumerate(buffers):
                if self.config.window(layer) is None:
                    buffers[layer] = functional.pad(held, (0, 0, 0, capacity - held.shape[2]))
        self.capacity = capacity  # last: where memory runs out on the way, the next call goes on with what is missing

    def add_slots(self, count: int) -> None:
        """Make room for `count` more sequences."""
        num_slots = len(self.lengths) + count
        for buffers in (self.keys, self.values):
            for layer, held in enumerate(buffers):
                buffers[layer] = functional.pad(held, (0, 0, 0, 0, 0, 0, 0, num_slots - len(held)))
        self.lengths += [0] * count

    def begin_step(self, counts: Sequence[int]) -> Tensor:
        """Prepare `counts[i]` more positions of slot i, packed slot after slot; returns these positions (T,). The step
        itself is a forward pass that attends to this cache."""
        assert 1 <= min(counts) <= max(counts) <= self.spare + 1, f"{counts} tokens with {self.spare} to spare"
        device = self.keys[0].device
        after = [length + count for length, count in zip(self.lengths, counts, strict=False)]
        self.reserve(max(after))
        slots = torch.tensor([slot for slot, count in enumerate(counts) for _ in range(count)], device=device)
        places = torch.tensor([place for count in counts for place in range(count)], device=device)
        befores = torch.tensor(self.lengths[: len(counts)], device=device)
        positions = befores[slots] + places
        # of the padded queries, those past a slot's own count see what its last one sees; their output is dropped
        query_AS = (befores[:, None] + torch.arange(max(counts), device=device)[None, :])[:, :, None]
        key = torch.arange(max(after), device=device)
        # the ring's index r holds the last position that is r modulo R among those written so far
        last = torch.tensor(after, device=device)[:, None] - 1
        ring_key = (last - (last - torch.arange(self.ring, device=device)[None, :]) % self.ring)[:, None, :]
        reached = (ring_key <= query_AS) & (ring_key > query_AS - self.config.sliding_window) & (ring_key >= 0)
        self._step = Step(
            slots=slots,
            places=places,
            positions=positions,
            ring_places=positions % self.ring,
            bias=self._bias(key <= query_AS),
            bias_local=self._bias(reached),
        )
        self.lengths[: len(counts)] = after
        return positions

    def _bias(self, seen_ASC: Tensor) -> Tensor:
        """Made once per step: a bool mask would be converted in every layer."""
        groups = self.config.num_attention_heads // self.config.num_key_value_heads
        bias = torch.zeros(seen_ASC.shape, dtype=self.keys[0].dtype, device=seen_ASC.device)
        return bias.masked_fill_(~seen_ASC, -torch.inf).repeat(1, groups, 1)[:, None]

    def rewind(self, slot: int, count: int) -> None:
        """Forget the last `count` positions of a slot, all of them from its last step."""
        assert 0 <= count <= self.spare, f"{count} positions back with {self.spare} to spare"
        self.lengths[slot] -= count

    def __call__(self, layer: int, q_TNH: Tensor, k_TKH: Tensor, v_TKH: Tensor) -> Tensor:
        step = self._step
        assert step is not None, "begin_step comes first"
        is_local = self.config.window(layer) is not None
        at, bias = (step.ring_places, step.bias_local) if is_local else (step.positions, step.bias)
        keys, values = self.keys[layer], self.values[layer]
        keys[step.slots, :, at] = k_TKH.to(keys.dtype)
        values[step.slots, :, at] = v_TKH.to(values.dtype)
        num_kv, head_dim = keys.shape[1], keys.shape[3]
        groups = q_TNH.shape[1] // num_kv
        active, most, width = bias.shape[0], bias.shape[2] // groups, bias.shape[3]
        q_ASNH = q_TNH.to(keys.dtype)[:, None]
        if most > 1:
            q_ASNH = q_TNH.new_zeros(active, most, *q_TNH.shape[1:], dtype=keys.dtype)
            q_ASNH[step.slots, step.places] = q_TNH.to(keys.dtype)
        q_AKGSH = q_ASNH.view(active, most, num_kv, groups, head_dim).permute(0, 2, 3, 1, 4)
        out_AKQH = functional.scaled_dot_product_attention(
            q_AKGSH.reshape(active, num_kv, groups * most, head_dim),
            keys[:active, :, :width],
            values[:active, :, :width],
            attn_mask=bias,
        )
        out_AKGSH = out_AKQH.view(active, num_kv, groups, most, head_dim)
        out_ASNH = out_AKGSH.permute(0, 3, 1, 2, 4).reshape(active, most, num_kv * groups, head_dim)
        return (out_ASNH[:, 0] if most == 1 else out_ASNH[step.slots, step.places]).to(q_TNH.dtype)


def common_length(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))

"""Beginnings of sequences that were computed before, so that no request computes them again.

    KVCache --keep: its full blocks--> tree of blocks --fill: the longest known beginning--> KVCache

A block is the keys and values of a few positions that follow those of its parent. Every request looks here first and
leaves its blocks here, those that it generates too: samples of one prompt, branches of one execution, and an execution
that is rewound to any frame and goes on, compute only what is new. What comes out is a copy, so nothing here changes.

The blocks share a budget of bytes; what was used longest ago is dropped first. A block's rows of local layers are
dropped apart from those of global ones, and count as used only where a sequence went on within their window. So the
windows in the middle of a long prompt are dropped first, and its global rows, without which nothing after them can go
on, last.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from opencwm.infer.kv_cache import KVCache
from opencwm.model.config import ModelConfig


@dataclass(eq=False, slots=True)
class Block:
    parent: "Block | None"
    tokens: tuple[int, ...]
    held: list[Tensor] = field(default_factory=list)
    """Rows of the global layers, each (2, K, positions, H)."""
    local: list[Tensor] | None = None
    """Rows of the local layers; None where they had to go."""
    children: dict[tuple[int, ...], "Block"] = field(default_factory=dict)


Part = tuple[Block, bool]
"""A block's local rows (True) or the rest of it."""


class PrefixCache:
    """The known beginnings."""

    def __init__(self, config: ModelConfig, *, max_bytes: int, block: int = 32) -> None:
        """Keeps at most `max_bytes`, 0: nothing. A sequence that goes on from here computes at most `block` positions
        again."""
        self.block = block
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._root = Block(None, ())
        self._used: OrderedDict[Part, int] = OrderedDict()
        """Bytes of each part, the one used longest ago first. A block always comes before its parent."""
        self._num_local = max(1, -(-(config.sliding_window - 1) // self.block))
        """Blocks whose local rows a sequence needs to go on after them."""

    def clear(self) -> None:
        self._root = Block(None, ())
        self._used.clear()
        self.num_bytes = 0

    def fill(self, cache: KVCache, tokens: Sequence[int]) -> None:
        """Let an empty cache hold as much of the beginning of `tokens` as is known."""
        assert cache.length == 0, f"the cache holds {cache.length} positions"
        path = self._path(tokens)
        while path and any(block.local is None for block in path[-self._num_local :]):
            path.pop()
        if not path:
            return
        reached = path[-self._num_local :]
        cache.load([block.held for block in path], [block.local for block in reached if block.local is not None])
        cache.length = len(path) * self.block
        cache.first = cache.length - len(reached) * self.block
        for block in reached:
            self._used.move_to_end((block, True))
        self._touch(path)

    def keep(self, cache: KVCache, tokens: Sequence[int]) -> None:
        """Remember every full block of a cache that holds the beginning of `tokens`."""
        if not self.max_bytes:
            return
        end = cache.length // self.block * self.block
        path = self._path(tokens[:end])
        for block_end in range(self.block, end + 1, self.block):
            start = block_end - self.block
            known = path[start // self.block] if start // self.block < len(path) else None
            if known is not None and (known.local is not None or start < cache.first):
                continue
            held, local = cache.block(start, block_end)
            if known is None:
                parent = path[-1] if path else self._root
                known = Block(parent, tuple(tokens[start:block_end]), held)
                parent.children[known.tokens] = known
                path.append(known)
                self._take((known, False), held)
            if local is not None:
                known.local = local
                self._take((known, True), local)
        self._touch(path)
        while self.num_bytes > self.max_bytes:
            self._drop_oldest()

    def _path(self, tokens: Sequence[int]) -> list[Block]:
        """The blocks of the longest known beginning."""
        path, block = [], self._root
        for start in range(0, len(tokens) - self.block + 1, self.block):
            following = block.children.get(tuple(tokens[start : start + self.block]))
            if following is None:
                break
            block = following
            path.append(block)
        return path

    def _take(self, part: Part, rows: Sequence[Tensor]) -> None:
        self._used[part] = size = sum(tensor.nbytes for tensor in rows)
        self.num_bytes += size

    def _touch(self, path: Sequence[Block]) -> None:
        for block in reversed(path):  # so that nothing goes before what hangs below it
            self._used.move_to_end((block, False))

    def _drop_oldest(self) -> None:
        (block, is_local), size = self._used.popitem(last=False)
        self.num_bytes -= size
        if is_local:
            block.local = None
            return
        assert block.parent is not None, "the root has no bytes"
        assert not block.children, "a block goes after those below it"
        del block.parent.children[block.tokens]
        self.num_bytes -= self._used.pop((block, True), 0)

"""Continuous batching: which request is fed when, and what each step makes.

    add --> waiting --prefill, a share of it per step--> slots --step--> Made: tokens, as soon as they are there
    cancel, between two steps, ends a request wherever it is

A step first computes prompts, the oldest request's first, at most `Engine.prefill_tokens` of them, so that a long
prompt holds nobody up; then it makes at least one token for every request that has a slot. Slots that fall free are
filled in the next step. A request's tokens do not depend on what runs beside it or when it came, up to rounding.

Where memory runs out, the request that needs it most is given up with finish `failed`, and the others go on.

Not here: preemption, priorities. One thread calls all methods of a scheduler.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from opencwm.infer.drafts import Drafter
from opencwm.infer.kv_cache import KVCache, Prefix, common_length
from opencwm.infer.sampler import Draw, choose, likeliest, log_probabilities
from opencwm.protocols import Finish, GrammarState, Request

if TYPE_CHECKING:
    from opencwm.infer.engine import Engine


@dataclass(kw_only=True, slots=True)
class Made:
    """What one step gave one request."""

    key: int
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    """One per token, where the request asks for them."""
    top_logprobs: list[list[tuple[int, float]]] = field(default_factory=list)
    """Per token, the likeliest tokens and their log-probabilities, where the request asks for them."""
    finish: Finish | None = None
    """Set in a request's last one."""
    error: str | None = None
    """One sentence, where `finish` is `failed`."""


@dataclass(kw_only=True, slots=True)
class Running:
    """One request between its prefill and its completion."""

    key: int
    request: Request
    grammar: GrammarState | None
    draw: Draw
    drafter: Drafter
    """Knows the prompt and everything made so far; its last token is the next one to feed."""
    limit: int
    """Most tokens it may get."""
    num_made: int = 0

    @property
    def finish(self) -> Finish | None:
        if self.num_made and self.drafter.tokens[-1] in self.request.stop_ids:
            return "stop"
        return "length" if self.num_made >= self.limit else None

    def feed(self, num_drafted: int) -> list[int]:
        """The last token and drafted ones, no more than may still be made."""
        room = self.limit - self.num_made - 1
        return [self.drafter.tokens[-1], *self.drafter.draft(min(num_drafted, room))]


class Scheduler:
    """Requests that come and go, over one engine."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._prefix = Prefix(engine.model.config)
        self._waiting: deque[tuple[int, Request]] = deque()
        self._running: list[Running] = []
        """Place i holds the request of the cache's slot i."""
        self._cache: KVCache | None = None

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def is_idle(self) -> bool:
        return not self._waiting and not self._running

    def add(self, key: int, request: Request) -> None:
        """Let a request wait for its turn; its parts will carry `key`."""
        self._waiting.append((key, request))

    @torch.inference_mode()
    def cancel(self, key: int) -> None:
        """End a request without another part; nothing happens where it has ended already."""
        self._waiting = deque(item for item in self._waiting if item[0] != key)
        for slot, item in enumerate(self._running):
            if item.key == key:
                self._free(slot)
                break

    @torch.inference_mode()
    def step(self) -> list[Made]:
        """Go on by one step. May make nothing, while a long prompt is being computed."""
        made = self._admit()
        made += self._make_room()
        if self._running:
            made += self._decode()
        if not self._running:
            self._cache = None  # what a long sequence has taken is given back
        return made

    def _admit(self) -> list[Made]:
        """Compute prompts and give them slots, as far as this step's share goes."""
        engine, ended = self._engine, []
        share = engine.prefill_tokens
        while self._waiting and share > 0 and len(self._running) < engine.max_batch:
            key, request = self._waiting[0]
            prompt = engine.prompt_of(request)
            limit = min(request.max_tokens, engine.model.config.max_position_embeddings - len(prompt))
            if limit <= 0:
                self._waiting.popleft()
                ended.append(Made(key=key, finish="length"))
                continue
            try:
                share -= self._prefill(prompt[:-1], share)
                if share < 0:
                    break
                self._place(len(prompt) - 1)
            except (RuntimeError, MemoryError) as exc:
                self._prefix.cut(0)
                self._waiting.popleft()
                ended.append(out_of_memory(key, exc))
                continue
            self._waiting.popleft()
            grammar = request.grammar.start() if request.grammar is not None else None
            draw, drafter = Draw(request.seed), Drafter(prompt)
            self._running.append(
                Running(key=key, request=request, grammar=grammar, draw=draw, drafter=drafter, limit=limit)
            )
        return ended

    def _prefill(self, before: tuple[int, ...], share: int) -> int:
        """Let the prefix hold the tokens of `before`, as far as `share` tokens go; how many tokens that took, or one
        more than `share` where it did not reach the end."""
        prefix = self._prefix
        shared = common_length(prefix.tokens, before)
        if shared == len(before):
            return 0
        prefix.cut(shared)
        end = min(len(before), shared + share)
        tokens = torch.tensor(before[shared:end], device=self._engine.device)
        self._engine.model(tokens, torch.arange(shared, end, device=tokens.device), prefix)
        prefix.tokens = list(before[:end])
        return end - shared if end == len(before) else share + 1

    def _place(self, length: int) -> None:
        """Let the first free slot hold the prefix."""
        engine, slot = self._engine, len(self._running)
        if self._cache is None:
            self._cache = KVCache(
                engine.model.config, 1, dtype=engine.dtype, device=engine.device, spare=engine.num_drafted
            )
        if slot >= len(self._cache.lengths):
            self._cache.add_slots(min(2 * slot, engine.max_batch) - slot)
        self._cache.load(slot, self._prefix, length)

    def _make_room(self) -> list[Made]:
        """Take the memory that this step's tokens need; while there is none, give up the longest sequence."""
        given_up: list[Made] = []
        while self._running:
            assert self._cache is not None, "who runs has a slot"
            lengths = self._cache.lengths[: len(self._running)]
            try:
                self._cache.reserve(max(lengths) + self._engine.num_drafted + 1)
                break
            except (RuntimeError, MemoryError) as exc:
                longest = lengths.index(max(lengths))
                given_up.append(out_of_memory(self._running[longest].key, exc))
                self._free(longest)
        return given_up

    def _decode(self) -> list[Made]:
        """At least one more token for every running request."""
        engine, cache = self._engine, self._cache
        assert cache is not None, "who runs has a slot"
        fed = [item.feed(engine.num_drafted) for item in self._running]
        try:
            positions = cache.begin_step([len(tokens) for tokens in fed])
            tokens = torch.tensor([token for row in fed for token in row], device=positions.device)
            logits = engine.logits(engine.model(tokens, positions, cache))
        except (RuntimeError, MemoryError) as exc:
            lost = [out_of_memory(item.key, exc) for item in self._running]
            self._running.clear()
            return lost
        greedy: list[int] = logits.argmax(dim=-1).tolist()
        parts, start = [], 0
        for slot, (item, row) in enumerate(zip(self._running, fed, strict=True)):
            rows = slice(start, start + len(row))
            kept = keep(item, row[1:], logits[rows], greedy[rows])
            cache.rewind(slot, len(row) - len(kept))
            parts.append(Made(key=item.key, tokens=kept, finish=item.finish))
            start += len(row)
        self._tell_probabilities(parts, [len(row) for row in fed], logits)
        for slot in reversed(range(len(parts))):
            if parts[slot].finish is not None:
                self._free(slot)
        return parts

    def _tell_probabilities(self, parts: list[Made], lengths: list[int], logits_TV: Tensor) -> None:
        """Fill in what the requests ask to know about their new tokens, in one go for all of them."""
        rows: list[int] = []
        tokens: list[int] = []
        wanting: list[tuple[Made, Request]] = []
        start = 0
        for item, part, length in zip(self._running, parts, lengths, strict=True):
            if item.request.logprobs or item.request.top_logprobs:
                rows += range(start, start + len(part.tokens))
                tokens += part.tokens
                wanting += [(part, item.request)] * len(part.tokens)
            start += length
        if not wanting:
            return
        chosen_RV = logits_TV[torch.tensor(rows, device=logits_TV.device)]
        for (part, _), logprob in zip(wanting, log_probabilities(chosen_RV, tokens), strict=True):
            part.logprobs.append(logprob)
        most = max(request.top_logprobs for _, request in wanting)
        if most:
            for (part, request), best in zip(wanting, likeliest(chosen_RV, most), strict=True):
                part.top_logprobs.append(best[: request.top_logprobs])

    def _free(self, slot: int) -> None:
        """Take a request out; the last slot's sequence moves into the free one."""
        assert self._cache is not None, "who runs has a slot"
        last = self._running.pop()
        if slot < len(self._running):
            self._cache.copy(len(self._running), slot)
            self._running[slot] = last


def keep(item: Running, drafted: list[int], logits_SV: Tensor, greedy: list[int]) -> list[int]:
    """Make tokens of one request as long as the draft agrees with them: one more than it does."""
    kept: list[int] = []
    for place, best in enumerate(greedy):
        mask = item.grammar.allowed() if item.grammar is not None else None
        plain = item.request.temperature == 0 and (mask is None or (best < len(mask) and mask[best]))
        token = best if plain else choose(logits_SV[place], item.request, item.draw, mask)
        kept.append(token)
        item.num_made += 1
        item.drafter.extend([token])
        if item.grammar is not None:
            item.grammar.accept(token)
        if item.finish is not None or place == len(drafted) or token != drafted[place]:
            break
    return kept


def out_of_memory(key: int, error: Exception) -> Made:
    """The end of a request that memory ran out for; raises `error` where it is about something else."""
    words = ("not enough memory", "can't allocate memory", "out of memory")
    is_memory = isinstance(error, MemoryError) or any(word in str(error).lower() for word in words)
    if not is_memory:
        raise error
    return Made(key=key, finish="failed", error="the memory of this machine ran out during the request")

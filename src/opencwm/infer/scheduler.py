"""Continuous batching: which request is fed when, and what each step makes.

    add --> waiting --prefill, a share of it per step--> running --step--> Made: tokens, as soon as they are there
    cancel, between two steps, ends a request wherever it is

A step first computes prompts, the oldest request's first, at most `Engine.prefill_tokens` of them, so that a long
prompt holds nobody up; then it makes at least one token for every request that runs, in one forward pass: a request
feeds its tokens that are not computed yet, and drafted ones after them. A place that falls free is filled in the next
step. A request's tokens do not depend on what runs beside it or when it came, up to rounding.

Where memory runs out, the request that needs it most is given up with finish `failed`, and the others go on.

Not here: preemption, priorities. One thread calls all methods of a scheduler.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from opencwm.infer.drafts import Drafter
from opencwm.infer.kv_cache import KVCache, Step
from opencwm.infer.sampler import Draw, choose, likeliest, log_probabilities
from opencwm.infer.trace_drafts import drafter_of
from opencwm.protocols import Finish, GrammarState, Request

if TYPE_CHECKING:
    from opencwm.infer.engine import Engine

JOINING = 32
"""A prompt of which so many tokens are left is computed in the step that makes its first token."""


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


@dataclass(kw_only=True, slots=True, eq=False)
class Running:
    """One request between its admission and its completion."""

    key: int
    request: Request
    grammar: GrammarState | None
    draw: Draw
    drafter: Drafter
    """Knows the prompt and everything made so far."""
    cache: KVCache
    limit: int
    """Most tokens it may get."""
    num_made: int = 0

    @property
    def num_pending(self) -> int:
        """Tokens that the cache does not hold yet, at least one."""
        return len(self.drafter.tokens) - self.cache.length

    @property
    def finish(self) -> Finish | None:
        if self.num_made and self.drafter.tokens[-1] in self.request.stop_ids:
            return "stop"
        return "length" if self.num_made >= self.limit else None

    def draft(self, num_drafted: int) -> list[int]:
        """Tokens that may come next, no more than may still be made."""
        return self.drafter.draft(min(num_drafted, self.limit - self.num_made - 1))


class Scheduler:
    """Requests that come and go, over one engine."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._prefixes = engine.prefixes
        self._waiting: deque[tuple[int, Request]] = deque()
        self._entering: Running | None = None
        """The first of those that wait, while its prompt is being computed."""
        self._running: list[Running] = []

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

    def cancel(self, key: int) -> None:
        """End a request without another part; nothing happens where it has ended already."""
        self._waiting = deque(item for item in self._waiting if item[0] != key)
        self._running = [item for item in self._running if item.key != key]
        if self._entering is not None and self._entering.key == key:
            self._entering = None

    @torch.inference_mode()
    def step(self) -> list[Made]:
        """Go on by one step. May make nothing, while a long prompt is being computed."""
        made = self._admit()
        made += self._make_room()
        if self._running:
            made += self._decode()
        return made

    def _admit(self) -> list[Made]:
        """Compute prompts but for their last tokens, as far as this step's share goes; who is done runs."""
        engine, ended = self._engine, []
        share = engine.prefill_tokens
        while self._waiting and share > 0 and len(self._running) < engine.max_batch:
            key, request = self._waiting[0]
            try:
                entering = self._entering or self._enter(key, request)
                if entering is not None:
                    self._entering = entering
                    while share > 0 and entering.num_pending > JOINING:
                        share -= self._prefill(entering, share)
                    if entering.num_pending > JOINING:
                        break
                    self._running.append(entering)
                else:
                    ended.append(Made(key=key, finish="length"))
            except (RuntimeError, MemoryError) as exc:
                ended.append(out_of_memory(key, exc))
                self._prefixes.clear()
            self._entering = None
            self._waiting.popleft()
        return ended

    def _enter(self, key: int, request: Request) -> Running | None:
        """A request with what is known of its prompt; None where the prompt leaves no room for a token."""
        engine = self._engine
        prompt = engine.prompt_of(request)
        limit = min(request.max_tokens, engine.model.config.max_position_embeddings - len(prompt))
        if limit <= 0:
            return None
        cache = KVCache(engine.model.config, dtype=engine.dtype, device=engine.device)
        self._prefixes.fill(cache, prompt[:-1])
        grammar = request.grammar.start() if request.grammar is not None else None
        draw, drafter = Draw(request.seed), drafter_of(prompt, engine.tokenizer)
        return Running(key=key, request=request, grammar=grammar, draw=draw, drafter=drafter, cache=cache, limit=limit)

    def _prefill(self, item: Running, share: int) -> int:
        """Compute the next tokens of a prompt; how many."""
        engine, cache = self._engine, item.cache
        count = min(share, cache.spare, item.num_pending - 1)
        tokens = torch.tensor(item.drafter.tokens[cache.length : cache.length + count], device=engine.device)
        cache.reserve(cache.length + count)
        step = Step([cache], [count])
        engine.model(tokens, step.positions, step)
        self._advance(item, count)
        return count

    def _advance(self, item: Running, count: int) -> None:
        """`count` more positions of a request's cache count."""
        before = item.cache.length
        item.cache.length += count
        if item.cache.length // self._prefixes.block > before // self._prefixes.block:
            try:
                self._prefixes.keep(item.cache, item.drafter.tokens)
            except (RuntimeError, MemoryError) as exc:
                if not is_out_of_memory(exc):
                    raise
                self._prefixes.clear()  # what might be of use later goes before what is of use now

    def _make_room(self) -> list[Made]:
        """Take the memory that this step's tokens need; while there is none, give up the longest sequence."""
        given_up: list[Made] = []
        while self._running:
            try:
                for item in self._running:
                    item.cache.reserve(item.cache.length + item.num_pending + self._engine.num_drafted)
                break
            except (RuntimeError, MemoryError) as exc:
                longest = max(self._running, key=lambda item: item.cache.length)
                given_up.append(out_of_memory(longest.key, exc))
                self._prefixes.clear()
                self._running.remove(longest)
        return given_up

    def _decode(self) -> list[Made]:
        """At least one more token for every running request."""
        engine, running = self._engine, self._running
        drafts = [item.draft(engine.num_drafted) for item in running]
        rows = [item.drafter.tokens[item.cache.length :] + draft for item, draft in zip(running, drafts, strict=True)]
        try:
            step = Step([item.cache for item in running], [len(row) for row in rows])
            tokens = torch.tensor([token for row in rows for token in row], device=engine.device)
            hidden = engine.model(tokens, step.positions, step)
            logits = engine.logits(self._last_rows(hidden, rows, drafts))
        except (RuntimeError, MemoryError) as exc:
            lost = [out_of_memory(item.key, exc) for item in running]
            running.clear()
            self._prefixes.clear()
            return lost
        greedy: list[int] = logits.argmax(dim=-1).tolist()
        parts, start = [], 0
        for item, draft in zip(running, drafts, strict=True):
            end = start + len(draft) + 1
            num_pending = item.num_pending
            kept = keep(item, draft, logits[start:end], greedy[start:end])
            self._advance(item, num_pending + len(kept) - 1)
            parts.append(Made(key=item.key, tokens=kept, finish=item.finish))
            start = end
        self._tell_probabilities(parts, [len(draft) + 1 for draft in drafts], logits)
        self._running = [item for item, part in zip(running, parts, strict=True) if part.finish is None]
        return parts

    @staticmethod
    def _last_rows(hidden_TD: Tensor, rows: list[list[int]], drafts: list[list[int]]) -> Tensor:
        """The hidden states that choose a token: of each sequence, those of its last known and its drafted tokens."""
        places: list[int] = []
        start = 0
        for row, draft in zip(rows, drafts, strict=True):
            start += len(row)
            places += range(start - len(draft) - 1, start)
        return hidden_TD if len(places) == len(hidden_TD) else hidden_TD[places]

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
    if not is_out_of_memory(error):
        raise error
    return Made(key=key, finish="failed", error="the memory of this machine ran out during the request")


def is_out_of_memory(error: Exception) -> bool:
    """PyTorch says on a CPU with words alone that it ran out."""
    words = ("not enough memory", "can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in words)

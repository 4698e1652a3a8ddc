"""The local engine: batched generation with a KV cache over the packed-token transformer.

    requests --prefill, one at a time--> slots --decode steps, all slots together--> completions

A request waits until a slot is free, has its prompt but for the last token computed in one forward pass (sharing the
beginning that it has in common with the request before it), and then takes part in decode steps: each feeds the last
token of every running request, and a few drafted ones after it (`drafts.py`), through the model and keeps what the
model agrees with. Slots that fall free are filled at once, so a long completion keeps nobody waiting. The output is
that of a loop without cache or drafts, token for token, up to rounding; sampled output too, since each token still
takes one random number.

Weights may be bfloat16 (`model/device.py`); hidden states then are too, but the head always runs in float32: bfloat16
logits have ties, and log-probabilities would be off by several per cent.

Not here: paging, preemption, draft models.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as functional
from torch import Tensor

from opencwm.errors import ConfigError
from opencwm.infer.drafts import Drafter
from opencwm.infer.kv_cache import KVCache, Prefix, common_length
from opencwm.infer.sampler import Draw, choose, log_probabilities
from opencwm.model.attention import PackedAttention
from opencwm.model.device import fast_dtype
from opencwm.model.transformer import Transformer
from opencwm.model.weights import load
from opencwm.protocols import Completion, Finish, GrammarState, Message, Request, Scores
from opencwm.tokenizer import Tokenizer

SCORE_TOKENS = 4096
"""Tokens that `Engine.score` packs into one forward pass."""


@dataclass(kw_only=True, slots=True)
class Running:
    """One request between its prefill and its completion."""

    index: int
    request: Request
    grammar: GrammarState | None
    draw: Draw
    drafter: Drafter
    """Knows the prompt and everything made so far; its last token is the next one to feed."""
    limit: int
    """Most tokens it may get."""
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    @property
    def finish(self) -> Finish | None:
        if self.tokens and self.tokens[-1] in self.request.stop_ids:
            return "stop"
        return "length" if len(self.tokens) >= self.limit else None

    def feed(self, num_drafted: int) -> list[int]:
        """The last token and drafted ones, no more than may still be made."""
        room = self.limit - len(self.tokens) - 1
        return [self.drafter.tokens[-1], *self.drafter.draft(min(num_drafted, room))]


class Engine:
    """A `protocols.ScoringModel` on this machine."""

    def __init__(
        self,
        model: Transformer,
        tokenizer: Tokenizer | None = None,
        *,
        max_batch: int = 32,
        num_drafted: int = 8,
        threads: int | None = None,
        name: str = "local",
    ) -> None:
        """`num_drafted` tokens are drafted per step, 0: none. `threads` sets PyTorch's number of CPU threads for the
        whole process; None leaves it."""
        if threads is not None:
            torch.set_num_threads(threads)
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.max_batch = max_batch
        self.num_drafted = num_drafted
        self.name = name
        self._head = model.lm_head.weight.detach().float()
        self._prefix = Prefix(model.config)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        max_batch: int = 32,
        threads: int | None = None,
    ) -> "Engine":
        """The model and tokenizer in `folder`; `dtype` None takes the quicker one for the device."""
        target = torch.device(device)
        model = load(folder, dtype=dtype or fast_dtype(target)[0]).to(target)
        tokenizer = Tokenizer.load(folder)
        if tokenizer.vocab_size > model.config.vocab_size:
            raise ConfigError(
                f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens, the model {model.config.vocab_size}",
                fix="put the tokenizer beside the model that was trained with it",
            )
        return cls(model, tokenizer, max_batch=max_batch, threads=threads, name=folder.name)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        done = dict(self.stream(requests))
        return [done[index] for index in range(len(requests))]

    @torch.inference_mode()
    def stream(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Completions as they finish, each with its request's index."""
        waiting = deque(enumerate(requests))
        num_slots = min(self.max_batch, len(requests))
        cache = KVCache(
            self.model.config, num_slots, dtype=self._dtype, device=self._head.device, spare=self.num_drafted
        )
        running: list[Running] = []
        while waiting or running:
            while waiting and len(running) < num_slots:
                index, request = waiting.popleft()
                prompt = self._prompt(request)
                limit = min(request.max_tokens, self.model.config.max_position_embeddings - len(prompt))
                if limit <= 0:
                    yield index, Completion(tokens=(), text="", finish="length")
                    continue
                self._prefill(prompt[:-1], cache, slot=len(running))
                grammar = request.grammar.start() if request.grammar is not None else None
                running.append(
                    Running(
                        index=index,
                        request=request,
                        grammar=grammar,
                        draw=Draw(request.seed),
                        drafter=Drafter(prompt),
                        limit=limit,
                    )
                )
            if running:
                self._step(cache, running)
            for slot in reversed(range(len(running))):
                finish = running[slot].finish
                if finish is not None:
                    yield running[slot].index, self._completion(running[slot], finish)
                    last = running.pop()  # the last slot's sequence moves into the free one
                    if slot < len(running):
                        cache.copy(len(running), slot)
                        running[slot] = last
        self._prefix.cut(0)

    @torch.inference_mode()
    def score(self, sequences: Sequence[Sequence[int]]) -> list[Scores]:
        """Argmax and log-probability at every position of given sequences, several packed into each pass."""
        scores: list[Scores] = []
        for group in packs([list(sequence) for sequence in sequences], SCORE_TOKENS):
            lengths = [len(sequence) for sequence in group]
            tokens = torch.tensor([token for sequence in group for token in sequence], device=self._head.device)
            positions = torch.cat([torch.arange(length) for length in lengths]).to(tokens.device)
            hidden = self.model(tokens, positions, PackedAttention(self.model.config, lengths))
            start = 0
            for length in lengths:
                logits = self._logits(hidden[start : start + length - 1])
                following = tokens[start + 1 : start + length].tolist()
                scores.append(
                    Scores(
                        argmax=tuple(logits.argmax(dim=-1).tolist()),
                        logprobs=tuple(log_probabilities(logits, following)),
                    )
                )
                start += length
        return scores

    @property
    def _dtype(self) -> torch.dtype:
        return self.model.lm_head.weight.dtype

    def _logits(self, hidden_TD: Tensor) -> Tensor:
        return functional.linear(hidden_TD.float(), self._head)

    def _prompt(self, request: Request) -> tuple[int, ...]:
        """The prompt's tokens, at least one."""
        if isinstance(request.prompt, tuple) and not any(isinstance(item, Message) for item in request.prompt[:1]):
            prompt: tuple[int, ...] = request.prompt  # type: ignore[assignment]
        elif isinstance(request.prompt, str) and self.tokenizer is not None:
            prompt = tuple(self.tokenizer.encode(request.prompt))
        else:
            raise ConfigError(
                f"the local model {self.name} reads token ids or text, not chat messages",
                fix="use a model that speaks language, over URL#name",
            )
        return prompt or (self.model.config.bos_token_id,)

    def _prefill(self, before: tuple[int, ...], cache: KVCache, *, slot: int) -> None:
        """Let `slot` hold the tokens of `before`, sharing what they have in common with the last request's."""
        prefix = self._prefix
        shared = common_length(prefix.tokens, before)
        if shared < len(before):
            prefix.cut(shared)
            tokens = torch.tensor(before[shared:], device=self._head.device)
            self.model(tokens, torch.arange(shared, len(before), device=tokens.device), prefix)
            prefix.tokens = list(before)
        cache.load(slot, prefix, len(before))

    def _step(self, cache: KVCache, running: list[Running]) -> None:
        """At least one more token for every running request."""
        fed = [item.feed(self.num_drafted) for item in running]
        positions = cache.begin_step([len(tokens) for tokens in fed])
        tokens = torch.tensor([token for row in fed for token in row], device=positions.device)
        logits = self._logits(self.model(tokens, positions, cache))
        greedy: list[int] = logits.argmax(dim=-1).tolist()
        made: list[tuple[Running, int, int]] = []
        start = 0
        for slot, (item, row) in enumerate(zip(running, fed, strict=True)):
            kept = self._keep(item, row[1:], logits[start : start + len(row)], greedy[start : start + len(row)])
            made += [(item, start + at, token) for at, token in enumerate(kept)]
            cache.rewind(slot, len(row) - len(kept))
            start += len(row)
        if any(item.request.logprobs for item in running):
            rows = torch.tensor([row for _, row, _ in made], device=positions.device)
            logprobs = log_probabilities(logits[rows], [token for _, _, token in made])
            for (item, _, _), logprob in zip(made, logprobs, strict=True):
                item.logprobs.append(logprob)

    def _keep(self, item: Running, drafted: list[int], logits_SV: Tensor, greedy: list[int]) -> list[int]:
        """Make tokens of one request as long as the draft agrees with them: one more than it does."""
        kept: list[int] = []
        for place, best in enumerate(greedy):
            mask = item.grammar.allowed() if item.grammar is not None else None
            plain = item.request.temperature == 0 and (mask is None or (best < len(mask) and mask[best]))
            token = best if plain else choose(logits_SV[place], item.request, item.draw, mask)
            kept.append(token)
            item.tokens.append(token)
            item.drafter.extend([token])
            if item.grammar is not None:
                item.grammar.accept(token)
            if item.finish is not None or place == len(drafted) or token != drafted[place]:
                break
        return kept

    def _completion(self, item: Running, finish: Finish) -> Completion:
        text = ""
        if self.tokenizer is not None:  # models have rows to spare, which stand for no text
            text = self.tokenizer.decode([token for token in item.tokens if token < self.tokenizer.vocab_size])
        return Completion(
            tokens=tuple(item.tokens),
            text=text,
            finish=finish,
            logprobs=tuple(item.logprobs) if item.request.logprobs else None,
        )


def packs(sequences: list[list[int]], budget: int) -> Iterator[list[list[int]]]:
    """Consecutive sequences, as many at a time as `budget` tokens hold and at least one."""
    group: list[list[int]] = []
    total = 0
    for sequence in sequences:
        if group and total + len(sequence) > budget:
            yield group
            group, total = [], 0
        group.append(sequence)
        total += len(sequence)
    if group:
        yield group

"""The local engine: batched generation with a KV cache over the packed-token transformer.

    requests --Scheduler (`scheduler.py`): prefill, decode steps over all slots--> completions

A request waits until there is a place, has the part of its prompt computed that no request before it had
(`prefixes.py`), and then takes part in decode steps: each feeds the last token of every running request, and drafted
ones after it (`drafts.py`, `trace_drafts.py`), through the model and keeps what the model agrees with. Places that fall
free are filled at once, so a long completion keeps nobody waiting. The output is that of a loop without cache or
drafts, token for token, up to rounding; sampled output too, since each token still takes one random number.

Weights may be bfloat16 (`model/device.py`); hidden states then are too, but the head always runs in float32: bfloat16
logits have ties, and log-probabilities would be off by several per cent.

One thread uses an engine. Not here: draft models; pages, which pay on a GPU, where vLLM has them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as functional
from torch import Tensor

from opencwm.errors import ConfigError
from opencwm.infer.kv_cache import KVCache
from opencwm.infer.prefixes import PrefixCache
from opencwm.infer.sampler import log_probabilities
from opencwm.infer.scheduler import JOINING, Made, Scheduler
from opencwm.infer.text import TextStream
from opencwm.model.attention import PackedAttention
from opencwm.model.device import fast_dtype
from opencwm.model.memory import keep_memory
from opencwm.model.quantize import quantize
from opencwm.model.transformer import Transformer
from opencwm.model.weights import load
from opencwm.protocols import Completion, Message, Request, Scores
from opencwm.tokenizer import Tokenizer

SCORE_TOKENS = 4096
"""Tokens that `Engine.score` packs into one forward pass."""


class Engine:
    """A `protocols.ScoringModel` on this machine."""

    def __init__(
        self,
        model: Transformer,
        tokenizer: Tokenizer | None = None,
        *,
        max_batch: int = 32,
        num_drafted: int = 24,
        prefill_tokens: int = 2048,
        prefix_bytes: int = 1 << 30,
        threads: int | None = None,
        name: str = "local",
    ) -> None:
        """A step drafts at most `num_drafted` tokens of each request, 0: none, and computes at most `prefill_tokens` of
        prompts. `prefix_bytes` of keys and values are kept for requests to come, 0: none.
        `threads` sets PyTorch's number of CPU threads for the whole process; None leaves it."""
        most = KVCache.spare - JOINING
        if not 0 <= num_drafted <= most:
            raise ConfigError(f"num_drafted is {num_drafted}", fix=f"take 0 to {most}")
        if threads is not None:
            torch.set_num_threads(threads)
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.max_batch = max_batch
        self.num_drafted = num_drafted
        self.prefill_tokens = prefill_tokens
        self.name = name
        self.prefixes = PrefixCache(model.config, max_bytes=prefix_bytes)
        self._head = model.lm_head.weight.detach().float()

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
        """The model and tokenizer in `folder`; `dtype` None takes the quicker one for the device, int8 quantises."""
        keep_memory()
        target = torch.device(device)
        dtype = dtype or fast_dtype(target)[0]
        model = load(folder, dtype=torch.bfloat16 if dtype == torch.int8 else dtype).to(target)
        if dtype == torch.int8:
            quantize(model)
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

    def stream(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Completions as they finish, each with its request's index."""
        scheduler = Scheduler(self)
        parts: list[list[Made]] = [[] for _ in requests]
        watched: dict[int, StopWatch] = {}
        for index, request in enumerate(requests):
            scheduler.add(index, request)
            if request.stop_texts:
                watched[index] = StopWatch(self._text_stream(request))
        while not scheduler.is_idle:
            for part in scheduler.step():
                parts[part.key].append(part)
                watch = watched.get(part.key)
                if watch is not None and watch.sees_stop(part):
                    if part.finish is None:
                        scheduler.cancel(part.key)
                    made = self._completion(requests[part.key], parts[part.key])
                    yield part.key, replace(made, text=watch.text, finish="stop")
                elif part.finish is not None:
                    yield part.key, self._completion(requests[part.key], parts[part.key])

    @torch.inference_mode()
    def score(self, sequences: Sequence[Sequence[int]]) -> list[Scores]:
        """Argmax and log-probability at every position of given sequences, several packed into each pass."""
        scores: list[Scores] = []
        for group in packs([list(sequence) for sequence in sequences], SCORE_TOKENS):
            lengths = [len(sequence) for sequence in group]
            tokens = torch.tensor([token for sequence in group for token in sequence], device=self.device)
            positions = torch.cat([torch.arange(length) for length in lengths]).to(tokens.device)
            hidden = self.model(tokens, positions, PackedAttention(self.model.config, lengths))
            start = 0
            for length in lengths:
                logits = self.logits(hidden[start : start + length - 1])
                following = tokens[start + 1 : start + length].tolist()
                argmax = logits.argmax(dim=-1).tolist()
                scores.append(
                    Scores(
                        argmax=tuple(argmax),
                        argmax_logprobs=tuple(log_probabilities(logits, argmax)),
                        logprobs=tuple(log_probabilities(logits, following)),
                    )
                )
                start += length
        return scores

    @property
    def dtype(self) -> torch.dtype:
        return self.model.lm_head.weight.dtype

    @property
    def device(self) -> torch.device:
        return self._head.device

    def logits(self, hidden_TD: Tensor) -> Tensor:
        """Float32, whatever the weights are."""
        return functional.linear(hidden_TD.float(), self._head)

    def prompt_of(self, request: Request) -> tuple[int, ...]:
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

    def _text_stream(self, request: Request) -> TextStream:
        if self.tokenizer is None:
            raise ConfigError("stop texts need a tokenizer", fix="load the model with its tokenizer")
        return TextStream(self.tokenizer, stops=request.stop_texts)

    def _completion(self, request: Request, parts: list[Made]) -> Completion:
        tokens = [token for part in parts for token in part.tokens]
        text = ""
        if self.tokenizer is not None:  # models have rows to spare, which stand for no text
            text = self.tokenizer.decode([token for token in tokens if token < self.tokenizer.vocab_size])
        top = tuple(tuple(best) for part in parts for best in part.top_logprobs)
        return Completion(
            tokens=tuple(tokens),
            text=text,
            finish=parts[-1].finish or "failed",
            logprobs=tuple(value for part in parts for value in part.logprobs) if request.logprobs else None,
            top_logprobs=top if request.top_logprobs else None,
            error=parts[-1].error,
        )


class StopWatch:
    """Reads along until a stop text comes."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self.text = ""
        """Before the stop text."""

    def sees_stop(self, part: Made) -> bool:
        for token in part.tokens:
            self.text += self._stream.push(token)
            if self._stream.is_stopped:
                return True
        return False


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

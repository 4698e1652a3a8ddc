"""From logits to the next tokens of all running requests: greedy, temperature, top-p, grammar, log-probabilities.

    logits_AV --mask (grammar)--> / temperature --top-p--> token;   log p(token) from the unmasked logits

Every request draws from a random generator of its own, one uniform number per token, so a sample depends on its seed
and not on what runs beside it.

A = running requests, V = vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from opencwm.protocols import Request


class Draw:
    """One request's stream of uniform numbers; greedy requests need none."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def uniform(self) -> float:
        return torch.rand(1, generator=self._generator, dtype=torch.float64).item()


def choose(
    logits_AV: Tensor, requests: Sequence[Request], draws: Sequence[Draw], masks: Sequence[bytes | None]
) -> list[int]:
    """The next token of each request; float32 logits. `masks` are what `GrammarState.allowed` gives."""
    if any(mask is not None for mask in masks):
        logits_AV = logits_AV.masked_fill(~allowed(masks, logits_AV.shape[1]).to(logits_AV.device), -torch.inf)
    tokens: list[int] = logits_AV.argmax(dim=-1).tolist()
    for row, request in enumerate(requests):
        if request.temperature > 0:
            tokens[row] = sample(logits_AV[row], request, draws[row].uniform())
    return tokens


def sample(logits_V: Tensor, request: Request, uniform: float) -> int:
    """The token at `uniform` (0 <= uniform < 1) of the distribution's cumulative sum, likeliest first."""
    probabilities, order = (logits_V.double() / request.temperature).softmax(dim=-1).sort(descending=True, stable=True)
    sums = probabilities.cumsum(dim=-1)
    # the nucleus: the likeliest token, and the others as long as the ones before them hold less than top_p
    kept = max(1, int((sums - probabilities < request.top_p).sum().item()))
    index = int(torch.searchsorted(sums[:kept], uniform * sums[kept - 1], right=True).item())
    return int(order[min(index, kept - 1)].item())


def allowed(masks: Sequence[bytes | None], vocab_size: int) -> Tensor:
    """The masks as one bool tensor (A, V); None allows everything, as do ids that a mask is too short to name not."""
    everything = b"\x01" * vocab_size
    rows = bytearray().join(everything if mask is None else mask.ljust(vocab_size, b"\x00") for mask in masks)
    return torch.frombuffer(rows, dtype=torch.bool).view(len(masks), vocab_size)


def log_probabilities(logits_AV: Tensor, tokens: Sequence[int]) -> list[float]:
    """log p(token) of each row."""
    chosen = logits_AV.gather(1, torch.tensor(tokens, device=logits_AV.device)[:, None])[:, 0]
    logprobs: list[float] = (chosen - logits_AV.logsumexp(dim=-1)).tolist()
    return logprobs

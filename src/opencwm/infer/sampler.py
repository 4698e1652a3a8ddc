"""From logits to a request's next token: greedy, temperature, top-p, grammar, log-probabilities.

    logits_V --mask (grammar)--> / temperature --top-p--> token;   log p(token) from the unmasked logits

Every request draws from a random generator of its own, one uniform number per token, so a sample depends on its seed
and not on what runs beside it.

R = rows, V = vocabulary.
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


def choose(logits_V: Tensor, request: Request, draw: Draw, mask: bytes | None) -> int:
    """The next token of one request; float32 logits. `mask` is what `GrammarState.allowed` gives."""
    if mask is not None:
        logits_V = logits_V.masked_fill(~allowed(mask, len(logits_V)).to(logits_V.device), -torch.inf)
    if request.temperature == 0:
        return int(logits_V.argmax().item())
    return sample(logits_V, request, draw.uniform())


def sample(logits_V: Tensor, request: Request, uniform: float) -> int:
    """The token at `uniform` (0 <= uniform < 1) of the distribution's cumulative sum, likeliest first."""
    probabilities, order = (logits_V.double() / request.temperature).softmax(dim=-1).sort(descending=True, stable=True)
    sums = probabilities.cumsum(dim=-1)
    # the nucleus: the likeliest token, and the others as long as the ones before them hold less than top_p
    kept = max(1, int((sums - probabilities < request.top_p).sum().item()))
    index = int(torch.searchsorted(sums[:kept], uniform * sums[kept - 1], right=True).item())
    return int(order[min(index, kept - 1)].item())


def allowed(mask: bytes, vocab_size: int) -> Tensor:
    """The mask as a bool tensor (V,); ids that it is too short to name are not allowed."""
    return torch.frombuffer(bytearray(mask.ljust(vocab_size, b"\x00")), dtype=torch.bool)


def log_probabilities(logits_RV: Tensor, tokens: Sequence[int]) -> list[float]:
    """log p(token) of each row."""
    chosen = logits_RV.gather(1, torch.tensor(tokens, device=logits_RV.device)[:, None])[:, 0]
    logprobs: list[float] = (chosen - logits_RV.logsumexp(dim=-1)).tolist()
    return logprobs


def likeliest(logits_RV: Tensor, count: int) -> list[list[tuple[int, float]]]:
    """The `count` likeliest tokens of each row with their log-probabilities, likeliest first."""
    values, tokens = logits_RV.log_softmax(dim=-1).topk(min(count, logits_RV.shape[-1]), dim=-1)
    return [list(zip(*row, strict=True)) for row in zip(tokens.tolist(), values.tolist(), strict=True)]

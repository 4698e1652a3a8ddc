"""The seams: what the parts of OpenCWM know of one another.

    evals, agent, debug  --Request-->  Model  --Completion-->  evals, agent, debug

A `Model` turns prompts into completions. There are three: the local engine (`opencwm.infer.engine`), any
OpenAI-compatible server (`opencwm.provider`) and `opencwm.fakes.ScriptedModel`. A `Grammar` tells which tokens
may come next. Nothing here imports torch or a tokenizer library; the sandbox's seam is `opencwm.sandbox.base`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from opencwm.tokenizer import Tokenizer

Finish = Literal["stop", "length", "failed"]


class GrammarState(Protocol):
    """Where one sequence stands in its language; each sequence has its own."""

    def allowed(self) -> bytes:
        """One byte for each id of the vocabulary: 1 where the token may come next, else 0. At least one is 1."""
        ...

    def accept(self, token: int) -> None:
        """Go on to the state after `token`, which must be allowed."""
        ...


class Grammar(Protocol):
    """A language over token ids, for the tokens that follow a request's prompt."""

    def start(self) -> GrammarState: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message of a chat with a model that speaks language."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    prompt: tuple[int, ...] | str | tuple[Message, ...]
    """Token ids, text or chat messages; forced prefixes are simply the end of the prompt. Chats need a server."""
    max_tokens: int
    """Most tokens to make, the stop token included."""
    stop_ids: frozenset[int] = frozenset()
    """Generation ends with the first of these; it is the last of the completion's tokens."""
    stop_texts: tuple[str, ...] = ()
    """The same by text; the text is not part of the completion's."""
    temperature: float = 0.0
    """0: greedy."""
    top_p: float = 1.0
    """Sampling takes from the smallest set of likeliest tokens that holds this share of the probability."""
    seed: int = 0
    """The same request with the same seed gives the same tokens, whatever runs beside it."""
    grammar: Grammar | None = None
    """Tokens it does not allow are never made."""
    logprobs: bool = False
    """Also give the log-probability of each token made."""
    top_logprobs: int = 0
    """Also give so many of the likeliest tokens in the place of each token made; the local engine does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    tokens: tuple[int, ...]
    """Ids made after the prompt; empty from servers that do not tell them."""
    text: str
    finish: Finish
    """`stop`: a stop token or text; `length`: no room for more; `failed`: infrastructure, see `error`."""
    logprobs: tuple[float, ...] | None = None
    """Natural logarithms, one per token, of the model's own distribution: before temperature, top-p and grammar."""
    top_logprobs: tuple[tuple[tuple[int, float], ...], ...] | None = None
    """Per token made, the likeliest ones in its place, each with its logarithm as in `logprobs`."""
    error: str | None = None
    """One sentence, where `finish` is `failed`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """What a model thinks of given tokens; entry i is about token i + 1 given the tokens up to i."""

    argmax: tuple[int, ...]
    argmax_logprobs: tuple[float, ...]
    """Of `argmax`."""
    logprobs: tuple[float, ...]
    """Of the token that really follows."""


class Model(Protocol):
    """Tokens in, tokens out."""

    @property
    def name(self) -> str: ...

    @property
    def tokenizer(self) -> "Tokenizer | None":
        """None where the model takes text only."""
        ...

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion per request, in their order. What fails alone (a server's refusal of one request) is a
        completion with finish `failed`; what fails for all is a ProviderError."""
        ...


class ScoringModel(Model, Protocol):
    """A model that can also score given tokens in one pass: the local engine."""

    def score(self, sequences: Sequence[Sequence[int]]) -> list[Scores]: ...

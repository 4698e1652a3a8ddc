"""One sequence that is held: looked at, forced, gone on with, rewound to any place, and branched. For a debugger.

    Session(engine, tokens) --force, go_on--> more tokens --rewind(place)--> fewer --fork--> another session

A session is its tokens. Keys and values are the engine's business (`prefixes.py`): going on from any place computes a
block of tokens at most where the engine still knows the beginning, and gives in any case what starting afresh would.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from opencwm.protocols import Completion, Request

if TYPE_CHECKING:
    from opencwm.infer.engine import Engine


class Session:
    def __init__(self, engine: "Engine", tokens: Iterable[int]) -> None:
        self.engine = engine
        self.tokens = list(tokens)

    def force(self, tokens: Iterable[int]) -> None:
        """Let these tokens come next, whatever the model thinks of them."""
        self.tokens += tokens

    def go_on(self, request: Request) -> Completion:
        """Generate after the tokens so far, as `request` asks but for its prompt; what is made is added."""
        completion = self.engine.generate([replace(request, prompt=tuple(self.tokens))])[0]
        self.tokens += completion.tokens
        return completion

    def rewind(self, place: int) -> None:
        """Forget the token at `place` and all after it. Raises IndexError where there is no such place."""
        if not 0 <= place <= len(self.tokens):
            raise IndexError(f"place {place} of a session of {len(self.tokens)} tokens")
        del self.tokens[place:]

    def fork(self) -> "Session":
        """Another session that begins with the same tokens."""
        return Session(self.engine, self.tokens)

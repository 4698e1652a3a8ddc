"""From tokens to text, as they are made: whole characters, up to the first stop text.

What may turn out to be the beginning of a stop text is held back until it is decided.
"""

import codecs
from collections.abc import Collection, Sequence

from opencwm.chat import first_of, held_back
from opencwm.tokenizer import Tokenizer


class TextStream:
    """The text of one completion."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        stops: Sequence[str] = (),
        hidden: Collection[int] = (),
        includes_stop: bool = False,
    ) -> None:
        """Tokens of `hidden` have no text. A stop text is part of the text only where `includes_stop`."""
        self._bytes = tokenizer.token_bytes
        self._stops = tuple(stops)
        self._hidden = frozenset(hidden)
        self._includes_stop = includes_stop
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self.num_chars = 0
        """Length of everything decoded so far, held back or not."""
        self.is_stopped = False
        """A stop text has come; nothing after it counts."""

    def push(self, token: int) -> str:
        """The text that a token adds for sure."""
        known = token < len(self._bytes) and token not in self._hidden
        return self._go_on(self._decoder.decode(self._bytes[token] if known else b""))

    def end(self) -> str:
        """What was held back: half a character, half a stop text."""
        text = self._go_on(self._decoder.decode(b"", final=True)) + self._held
        self._held = ""
        return text

    def _go_on(self, text: str) -> str:
        self.num_chars += len(text)
        self._held += text
        found = first_of(self._held, self._stops)
        if found is not None:
            at, stop = found
            told = self._held[: at + len(stop) * self._includes_stop]
            self._held, self.is_stopped = "", True
            return told
        cut = len(self._held) - held_back(self._held, self._stops)
        told, self._held = self._held[:cut], self._held[cut:]
        return told

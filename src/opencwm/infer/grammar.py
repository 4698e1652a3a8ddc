"""The language of traces: which tokens may come next, so that a model can only write well-formed frames.

    event --> LOCALS (automaton) --> action_sep --> SOURCE (trie of the context's lines) --> [VALUE (automaton)] -->

LOCALS and VALUE are, byte for byte, what `json.dumps` can write: an object of identifiers to strings, and a string.
That is a regular language, so one automaton over bytes, run over every token of the vocabulary once, gives a table
(state, token) -> state; a mask is a row of it. SOURCE is a line of the context as the tokenizer writes it, so a trie
over token ids. The first frame is a `call`; an open activation may call, show a line, return or raise; with none open
the trace ends or a generator is entered again (the stack rule of the trace format).

llguidance could do LOCALS and VALUE too: `benchmarks/grammar.py` measures both, and the tests hold the automaton's
masks to llguidance's, state by state. The table won: the same masks at a small part of the cost per token, and no
matcher to keep, copy or reset per request.

A name given twice in one LOCALS is no regular matter: the tokens that would repeat one are taken out of the mask.

Not here: meaning. `".."` may stand for a name that was never shown.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import numpy as np

from opencwm.errors import DataError
from opencwm.trace.stream import EVENT_SPECIAL, Special, without_marker

DEAD = -1
_HEX = b"0123456789abcdef"
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
_PLAIN = bytes(byte for byte in range(0x20, 0x80) if byte not in b'"\\')
_MARKUP = re.compile(rb"<\|.*\|>")
"""Special tokens, the unused ones of a large vocabulary included."""
_LINE_END = re.compile("\r\n|\r|\n")


class Vocabulary(Hashable, Protocol):
    """What this module needs of a tokenizer."""

    @property
    def special(self) -> Mapping[str, int]: ...

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str) -> list[int]: ...

    @property
    def token_bytes(self) -> Sequence[bytes]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonTable:
    """The automaton of LOCALS and VALUE over one vocabulary."""

    following: np.ndarray
    """(states, vocabulary) -> state after the token, or `DEAD`; int8."""
    masks: tuple[bytes, ...]
    """`GrammarState.allowed` of each state, for the tokens that are text."""
    automaton: "ByteAutomaton"
    texts: tuple[bytes, ...]
    """What each token stands for; b"" for those that are no text."""
    closing: tuple[Mapping[bytes, tuple[int, ...]], ...]
    """Per state: what a name would end with -> the tokens that end it so (and close its quotes)."""
    locals_start: int
    locals_end: int
    value_start: int
    value_end: int


class ByteAutomaton:
    """Transitions over bytes, grown state by state."""

    def __init__(self) -> None:
        self.rows: list[list[int]] = []
        self.in_name: set[int] = set()
        """States between a name's opening and closing quotes."""

    def state(self) -> int:
        self.rows.append([DEAD] * 256)
        return len(self.rows) - 1

    def edge(self, source: int, allowed: bytes, target: int) -> None:
        for byte in allowed:
            self.rows[source][byte] = target

    def names(self, state: int, begun: bytes, text: bytes) -> tuple[list[bytes], bytes]:
        """The names that `text` closes, and the one it leaves open, where `begun` is open before it."""
        closed = []
        for byte in text:
            after = self.rows[state][byte]
            if state in self.in_name and after in self.in_name:
                begun += bytes([byte])
            elif state in self.in_name:
                closed.append(begun)
                begun = b""
            state = after
        return closed, begun

    def path(self, source: int, text: bytes, target: int) -> None:
        """A chain of new states that reads exactly `text`."""
        for byte in text[:-1]:
            after = self.state()
            self.edge(source, bytes([byte]), after)
            source = after
        self.edge(source, text[-1:], target)

    def escape(self, source: int, shorthands: bytes, target: int, *, ascii_too: bool) -> None:
        r"""`\n`, `\u00e9`: what may follow a backslash. Names have no escaped ASCII, so a name has one spelling."""
        backslash, first, second, third, fourth = (self.state() for _ in range(5))
        self.edge(source, b"\\", backslash)
        self.edge(backslash, shorthands, target)
        self.edge(backslash, b"u", first)
        for digit, after in ((first, second), (second, third), (third, fourth), (fourth, target)):
            self.edge(digit, _HEX, after)
        if not ascii_too:
            zero, zeros = self.state(), self.state()
            self.edge(first, b"0", zero)
            self.edge(zero, _HEX, third)
            self.edge(zero, b"0", zeros)
            self.edge(zeros, b"89abcdef", fourth)

    def string(self, source: int, target: int) -> None:
        """The rest of a JSON string after its opening quote, up to and including the closing one."""
        self.edge(source, _PLAIN, source)
        self.escape(source, b'"\\bfnrt', source, ascii_too=True)
        self.edge(source, b'"', target)


def json_automaton() -> tuple[ByteAutomaton, tuple[int, int, int, int]]:
    """The automaton, and where LOCALS and VALUE start and end in it."""
    auto = ByteAutomaton()
    key_start, key = auto.state(), auto.state()
    auto.edge(key_start, _LETTERS, key)
    auto.escape(key_start, b"", key, ascii_too=False)
    auto.edge(key, _LETTERS + b"0123456789", key)
    auto.escape(key, b"", key, ascii_too=False)
    auto.in_name.update(range(len(auto.rows)))
    start, opened, text, after, end = (auto.state() for _ in range(5))
    auto.edge(start, b"{", opened)
    auto.edge(opened, b"}", end)
    auto.edge(opened, b'"', key_start)
    auto.path(key, b'": "', text)
    auto.string(text, after)
    auto.path(after, b', "', key_start)
    auto.edge(after, b"}", end)
    value_start, value, value_end = (auto.state() for _ in range(3))
    auto.edge(value_start, b'"', value)
    auto.string(value, value_end)
    return auto, (start, end, value_start, value_end)


@lru_cache(maxsize=4)
def json_table(tokenizer: Vocabulary) -> JsonTable:
    """The automaton run over every token of the vocabulary, from every state."""
    auto, marks = json_automaton()
    bytes_table = np.array([*auto.rows, [DEAD] * 256], dtype=np.int8)  # the last row serves index -1: dead stays dead
    texts = [b"" if _MARKUP.fullmatch(text) else text for text in tokenizer.token_bytes]
    following = np.repeat(np.arange(len(auto.rows), dtype=np.int8)[:, None], len(texts), axis=1)
    lengths = np.array([len(text) for text in texts])
    following[:, lengths == 0] = DEAD
    for place in range(int(lengths.max())):
        reaching = np.flatnonzero(lengths > place)
        column = np.array([texts[token][place] for token in reaching])
        following[:, reaching] = bytes_table[following[:, reaching], column]
    closing = tuple(closing_tokens(auto, state, texts, following[state]) for state in range(len(auto.rows)))
    masks = tuple((row != DEAD).astype(np.uint8).tobytes() for row in following)
    locals_start, locals_end, value_start, value_end = marks
    return JsonTable(
        following=following,
        masks=masks,
        automaton=auto,
        texts=tuple(texts),
        closing=closing,
        locals_start=locals_start,
        locals_end=locals_end,
        value_start=value_start,
        value_end=value_end,
    )


def closing_tokens(
    auto: ByteAutomaton, state: int, texts: Sequence[bytes], following: np.ndarray
) -> dict[bytes, tuple[int, ...]]:
    """`JsonTable.closing` of one state. A token that closes two names (no tokenizer has one) is taken out."""
    found: dict[bytes, list[int]] = {}
    for token in np.flatnonzero(following != DEAD).tolist():
        if b'"' not in texts[token]:
            continue
        closed, _ = auto.names(state, b"", texts[token])
        if len(closed) > 1:
            following[token] = DEAD
        elif closed:
            found.setdefault(closed[0], []).append(token)
    return {name: tuple(tokens) for name, tokens in found.items()}


@dataclass(slots=True)
class TrieNode:
    """After some tokens of a line: what may follow."""

    following: dict[int, "TrieNode"] = field(default_factory=dict)
    is_end: bool = False
    """The line may end here."""


@lru_cache(maxsize=256)
def source_trie(context: str, tokenizer: Vocabulary) -> TrieNode:
    """The lines of the context that are not blank, as the renderer writes them."""
    root = TrieNode()
    for line in dict.fromkeys(without_marker(line) for line in _LINE_END.split(context)):
        if not line.strip():
            continue
        node = root
        for token in tokenizer.encode(line + "\n"):
            node = node.following.setdefault(token, TrieNode())
        node.is_end = True
    return root


class TraceGrammar:
    """A `protocols.Grammar`: the frames that may follow `context` and the frame tokens already in `prefix`.

    `prefix` may end anywhere, also in the middle of a frame: forcing an event is a prefix that ends with its token.
    """

    def __init__(self, context: str, tokenizer: Vocabulary, *, prefix: Sequence[int] = ()) -> None:
        self.table = json_table(tokenizer)
        self.trie = source_trie(context, tokenizer)
        self.vocab_size = tokenizer.vocab_size
        self.special = {
            special: tokenizer.special[special.key] for special in Special if special.key in tokenizer.special
        }
        self.events = {self.special[special]: event for event, special in EVENT_SPECIAL.items()}
        self.prefix = tuple(prefix)
        frame_sep, end = self.special[Special.FRAME_SEP], self.special[Special.END_OF_TEXT]
        call = self.special[Special.CALL_SEP]
        self.event_masks = {
            "start": self.only([call]),
            "open": self.only([*self.events]),
            "left": self.only([call, end]),
        }
        self.locals_end_mask = self.only([self.special[Special.ACTION_SEP]])
        self.value_end_mask = self.only([frame_sep])
        self.end_mask = self.only([end])

    def start(self) -> "TraceState":
        """The state after the prefix; a DataError where that is outside the language."""
        state = TraceState(self)
        for index, token in enumerate(self.prefix):
            if not state.allows(token):
                raise DataError(f"token {index} after the context ({token}) is no part of a well-formed trace of it")
            state.accept(token)
        return state

    def only(self, tokens: Sequence[int]) -> bytes:
        mask = bytearray(self.vocab_size)
        for token in tokens:
            mask[token] = 1
        return bytes(mask)


class TraceState:
    """A `protocols.GrammarState`: a place in a frame."""

    def __init__(self, grammar: TraceGrammar) -> None:
        self.grammar = grammar
        self.place = "event"
        """`event`, `locals`, `action` (its separator is due), `source`, `value` or `end`."""
        self.event = ""
        self.json = 0
        self.node = grammar.trie
        self.names: set[bytes] = set()
        """Names that this LOCALS has given, as JSON spells them."""
        self.begun = b""
        """The name that is being written."""
        self.num_open: int | None = None
        """Activations that are open; None before the first frame."""

    def allowed(self) -> bytes:
        grammar = self.grammar
        if self.place == "event":
            return grammar.event_masks["start" if self.num_open is None else "open" if self.num_open else "left"]
        if self.place == "action":
            return grammar.locals_end_mask
        if self.place == "source":
            after = [self._after_source()] if self.node.is_end else []
            return grammar.only([*self.node.following, *after])
        if self.place == "end":
            return grammar.end_mask
        if self.json == grammar.table.locals_end:
            return grammar.locals_end_mask
        if self.json == grammar.table.value_end:
            return grammar.value_end_mask
        return self._without_repeats(grammar.table.masks[self.json])

    def accept(self, token: int) -> None:
        assert self.allows(token), f"token {token} may not follow here ({self.place})"
        table = self.grammar.table
        if self.place == "event":
            self._enter_frame(token)
        elif self.place == "action" or (self.place == "locals" and self.json == table.locals_end):
            self.place, self.node = "source", self.grammar.trie
        elif self.place == "source":
            if token in self.node.following:
                self.node = self.node.following[token]
            elif self.event in ("return", "exception"):
                self.place, self.json = "value", table.value_start
            else:
                self._leave_frame()
        elif self.place == "value" and self.json == table.value_end:
            self._leave_frame()
        elif self.place != "end":
            closed, self.begun = table.automaton.names(self.json, self.begun, table.texts[token])
            self.names.update(closed)
            self.json = int(table.following[self.json, token])

    def allows(self, token: int) -> bool:
        allowed = self.allowed()
        return token < len(allowed) and bool(allowed[token])

    def _without_repeats(self, mask: bytes) -> bytes:
        """The mask without the tokens that would give one of this frame's names again."""
        closing = self.grammar.table.closing[self.json]
        if not self.names or not closing:
            return mask
        endings = [name.removeprefix(self.begun) for name in self.names if name.startswith(self.begun)]
        repeating = [token for ending in endings for token in closing.get(ending, ())]
        if not repeating:
            return mask
        kept = bytearray(mask)
        for token in repeating:
            kept[token] = 0
        return bytes(kept)

    def _after_source(self) -> int:
        valued = self.event in ("return", "exception")
        return self.grammar.special[Special.ARG_SEP if valued else Special.FRAME_SEP]

    def _enter_frame(self, token: int) -> None:
        if token == self.grammar.special[Special.END_OF_TEXT]:
            self.place = "end"
            return
        self.event = self.grammar.events[token]
        self.names = set()
        shows_locals = self.event in ("call", "line")
        self.place, self.json = ("locals", self.grammar.table.locals_start) if shows_locals else ("action", 0)

    def _leave_frame(self) -> None:
        self.place = "event"
        change = {"call": 1, "return": -1}.get(self.event, 0)
        self.num_open = (self.num_open or 0) + change

"""Text to token ids and back: byte-level BPE with CWM's special tokens.

    texts --Tokenizer.train--> folder (tokenizer.json, tokenizer_config.json) --Tokenizer.load--> encode, decode

The same class trains our small tokenizers and loads any folder that holds a byte-level BPE `tokenizer.json` with CWM's
special tokens, the released Llama-3 based one included; ids are looked up by string. `encode` knows ordinary
characters only: a text that looks like a special token is never turned into one. Hugging Face `tokenizers` keeps that
switch (`encode_special_tokens`) out of the file, so it is set again after every load; `transformers` reads it from
`tokenizer_config.json` (`split_special_tokens`).

Not here: chat templates, and where special tokens go in a trace (`trace/tokens.py`).

Deviation from Llama 3: how a small vocabulary splits code, see `PATTERN`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from opencwm.errors import ConfigError
from opencwm.trace.stream import Special, split_specials

try:
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers
except ImportError as exc:
    raise ConfigError("the tokenizers package is missing", fix="pip install 'opencwm[model]'") from exc

REQUIRED = (
    Special.BEGIN_OF_TEXT,
    Special.END_OF_TEXT,
    Special.FRAME_SEP,
    Special.ACTION_SEP,
    Special.RETURN_SEP,
    Special.CALL_SEP,
    Special.LINE_SEP,
    Special.EXCEPTION_SEP,
    Special.ARG_SEP,
    Special.TRACE_CONTEXT_START,
)
"""A tokenizer without one of these cannot hold a trace. The others are for padding and chat."""

CACHED_CHARS = 200
"""Texts up to this long are remembered by `encode`: source lines and small fields come again and again."""
CACHED_TEXTS = 1 << 16

_FIRST_WORDS = "return|if|elif|while|for|def|not|raise|assert|del|with|class|lambda|yield|except|import|from|global"
_BETWEEN_WORDS = "in|not in|is not|is|and|or|if|else|for|as|import"
_OPERATORS = r"\*\*=|//=|<<=|>>=|==|!=|<=|>=|\+=|-=|\*=|/=|%=|&=|\|=|\^=|:=|->|\*\*|//|<<|>>|[-+*/%<>&|^@=]"
_BUILTINS = (
    "abs|all|any|bool|chr|dict|divmod|enumerate|float|frozenset|int|isinstance|len|list|max|min|ord|pow|print|range|"
    "repr|reversed|round|set|sorted|str|sum|tuple|zip"
)
_LETTER = r"[\p{L}_]"
_NAME = r"[\p{L}_][\p{L}\p{N}_]*"
_NEXT_IS_NAME = rf'(?={_NAME}": ")'

_LONGEST_LITERAL = 1000
"""Characters of a literal that is spelt; a longer one is split like code, so that no line takes quadratic time."""


def _literals(quote: str, content: str) -> str:
    """A run of string literals with its brackets, as in `['a', 'b']`; never over the end of a line."""
    one = rf"{quote}(?:{content}){{0,{_LONGEST_LITERAL}}}{quote}"
    return rf"[\[({{]?{one}(?:(?:, |: ){one})*[\])}}]?"


def _pattern(name_in_locals: str) -> str:
    return "|".join(
        [
            # LOCALS and VALUE fields. Only those start with a quote or a brace, so \A and \z tell them from source.
            r'\A"(?:None|True|False)"\z|\A\{\}\z|\A"|"\z',
            rf'\A\{{"{_NEXT_IS_NAME}',
            name_in_locals,
            rf'": "(?:\.\."(?:, "|\}}\z))?|", "{_NEXT_IS_NAME}|"\}}\z',
            # The start of a line: its indentation, together with the word that opens the statement.
            rf"(?:\A|(?<=\n))[ \t]*(?:(?:{_FIRST_WORDS}) |(?:else|try|finally):\n|(?:break|continue|pass|return)\n)",
            r"(?:\A|(?<=\n))[ \t]+|  # << START_OF_TRACE",
            # String literals: one piece per run, taken apart by _IN_LITERALS. No unescaped " within '...', because
            # that quote would be the end of a JSON field.
            r'"""',
            _literals(r"\\\"", r'[^"\\\n]|\\[^"\n]'),
            _literals("'", r"""[^'"\\\n]|\\[^\n]"""),
            _literals('"', r'[^"\\\n]|\\[^\n]'),
            # Code: spaces belong to operators and keywords, so that a name is the same token wherever it stands.
            rf" (?:{_OPERATORS}|{_BETWEEN_WORDS}) (?:not )?|(?:{_FIRST_WORDS}) (?=\S)",
            rf"\.{_LETTER}+\(|(?:{_BUILTINS})\(| ?{_LETTER}+|\p{{N}}",
            r"(?:\[\]|\{\}|\(\))(?::?\n)?|[\])}]+, [\[({]+|[\])}]+:?\n?|\[::-?|[\[({]+|[,:](?: (?! )|\n)?|\n",
            r"[^\S\n]+|[^\s\p{L}\p{N}]",
        ]
    )


PATTERN = _pattern(rf'{_NAME}(?=": ")')
"""How text is split before BPE; no token crosses a split. One physical line is split the same way in the context and
in a frame, so that copying it is copying tokens. A name is one piece everywhere; letters inside quotes stand alone
(the model edits strings letter by letter), and so do digits."""
PATTERN_FUSED = _pattern(rf'{_NAME}": "(?:\.\."(?:, "|\}}\z))?')
"""The same, but a name in LOCALS may be one token with what follows it (`x": "..", "`): fewer tokens per frame, more
of the vocabulary spent on names."""
_IN_LITERALS = "|".join(
    [
        # Markup with quotes of its own stays whole.
        rf'\A"(?:None|True|False)"\z|\A(?:{_NAME})?": "(?:\.\."(?:, "|\}}))?\z|\A(?:\{{"|", "|"\}})\z',
        r"""\A[\[({]?(?:'|\\?")|'(?:, |: )'|\\"(?:, |: )\\"|"(?:, |: )"|\\\"""",
        r"""[^'"](?=[^'"]*['"])""",
    ]
)
"""Applied to each piece of the first split: whatever stands before a quote in a run of literals stands alone."""


class Tokenizer:
    def __init__(self, inner: tokenizers.Tokenizer, *, name: str = "this tokenizer") -> None:
        inner.encode_special_tokens = True
        inner.no_padding()
        inner.no_truncation()
        self._inner = inner
        self._bytes = _token_bytes(inner, name)
        self.special: Mapping[str, int] = MappingProxyType(_special_ids(inner, name))
        """Token id by the special token's string without its bars: `special["frame_sep"]`."""
        self._remembered = lru_cache(maxsize=CACHED_TEXTS)(self._encode)

    @classmethod
    def load(cls, folder: str | Path) -> "Tokenizer":
        """The tokenizer of a model folder; a ConfigError where it has none, or one that cannot hold a trace."""
        path = Path(folder) / "tokenizer.json"
        if not path.is_file():
            raise ConfigError(f"{folder} is not a tokenizer folder: it has no tokenizer.json")
        try:
            inner = tokenizers.Tokenizer.from_file(str(path))
        except Exception as exc:  # the library raises bare Exception for every fault of the file
            raise ConfigError(f"{path} is not a tokenizer that can be read: {exc}") from exc
        return cls(inner, name=str(path))

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, *, pattern: str = PATTERN) -> "Tokenizer":
        """A new vocabulary of at most `vocab_size` tokens, from rendered traces (`render_text`) or their fields."""
        smallest = len(Special) + 256
        if vocab_size < smallest:
            raise ConfigError(f"a vocabulary of {vocab_size} tokens is too small: bytes and markup need {smallest}")
        inner = tokenizers.Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated"),
                pre_tokenizers.Split(tokenizers.Regex(_IN_LITERALS), behavior="isolated"),
                pre_tokenizers.Split(tokenizers.Regex(r"\p{N}"), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[special.value for special in Special],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        inner.train_from_iterator(_ordinary(texts), trainer)
        return cls(inner)

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, so that `load` and `transformers.AutoTokenizer` agree."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._inner.save(str(folder / "tokenizer.json"))
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": Special.BEGIN_OF_TEXT.value,
            "eos_token": Special.END_OF_TEXT.value,
            "pad_token": Special.PAD.value,
            "split_special_tokens": True,
            "clean_up_tokenization_spaces": False,
        }
        if Special.PAD.key not in self.special:
            del config["pad_token"]
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @property
    def vocab_size(self) -> int:
        """One more than the largest token id: the rows that an embedding needs."""
        return len(self._bytes)

    @property
    def pad_id(self) -> int:
        """What fills a row: any token does where the tokenizer has none for it, as CWM's has not, since padding is
        never trained on."""
        return self.special.get(Special.PAD.key, self.special[Special.END_OF_TEXT.key])

    @property
    def token_bytes(self) -> Sequence[bytes]:
        """What each token id stands for; special tokens as the bytes of their strings."""
        return self._bytes

    @property
    def digest(self) -> str:
        """Equal for tokenizers that give the same tokens: SHA-256 of all that they are made of."""
        return hashlib.sha256(self._inner.to_str().encode("utf-8")).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Ids of the ordinary characters of `text`, which has no lone surrogate."""
        return list(self._remembered(text) if len(text) <= CACHED_CHARS else self._encode(text))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens written out, bytes that are not UTF-8 replaced."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Sequence[int]) -> bytes:
        return b"".join([self._bytes[token] for token in ids])

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._inner.encode(text, add_special_tokens=False).ids)

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_json, (self._inner.to_str(),)


def _from_json(text: str) -> Tokenizer:
    return Tokenizer(tokenizers.Tokenizer.from_str(text))


def _ordinary(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for _, piece in split_specials(text):
            if not isinstance(piece, Special):
                yield piece


def _special_ids(inner: tokenizers.Tokenizer, name: str) -> dict[str, int]:
    found = {special: inner.token_to_id(special.value) for special in Special}
    missing = [special.value for special in REQUIRED if found[special] is None]
    if missing:
        raise ConfigError(
            f"{name} lacks special tokens that a trace needs: {' '.join(missing)}",
            fix="use a tokenizer trained here, or CWM's own",
        )
    return {special.key: token for special, token in found.items() if token is not None}


def _token_bytes(inner: tokenizers.Tokenizer, name: str) -> list[bytes]:
    of_char = _byte_of_char()
    added = {token: entry.content for token, entry in inner.get_added_tokens_decoder().items()}
    vocabulary = inner.get_vocab(with_added_tokens=True)
    table = [b""] * (max(vocabulary.values()) + 1)
    for text, token in vocabulary.items():
        if token in added:
            table[token] = added[token].encode("utf-8")
            continue
        try:
            table[token] = bytes([of_char[char] for char in text])
        except KeyError as exc:
            raise ConfigError(f"{name} is not a byte-level BPE: its token {text!r} holds {exc.args[0]!r}") from exc
    return table


def _byte_of_char() -> dict[str, int]:
    """GPT-2's printable stand-ins for bytes: those that Latin-1 shows stand for themselves, the rest from U+0100 on."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in set(shown)]
    return {chr(byte): byte for byte in shown} | {chr(0x100 + i): byte for i, byte in enumerate(hidden)}

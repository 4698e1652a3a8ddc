import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from opencwm.errors import ConfigError
from opencwm.tokenizer import PATTERN, PATTERN_FUSED, Tokenizer
from opencwm.trace.stream import Special

SOURCE = '''
def clean(words, n=2):
    """Don't keep the short ones."""
    out = []
    for i, word in enumerate(words):
        if len(word) >= n and word not in ('it', 'of'):
            out.append(word.upper() + "-" + str(i))
    return {"kept": out, 'rest': [[1, -2], [3.5]], 'x1': None}

def main():  # << START_OF_TRACE
    return clean(['ab', 'it', "it's"], n=1)
'''
FIELDS = [
    "{}",
    '{"words": "[\'ab\', \'it\']", "n": "10"}',
    '{"words": "..", "n": "..", "out": "[]", "i": "0", "word": ".."}',
    '"None"',
    "\"{'kept': ['AB-0'], 'rest': [[1, -2], [3.5]]}\"",
    '"\\"it\'s\\""',
]
ODD = [
    "<|frame_sep|>",
    "a<|pad|>b<|begin_of_text|>",
    "é漢字🙂",
    "\x00\x7f\u2028\ufeff",
    "  x  ,y . 'a' !",
    "\t\r\n\n ",
    "",
]
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.fixture(scope="module", params=[PATTERN, PATTERN_FUSED], ids=["plain", "fused"])
def trained(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.train([SOURCE, *FIELDS] * 3, 700, pattern=request.param)


@pytest.fixture(scope="module")
def folder(trained: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer") / "new"
    trained.save(folder)
    return folder


def shown(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.decode([token]) for token in tokenizer.encode(text)]


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_texts_round_trip(trained, text):
    assert trained.decode(trained.encode(text)) == text


@pytest.mark.parametrize("text", [SOURCE, *FIELDS, *ODD])
def test_known_texts_round_trip(trained, text):
    ids = trained.encode(text)
    assert trained.decode(ids) == text
    assert trained.decode_bytes(ids) == text.encode() == b"".join(trained.token_bytes[token] for token in ids)


def test_every_token_is_known_by_its_bytes(trained):
    assert len(trained.token_bytes) == trained.vocab_size
    assert len(set(trained.token_bytes)) == trained.vocab_size
    for special in Special:
        assert trained.token_bytes[trained.special[special.key]] == special.value.encode()


def test_text_never_becomes_a_special_token(trained, folder):
    for tokenizer in (trained, Tokenizer.load(folder), pickle.loads(pickle.dumps(trained))):
        for special in Special:
            ids = tokenizer.encode(f"x{special.value}y")
            assert not set(ids) & set(tokenizer.special.values())
            assert tokenizer.decode(ids) == f"x{special.value}y"


def test_loading_gives_the_same_tokenizer(trained, folder):
    loaded = Tokenizer.load(folder)
    assert loaded.special == trained.special
    assert loaded.token_bytes == trained.token_bytes
    for text in [SOURCE, *FIELDS, *ODD]:
        assert loaded.encode(text) == trained.encode(text)


@pytest.fixture(scope="module")
def auto(folder: Path):
    transformers = pytest.importorskip("transformers")
    return transformers.AutoTokenizer.from_pretrained(folder)


def test_transformers_loads_the_folder_and_agrees(trained, auto):
    for text in [SOURCE, *FIELDS, *ODD]:
        ids = trained.encode(text)
        assert auto.encode(text, add_special_tokens=False) == ids
        assert auto(text)["input_ids"] == ids
        assert auto.decode(ids) == text
    for special in Special:
        assert auto.convert_tokens_to_ids(special.value) == trained.special[special.key]
    assert (auto.bos_token, auto.eos_token, auto.pad_token) == ("<|begin_of_text|>", "<|end_of_text|>", "<|pad|>")


@settings(max_examples=50)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_transformers_agrees_on_any_text(trained, auto, text):
    assert auto.encode(text, add_special_tokens=False) == trained.encode(text)


def test_every_digit_is_a_token_even_in_frequent_names():
    for pattern in (PATTERN, PATTERN_FUSED):
        tokenizer = Tokenizer.train(['{"x12": "..", "y3": ".."}', "x12 = y3\n"] * 50, 700, pattern=pattern)
        assert [token for token in shown(tokenizer, '{"x12": ".."}') if any(map(str.isdigit, token))] == ["1", "2"]


def test_every_digit_is_a_token(trained):
    for text in [SOURCE, *FIELDS, "x1234 = -56.78e9", '{"x12": "..", "y3": "99"}']:
        for token in shown(trained, text):
            assert len(token) == 1 or not any(char.isdigit() for char in token), token


def test_letters_in_quotes_stand_alone():
    # Every word is frequent in code, and is still spelt where it is in quotes.
    tokenizer = Tokenizer.train(["\n    out = total\n", "out", "total", "ab"] * 50, 900)
    for text, words in [
        ("f('total', 'out')\n", ["total", "out"]),
        ('x = "total"\n', ["total"]),
        ("\"['total', 'out']\"", ["total", "out"]),
        ("{\"out\": \"{'total': 'ab'}\"}", ["total", "ab"]),
        ('"\\"it\'s total\\""', ["total"]),
    ]:
        tokens = shown(tokenizer, text)
        for word in words:
            assert word not in tokens
            at = next(i for i in range(len(tokens)) if "".join(tokens[i:]).startswith(word))
            assert tokens[at : at + len(word)] == list(word)
    assert "total" in shown(tokenizer, '{"total": "1"}')
    assert "total" in shown(tokenizer, "    out = total\n")


def test_the_skeleton_of_a_frame_is_few_tokens():
    names = '{"xs": "..", "k": "..", "out": "..", "total": ".."}'
    line = "        for x in xs:\n"
    plain = Tokenizer.train([names, line] * 5, 700, pattern=PATTERN)
    fused = Tokenizer.train([names, line] * 5, 700, pattern=PATTERN_FUSED)
    unchanged = '": "..", "'
    assert shown(plain, names) == ['{"', "xs", unchanged, "k", unchanged, "out", unchanged, "total", '": ".."}']
    assert shown(fused, names) == ['{"', f"xs{unchanged}", f"k{unchanged}", f"out{unchanged}", 'total": ".."}']
    assert shown(plain, line) == shown(fused, line) == ["        for ", "x", " in ", "xs", ":\n"]


def test_a_line_has_the_same_tokens_in_the_context_and_in_a_frame(trained):
    lines = [line for line in SOURCE.splitlines(keepends=True) if "START_OF_TRACE" not in line]
    assert trained.encode("".join(lines)) == [token for line in lines for token in trained.encode(line)]


def test_training_is_deterministic_and_leaves_markup_out(tmp_path):
    stream = "".join(special.value + SOURCE for special in Special)
    for name in ("a", "b"):
        Tokenizer.train([stream], 700).save(tmp_path / name)
    assert (tmp_path / "a" / "tokenizer.json").read_bytes() == (tmp_path / "b" / "tokenizer.json").read_bytes()
    fields = Tokenizer.train([SOURCE] * len(Special), 700)
    assert Tokenizer.load(tmp_path / "a").token_bytes == fields.token_bytes


def test_the_vocabulary_has_at_most_the_asked_size():
    assert Tokenizer.train([SOURCE] * 9, 300).vocab_size == 300
    with pytest.raises(ConfigError, match="too small"):
        Tokenizer.train([SOURCE], 272)
    assert Tokenizer.train([SOURCE], 273).vocab_size == 273


def like_the_released_one(*, without: str = "") -> tokenizers.Tokenizer:
    """Llama 3's split and template, CWM's special tokens at the end of the vocabulary among reserved ones."""
    inner = tokenizers.Tokenizer(models.BPE(ignore_merges=True))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(LLAMA_3), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner.train_from_iterator(
        [SOURCE] * 5, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    specials = [special.value for special in Special if special.value != without]
    for i, special in enumerate(specials):
        inner.add_special_tokens([special, f"<|reserved_special_token_{i}|>"])
    inner.add_special_tokens(["<|not ASCII: ü|>"])
    bos = "<|begin_of_text|>"
    inner.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, inner.token_to_id(bos) or 0)]
    )
    return inner


def test_a_llama_3_based_tokenizer_loads_and_its_ids_are_found_by_string(tmp_path):
    inner = like_the_released_one()
    inner.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.special["frame_sep"] == inner.token_to_id("<|frame_sep|>") > 400
    assert tokenizer.vocab_size == inner.get_vocab_size()
    assert tokenizer.token_bytes[-1] == "<|not ASCII: ü|>".encode()
    for text in [SOURCE, *FIELDS, *ODD]:
        ids = tokenizer.encode(text)
        assert not set(ids) & set(tokenizer.special.values())
        assert tokenizer.decode(ids) == text
    tokenizer.save(tmp_path / "again")
    assert Tokenizer.load(tmp_path / "again").encode(SOURCE) == tokenizer.encode(SOURCE)


def test_settings_of_the_file_that_would_change_the_ids_are_switched_off(tmp_path, trained):
    trained.save(tmp_path)
    inner = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    inner.enable_padding(length=50)
    inner.enable_truncation(3)
    inner.save(str(tmp_path / "tokenizer.json"))
    for text in (SOURCE, "x"):
        assert Tokenizer.load(tmp_path).encode(text) == trained.encode(text)


def test_a_tokenizer_without_the_special_tokens_is_refused_by_name(tmp_path):
    like_the_released_one(without="<|arg_sep|>").save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match=r"tokenizer\.json lacks special tokens that a trace needs: <\|arg_sep\|>$"):
        Tokenizer.load(tmp_path)


def test_a_tokenizer_without_a_token_that_only_chat_needs_is_fine(tmp_path):
    like_the_released_one(without="<|pad|>").save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path)
    assert "pad" not in tokenizer.special
    assert tokenizer.pad_id == tokenizer.special["end_of_text"]
    tokenizer.save(tmp_path)
    assert "pad_token" not in json.loads((tmp_path / "tokenizer_config.json").read_text())


def test_a_folder_that_is_no_tokenizer_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"has no tokenizer\.json"):
        Tokenizer.load(tmp_path)
    for text in ("{", "{}", '{"version": "1.0", "model": {"type": "BPE"}}'):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(ConfigError, match="is not a tokenizer that can be read"):
            Tokenizer.load(tmp_path)


def test_a_tokenizer_that_is_not_byte_level_is_refused(tmp_path):
    inner = tokenizers.Tokenizer(models.WordLevel({"a b": 0, "[UNK]": 1}, unk_token="[UNK]"))
    inner.add_special_tokens([special.value for special in Special])
    inner.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match="not a byte-level BPE: its token 'a b' holds ' '"):
        Tokenizer.load(tmp_path)


def test_without_the_library_the_sentence_says_what_to_install():
    code = "import sys; sys.modules['tokenizers'] = None\nfrom opencwm.errors import ConfigError\n"
    code += "try:\n    import opencwm.tokenizer\nexcept ConfigError as exc:\n    print(exc.fix)"
    env = {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert ran.stdout == "pip install 'opencwm[model]'\n", ran.stderr

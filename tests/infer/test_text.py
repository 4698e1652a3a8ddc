import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencwm.infer.text import TextStream
from opencwm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["stop and go, über ✓"], 290)


def told(tokens, **options):
    stream = TextStream(TOKENIZER, **options)
    pieces = []
    for token in tokens:
        pieces.append(stream.push(token))
        if stream.is_stopped:
            return pieces, True
    pieces.append(stream.end())
    return pieces, stream.is_stopped


@given(st.text(alphabet="stop go✓üa\n"), st.lists(st.text(alphabet="stopü", min_size=1), max_size=3))
def test_text_goes_up_to_the_first_stop(text, stops):
    pieces, is_stopped = told(TOKENIZER.encode(text), stops=stops)
    ends = [text.find(stop) for stop in stops if stop in text]
    seen = "".join(pieces)
    assert is_stopped == bool(ends)
    assert text.startswith(seen)
    if not ends:
        assert seen == text
    assert not any(stop in seen for stop in stops)


@pytest.mark.parametrize(("includes", "expected"), [(False, "a "), (True, "a stop")])
def test_the_stop_text_is_told_only_if_asked_for(includes, expected):
    pieces, is_stopped = told(TOKENIZER.encode("a stop b"), stops=["stop"], includes_stop=includes)
    assert ("".join(pieces), is_stopped) == (expected, True)


def test_characters_come_whole():
    tokens = TOKENIZER.encode("✓ ✗")
    assert len(tokens) > 3
    pieces, _ = told(tokens)
    assert "".join(pieces) == "✓ ✗"
    assert not any("�" in piece for piece in pieces)


def test_half_a_character_at_the_end_is_replaced():
    tokens = TOKENIZER.encode("🜁")
    assert len(tokens) > 2
    assert "".join(told(tokens[:2])[0]) == "�"


def test_hidden_and_unknown_tokens_have_no_text():
    eot = TOKENIZER.special["eot_id"]
    assert told([eot, 100_000], hidden={eot})[0] == ["", "", ""]
    assert "".join(told([eot])[0]) == "<|eot_id|>"

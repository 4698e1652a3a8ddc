import io
import os
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencwm.data.lexemes import lexemes

LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
LIBRARY = Path(os.__file__).parent
FILES = [
    "textwrap.py",
    "decimal.py",
    "_pydecimal.py",
    "fractions.py",
    "ast.py",
    "re/_parser.py",
    "test/test_grammar.py",
]
FILES += ["test/test_string_literals.py", "test/test_unparse.py", "test/test_tokenize.py", "statistics.py", "typing.py"]


def standard_tokens(text):
    tokens, line = [], []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NEWLINE:
            if any(each.type != tokenize.STRING for each in line):
                tokens += [each.string for each in line]
            line = []
        elif token.type not in LAYOUT:
            line.append(token)
    return tokens


@pytest.mark.skipif(tokenize.tok_name.get(61) == "FSTRING_START", reason="3.12 cuts f-strings into parts")
@pytest.mark.parametrize("name", FILES)
def test_the_standard_library_gives_the_same_tokens_as_the_standard_tokenizer(name):
    path = LIBRARY / name
    if not path.exists():
        pytest.skip("this interpreter comes without it")
    text = path.read_text(encoding="utf-8")
    assert lexemes(text) == standard_tokens(text)


def test_docstrings_comments_and_layout_are_left_out():
    text = 'def f(x):\n    """Doc\n    string."""\n    # why\n    return (x +\n\n        1)  # what\n"trailing"'
    assert lexemes(text) == ["def", "f", "(", "x", ")", ":", "return", "(", "x", "+", "1", ")"]


@given(st.text())
def test_any_text_has_tokens(text):
    assert isinstance(lexemes(text), list)

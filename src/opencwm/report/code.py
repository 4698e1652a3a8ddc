"""Python source as lines of HTML, each with its own spans for colour."""

from collections.abc import Iterator
from html import escape

KINDS = (
    ("Token.Keyword", "k"),
    ("Token.Operator.Word", "k"),
    ("Token.Literal.String", "s"),
    ("Token.Literal.Number", "n"),
    ("Token.Comment", "c"),
    ("Token.Name.Function", "f"),
    ("Token.Name.Class", "f"),
    ("Token.Name.Builtin", "b"),
    ("Token.Name.Exception", "b"),
)
"""Pygments' kinds of token by their beginning, and the class of the page's style sheet."""


def highlighted_lines(code: str) -> Iterator[str]:
    """One HTML text per line of `code`, which may be anything: what is no Python is shown plainly."""
    from pygments import lex
    from pygments.lexers.python import PythonLexer

    line: list[str] = []
    for kind, text in lex(code, PythonLexer(stripnl=False, ensurenl=False)):
        name = next((name for start, name in KINDS if str(kind).startswith(start)), None)
        for i, part in enumerate(text.split("\n")):
            if i:
                yield "".join(line)
                line = []
            if part:
                line.append(f'<span class="{name}">{escape(part)}</span>' if name else escape(part))
    yield "".join(line)

import ast

import pytest

from opencwm.data.dedup import body_key, function_keys, program_key, source_key

SOURCE = '''
def pick(items: list[int], limit=3):
    """Pick some."""
    out: list[int] = []
    for item in items:
        if len(out) < limit:
            out.append(scale(item, factor=2))
    return sorted(out, key=lambda each: -each)


def scale(value, factor):
    return value * factor
'''

SAME = """
def choose(xs, n=3):  # another name for everything
    kept = []
    for x in xs:
        if len(kept) < n:
            kept.append(times(x, by=2))
    return sorted(kept, key=lambda y: -y)

def times(a, by):
    return a * by
"""


def test_names_layout_docstrings_comments_and_annotations_do_not_matter():
    assert source_key(SOURCE) == source_key(SAME)
    assert set(function_keys(SOURCE)) == set(function_keys(SAME))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("limit=3", "limit=4"),
        ("< limit", "<= limit"),
        ("sorted(out", "reversed(out"),
        ("out.append", "out.remove"),
        ("value * factor", "factor * value"),
        ("key=lambda", "reverse=lambda"),
        ("items: list[int], limit=3", "limit: list[int], items=3"),
    ],
)
def test_what_changes_the_program_changes_the_key(old, new):
    assert old in SOURCE
    assert source_key(SOURCE) != source_key(SOURCE.replace(old, new))


def test_a_rebound_builtin_is_a_name_like_any_other():
    assert source_key("def f(list):\n    return list") == source_key("def f(xs):\n    return xs")
    assert source_key("def f(x):\n    return list") != source_key("def f(x):\n    return dict")


def test_consistent_renaming_is_not_any_renaming():
    assert source_key("def f(a, b):\n    return a - b") != source_key("def f(a, b):\n    return b - a")


def test_names_bound_by_every_kind_of_statement_are_renamed():
    one = """
import math as m
from re import sub as s
def f(x):
    global g
    try:
        with x as y:
            g = m.pi
    except ValueError as e:
        raise e
    match x:
        case {"a": k, **rest} if (w := k):
            return rest, w
        case [first, *others] as whole:
            return s, first, others, whole
    class C(Exception):
        pass
    def inner():
        nonlocal y
        y = C
    return [z for z in y]
"""
    names = {"m": "mm", "s": "ss", "f": "ff", "x": "xx", "g": "gg", "y": "yy", "e": "ee", "k": "kk", "rest": "rr"}
    names |= {"w": "ww", "first": "fi", "others": "ot", "whole": "wh", "C": "CC", "inner": "ii", "z": "zz"}
    tree = ast.parse(one)
    for node in ast.walk(tree):
        for field in ("id", "arg", "name", "asname", "rest"):
            if isinstance(getattr(node, field, None), str) and not (isinstance(node, ast.alias) and field == "name"):
                setattr(node, field, names.get(getattr(node, field), getattr(node, field)))
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [names[name] for name in node.names]
    other = ast.unparse(tree)
    assert not set(names) & {node.id for node in ast.walk(ast.parse(other)) if isinstance(node, ast.Name)}
    assert source_key(one) == source_key(other)


def test_a_program_is_a_source_and_its_call():
    assert program_key(SOURCE, "pick([1, 2])") == program_key(SAME, "choose([1,2])")
    assert program_key(SOURCE, "pick([1, 2])") != program_key(SOURCE, "pick([1, 3])")
    assert program_key(SOURCE, None) == source_key(SOURCE)


def test_the_body_key_ignores_name_and_signature():
    def key(text):
        return body_key(ast.parse(text).body[0])

    assert key("def add(x: int, y: int):\n    '''Sum.'''\n    return x + y") == key(
        "def f(*, a, b=2):\n    return a + b"
    )
    assert key("def add(x, y):\n    return x + y") != key("def add(x, y):\n    return x + x")
    assert key("def f(n):\n    return n and f(n - 1)") == key("def g(k):\n    return k and g(k - 1)")

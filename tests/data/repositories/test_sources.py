"""The functions of a repository, and what stands behind a name in it."""

import ast

import pytest

from opencwm.data.repositories.context import gather
from opencwm.data.repositories.sources import Sources


def sources_of(files):
    return Sources(files, lambda file: files[file].encode())


PACKAGE = {
    "src/pack/__init__.py": "from ._core import first as one\nfrom .more import *\nfrom . import more\n",
    "src/pack/_core.py": "def first(x):\n    return x\n",
    "src/pack/more.py": "from pack import _core\nLIMIT = 3\ndef second(x):\n    return _core.first(x) + LIMIT\n",
    "tests/test_pack.py": "import pack\nimport pack.more as extra\nfrom pack import one, second\nimport os\n",
}


def found(name, file="tests/test_pack.py", module=None):
    sources = sources_of(PACKAGE)
    tree = sources.tree(file) if module is None else sources.module_named(sources.tree(file), module)
    place = None if tree is None else sources.find(tree, name)
    return None if place is None else (place[0].path, ast.unparse(place[1]).partition("\n")[0])


def test_names_are_followed_through_imports():
    first = ("src/pack/_core.py", "def first(x):")
    second = ("src/pack/more.py", "def second(x):")
    assert found("one") == first
    assert found("second") == second
    assert found("second", module="extra") == second
    assert found("one", module="pack") == first
    assert found("first", "src/pack/more.py", module="_core") == first
    assert found("LIMIT", module="extra") == ("src/pack/more.py", "LIMIT = 3")
    assert found("os") is None
    assert found("path", module="os") is None
    assert found("nothing") is None


def test_imports_in_a_circle_end():
    sources = sources_of({"a.py": "from b import x\nfrom b import *\n", "b.py": "from a import x\nfrom a import *\n"})
    assert sources.find(sources.tree("a.py"), "x") is None
    assert sources.find(sources.tree("a.py"), "y") is None


def test_functions_are_known_by_their_def_line():
    text = """\
class A:
    @property
    def value(self):
        def inner(*args, __private=1, **rest):
            yield 1
        return lambda: (yield)

async def later():
    pass

if True:
    def plain(a, /, b, *, c): return a
"""
    functions = sources_of({"f.py": text}).tree("f.py").functions
    assert {line: (each.qualname, each.suspends) for line, each in functions.items()} == {
        3: ("A.value", False),
        4: ("A.value.<locals>.inner", True),
        8: ("later", True),
        12: ("plain", False),
    }
    assert functions[4].parameters == {"args", "rest"}
    assert functions[12].parameters == {"a", "b", "c"}


def test_equal_functions_of_two_commits_have_equal_keys():
    def keys(text):
        return {each.key for each in sources_of({"f.py": text}).functions()}

    old = "def f(x):\n    y = x\n    return y\n"
    assert keys(old) == keys('import os\n\n\ndef f(a):\n    """Doc."""\n    b = a  # the same\n    return b\n')
    assert keys(old) != keys(old.replace("y = x", "y = x + 1"))
    assert keys(old) != keys(old.replace("def f", "def g"))


def test_what_is_not_python_has_no_tree_and_encodings_are_read():
    files = {"bad.py": b"print 1\n", "latin.py": b"# coding: latin-1\ndef f():\n    return '\xe9'\n", "notes.txt": b""}
    sources = Sources(files, files.__getitem__)
    assert sources.tree("bad.py") is None
    assert sources.tree("missing.py") is None
    assert sources.tree("notes.txt") is None
    assert sources.tree("latin.py").lines[2] == "    return 'é'"
    assert [each.qualname for each in sources.functions()] == ["f"]


def test_a_folder_s_files_without_its_environments(tmp_path):
    for name in ("a.py", "pack/b.py", ".venv/lib/site-packages/c.py", "node_modules/d.py", "notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("def f(): pass\n")
    sources = Sources.of_folder(tmp_path)
    assert [each.file for each in sources.functions()] == ["a.py", "pack/b.py"]
    assert [each.file for each in Sources.of_folder(tmp_path / "a.py").functions()] == ["a.py"]


CONSTANTS = """\
import re, os.path as p
from typing import (
    Any,
    List,
)

WORD = re.compile("x")
TABLE = {
    1: 1,
    2: 1,
    3: 1,
    4: 1,
    5: 1,
    6: 1,
    7: 1,
    8: 1,
    9: 1,
    10: 1,
    11: 1,
}
try:
    import fast
except ImportError:
    fast = None


class Base:
    kind = "base"

    def name(self) -> "str":
        '''Its name.'''
        return self.kind


class Thing(Base, metaclass=type):
    # a comment
    LIMIT: int = 3

    @staticmethod
    @helper
    def check(x: Any, *, y=TABLE) -> bool:
        return x

    def run(self):
        '''
        >>> Thing().run()
        '''

        # what it does
        found = WORD.search(self.text(), fast)
        return found or self.check(TABLE) or Other.MAX or Error

    def text(self):
        global WORD
        return p


class Error(Exception): pass


class Other:
    MAX = 1
    LEFT_OUT = 2
"""


@pytest.fixture
def thing():
    lines = CONSTANTS.split("\n")
    numbers = [n for n, line in enumerate(lines, 1) if "def run(self)" in line or line.strip().startswith("found =")]
    quoted = {("thing.py", n): lines[n - 1] for n in numbers}

    def context(max_chars=10**6, ran=()):
        return gather(sources_of({"thing.py": CONSTANTS}), quoted, ran, ("thing.py", numbers[0]), max_chars=max_chars)

    return context


def test_a_context_holds_functions_whole_and_the_rest_in_brief(thing):
    assert (
        thing()
        == """
# thing.py
import re
WORD = re.compile("x")
TABLE = ...
try:
    import fast
except ImportError:
    fast = None

class Base:
    ...

class Thing(Base, metaclass=type):
    LIMIT: int = 3
    @staticmethod
    @helper
    def check(x: Any, *, y=TABLE) -> bool: ...

    def run(self):  # << START_OF_TRACE

        # what it does
        found = WORD.search(self.text(), fast)
        return found or self.check(TABLE) or Other.MAX or Error

    def text(self): ...

class Error(Exception): pass

class Other:
    MAX = 1
"""
    )


def test_what_ran_is_whole(thing):
    line = CONSTANTS.split("\n").index("        return p") + 1
    text = thing(ran=[("thing.py", line)])
    assert "    def text(self):\n        global WORD\n        return p\n" in text
    assert "import os.path as p" in text


def test_a_context_that_does_not_fit_is_none(thing):
    shortest = min(size for size in range(0, 600, 10) if thing(size) is not None)
    assert len(thing(shortest)) <= shortest
    assert "found = WORD" in thing(shortest)
    assert thing(shortest - 10) is None

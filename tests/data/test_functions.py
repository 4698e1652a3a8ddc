import pytest

from opencwm.data.functions import Harvested, harvest, load_harvest, save_harvest
from opencwm.errors import ConfigError, DataError

LIBRARY = '''
"""A library."""
import math
import os
import re as regex
from collections.abc import Iterable
from functools import lru_cache

LIMIT = 10
WORD = regex.compile("[a-z]+")
CACHE = {}
SEEN: list = []


def clamp(x, low=0):
    """Clamp.

    >>> clamp(5)
    5
    >>> clamp(-3, low=-1)
    -1
    >>> clamp(LIMIT)
    10
    """

    # the limit is the module's
    return max(low, min(helper(x), LIMIT))


def helper(x):
    return math.floor(x)


def words(text):
    return WORD.findall(text)


def cached(key):
    CACHE[key] = 1
    return key


def noted(key):
    SEEN.append(key)
    return key


def reads(path):
    return open(path).read()


def imports_inside(x: Iterable):
    from math import floor
    return floor(x)


def imports_the_world_inside(x):
    import os
    return x


def home(name):
    return os.path.join("~", name)


def home_behind_helper(name):
    return home(name) + "/"


@lru_cache
def decorated(x):
    return x


def counts(n):
    yield n


def uncalled(x):
    return x + 1


def counter(step):
    global LAST
    LAST = step
    return LAST


def missing(x):
    return x + NOT_THERE


def main(x):
    return x


def is_even(n):
    return n == 0 or is_odd(n - 1)


def is_odd(n):
    return n != 0 and is_even(n - 1)


def example(x):
    """
    >>> def twice(x):
    ...     return x * 2
    >>> twice(21)
    42
    """
    return x


if True:
    def conditional(x):
        return x
'''

TESTS = """
import lib
from lib import words as w, is_even, cached, noted, reads, home_behind_helper, decorated, counts, missing, main
import unittest

CASES = [("a b", ["a", "b"]), ("", [])]


class LibTest(unittest.TestCase):
    def test_words(self):
        for text, expected in CASES:
            self.assertEqual(w(text), expected)
        for text, expected in [("one-two", ["one", "two"])]:
            self.assertEqual(w(text), expected)

    def test_rest(self):
        value = 4
        self.assertTrue(is_even(value))
        self.assertTrue(lib.is_even(6))
        self.assertTrue(is_even(self.size))
        cached("k"), noted("k"), reads("f"), home_behind_helper("me"), decorated(1), counts(2), missing(3), main(4)
        lib.imports_inside(2.5), lib.imports_the_world_inside(1)
        lib.conditional(1), lib.counter(1)
        for n in (10, 11):
            is_even(n)

    def test_local(self):
        def add(a, b):
            return a + b

        self.assertEqual(add(1, 2), 3)
"""


@pytest.fixture
def found(tmp_path):
    (tmp_path / "lib.py").write_text(LIBRARY)
    (tmp_path / "test_lib.py").write_text(TESTS)
    return {function.qualname: function for function in harvest([str(tmp_path)])}


def run(function: Harvested, call):
    namespace = {}
    exec(function.source, namespace)
    return eval(call, namespace)


def test_pure_functions_with_literal_calls_are_found_and_no_others(found):
    assert set(found) == {"clamp", "words", "imports_inside", "decorated", "is_even", "twice", "add"}


def test_calls_come_from_doctests_tests_tables_and_single_assignments(found):
    assert found["clamp"].calls == ("clamp(5)", "clamp(-3, low=-1)")
    assert found["words"].calls == ("words('a b')", "words('')", "words('one-two')")
    assert found["is_even"].calls == ("is_even(4)", "is_even(6)", "is_even(10)", "is_even(11)")
    assert found["twice"].calls == ("twice(21)",)
    assert found["add"].calls == ("add(1, 2)",)


def test_a_source_stands_on_its_own(found):
    results = {name: [run(each, call) for call in each.calls] for name, each in found.items()}
    assert results == {
        "clamp": [5, -1],
        "words": [["a", "b"], [], ["one", "two"]],
        "imports_inside": [2],
        "decorated": [1],
        "is_even": [True, True, True, False],
        "twice": [42],
        "add": [3],
    }


def test_a_source_is_as_written_without_docstrings(found):
    assert found["clamp"].source == (
        "import math\nLIMIT = 10\n\n\ndef clamp(x, low=0):\n    # the limit is the module's\n"
        "    return max(low, min(helper(x), LIMIT))\n\n\ndef helper(x):\n    return math.floor(x)\n"
    )


def test_decorators_come_along(found):
    assert found["decorated"].source == (
        "from functools import lru_cache\n\n\n@lru_cache\ndef decorated(x):\n    return x\n"
    )


CLASSES = '''
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numbers import Number


class Shape:
    """A shape.

    >>> Shape("x").title()
    'X'
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def title(self):
        return pretty(self.name)


class Square(Shape):
    def __init__(self, side: Number):
        super().__init__("square")
        self.side = side

    def area(self, scale=1):
        return self.side ** 2 * scale


@dataclass
class Point:
    x: int
    y: int = 0

    def moved(self, dx):
        return Point(self.x + dx, self.y)


class Uncalled:
    def go(self, x):
        return x


class Handle:
    def __init__(self, path):
        self.file = open(path)

    def text(self, n):
        return self.file.read(n)


def pretty(text):
    return text.title()


def plain(x: Number) -> Number:
    return x
'''

USES = """
from shapes import Square, Point, Handle, plain

def test_it():
    square = Square(3)
    assert square.area() == 9
    assert square.area(scale=2) == 18
    assert Square(4).title() == "Square"
    point = Point(1, y=2)
    point = point.moved(2)
    assert Point(5).moved(1) == Point(6)
    assert square.area(unknown) and square._area(1) and other.area(2)
    Handle("x").text(1), plain(2).bit_length()
    assert plain(1) == 1
"""


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    (folder / "shapes.py").write_text(CLASSES)
    (folder / "test_shapes.py").write_text(USES)
    return {function.qualname: function for function in harvest([str(folder)])}


def test_a_class_comes_with_the_calls_of_its_methods(classes):
    assert {name: each.calls for name, each in classes.items()} == {
        "Shape": ("Shape('x').title()",),
        "Square": ("Square(3).area()", "Square(3).area(scale=2)", "Square(4).title()"),
        "Point": ("Point(5).moved(1)",),
        "plain": ("plain(2)", "plain(1)"),
    }
    results = {name: [str(run(each, call)) for call in each.calls] for name, each in classes.items()}
    assert results["Shape"] == ["X"]
    assert results["Square"] == ["9", "18", "Square"]
    assert results["Point"] == ["Point(x=6, y=0)"]


def test_annotations_need_not_exist_where_the_module_does_not_evaluate_them(classes):
    assert classes["plain"].source == (
        "from __future__ import annotations\n\n\ndef plain(x: Number) -> Number:\n    return x\n"
    )


PACKAGE = {
    "__init__.py": "from .core import total\n",
    "core.py": """
from __future__ import annotations
import re
from typing import Any
from . import text
from .numbers.checks import check, LIMIT
from .text import words as split_words
from pack.text import clean, Base


class Line(Base):
    def size(self, extra: Any = 0):
        return self.length() + extra


def total(xs: list[Nothing]) -> int:
    return sum(check(x) for x in xs if x < LIMIT)


def tidy(line):
    return re.sub("a", "b", clean(line))


def renamed(line):
    return split_words(line)


def through_module(line):
    return text.clean(line)


def clash(line):
    return helper(clean(line))


def helper(line):
    return line
""",
    "text.py": """
import re
from .core import LIMIT


class Base:
    def __init__(self, text):
        self.text = text

    def length(self):
        return len(clean(self.text))


def clean(line):
    return helper(re.sub(" +", " ", line))


def helper(line):
    return line.strip()


def words(line):
    return line.split()
""",
    "numbers/__init__.py": "",
    "numbers/checks.py": "from ..text import clean\nLIMIT = 10\n\ndef check(x):\n    return x if x > 0 else 0\n",
    "test_core.py": """
from pack.core import Line, clash, renamed, through_module, tidy
from pack import total, core

assert core.total([1, 20]) == 1
tidy("a  c"), renamed("a b"), through_module("a"), clash("x"), Line("a  b ").size(1)
""",
}


def test_what_a_function_imports_from_its_package_comes_along(tmp_path):
    for name, text in PACKAGE.items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = {each.qualname: each for each in harvest([str(tmp_path / "pack")])}
    assert {name: [run(each, call) for call in each.calls] for name, each in found.items()} == {
        "total": [1],
        "tidy": ["b c"],
        "Line": [4],
    }
    assert found["total"].source == (
        "from __future__ import annotations\nLIMIT = 10\n\n\ndef check(x):\n    return x if x > 0 else 0\n\n\n"
        "def total(xs: list[Nothing]) -> int:\n    return sum(check(x) for x in xs if x < LIMIT)\n"
    )
    assert found["tidy"].source.count("import re\n") == 1


def test_where_a_function_is_from_is_kept(found):
    assert (found["clamp"].module, found["clamp"].qualname) == ("lib", "clamp")


def test_a_folder_of_installed_packages_is_harvested_by_package(tmp_path):
    for name, licence in (("first", "MIT"), ("second", "GPL-3.0")):
        (tmp_path / f"{name}.py").write_text(
            f'def {name}(x):\n    """\n    >>> {name}(2)\n    """\n    return x + {len(name)}\n'
        )
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense: {licence}\n")
        (info / "RECORD").write_text(f"{name}.py,,\n{info.name}/METADATA,,\n")
    found = {(each.package, each.version, each.licence, each.qualname) for each in harvest([str(tmp_path)])}
    assert found == {("first", "1.0", "MIT", "first"), ("second", "1.0", "GPL-3.0", "second")}


def test_the_harvest_of_an_installed_package_names_version_and_licence():
    functions = list(harvest(["packaging"]))
    assert functions
    assert {each.package for each in functions} == {"packaging"}
    assert all(each.version and each.module.startswith("packaging") for each in functions)
    assert all("Apache" in each.licence or "BSD" in each.licence for each in functions)


def test_a_module_of_the_standard_library_can_be_named():
    functions = {each.qualname: each for each in harvest(["statistics"])}
    assert run(functions["median"], functions["median"].calls[0]) == 3.5


def test_a_place_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match="no_such_package"):
        list(harvest(["no_such_package"]))


def test_equal_functions_come_once(tmp_path):
    (tmp_path / "one.py").write_text("def f(x):\n    return x + 1\n\nf(1)\n")
    (tmp_path / "two.py").write_text("def g(y):\n    return y + 1\n\ng(2)\n")
    assert [each.qualname for each in harvest([str(tmp_path)])] == ["f"]


def test_a_file_that_is_not_python_is_passed_over(tmp_path):
    (tmp_path / "bad.py").write_text("def f(:\n")
    (tmp_path / "worse.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "good.py").write_text("def f(x):\n    return x + 1\n\nf(1)\n")
    assert [each.qualname for each in harvest([str(tmp_path)])] == ["f"]


def test_a_harvest_is_saved_and_loaded(tmp_path, found):
    path = tmp_path / "functions.jsonl"
    save_harvest(path, found.values())
    assert load_harvest(path) == list(found.values())
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DataError, match="line 7"):
        load_harvest(path)

import ast

import pytest

from opencwm.data.call_sites import call_text, observe
from opencwm.errors import ConfigError

LIBRARY = """
import functools


def join(xs, sep=",", *, last=None):
    return sep.join(xs) if last is None else sep.join(xs[:-1]) + last + xs[-1]


@functools.lru_cache
def power(base, exponent=2):
    return base ** exponent


def spread(*args, **kwargs):
    return helper(len(args))


def helper(n):
    return n


def takes(anything):
    return None


def counts(n):
    yield n


class Box:
    def put(self, x):
        return x
"""

TESTS = """
import os
import pytest
from lib import join, power, spread, takes, counts, Box


@pytest.fixture
def words():
    return [letter * 2 for letter in "abc"]


@pytest.mark.parametrize("base", [2, 3])
def test_power(base):
    assert power(base) == base ** 2
    assert power(base, 3) == 99  # a failing test counts as well


def test_join(words):
    join(words), join(words), join(words, last=" and "), join(["x"], ";")


def test_spread():
    spread(1, "a", key=True)
    takes(object()), takes([object()]), takes("a" * 1000), takes({"k": (1, None)}), takes(frozenset({1}))
    list(counts(3)), Box().put(1)


def test_end():
    power(7)
    os._exit(3)
"""

INSIDE = """
import os
import socket
import pytest
from lib import power


def test_where_it_runs():
    with pytest.raises(OSError):
        socket.socket().connect(("127.0.0.1", 9))
    with pytest.raises(OSError):
        open(__file__, "a")
    assert "SECRET_OF_THE_TEST" not in os.environ
    power(11)
"""


def functions_of(text):
    tree = ast.parse(text)
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "lib.py").write_text(LIBRARY)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_lib.py").write_text(TESTS)
    (folder / "tests" / "setup.cfg").write_text("[tool:pytest]\naddopts = --no-such-option\n")
    (folder / "script.py").write_text(
        "from lib import power\n\nfor n in range(4):\n    power(n)\nraise SystemExit(1)\n"
    )
    return folder


def calls_of(project, *targets, path=()):
    """By function, the calls that were seen."""
    found = observe([str(project / target) for target in targets], [project], path=path)
    lib = str((project / "lib.py").resolve())
    calls = {}
    for name, node in functions_of(LIBRARY).items():
        line = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        calls[name] = [call_text(node, arguments) for arguments in found.get((lib, line), ())]
    return {name: texts for name, texts in calls.items() if texts}


@pytest.fixture(scope="module")
def seen(project):
    return calls_of(project, "tests", path=[project])


def test_tests_show_what_functions_are_called_with(seen):
    assert seen["join"] == [
        "join(['aa', 'bb', 'cc'])",
        "join(['aa', 'bb', 'cc'], last=' and ')",
        "join(['x'], ';')",
    ]
    assert seen["power"] == ["power(2)", "power(2, 3)", "power(3)", "power(3, 3)", "power(7)"]
    assert seen["spread"] == ["spread(1, 'a', key=True)"]
    assert seen["helper"] == ["helper(2)"]


def test_values_that_cannot_be_written_down_are_left_out(seen):
    assert seen["takes"] == ["takes({'k': (1, None)})", "takes(frozenset({1}))"]
    assert "counts" not in seen


def test_tests_run_in_the_sandbox(project, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_TEST", "sesame")
    (project / "test_inside.py").write_text(INSIDE)
    assert calls_of(project, "test_inside.py") == {"power": ["power(11)"]}


def test_a_script_is_run_as_a_script(project):
    assert calls_of(project, "script.py") == {"power": ["power(0)", "power(1)", "power(2)", "power(3)"]}


def test_a_target_that_kills_itself_keeps_what_was_seen(project):
    (project / "dies.py").write_text("import os, lib\nlib.power(5)\nos.kill(os.getpid(), 9)\n")
    assert calls_of(project, "dies.py", "script.py")["power"][0] == "power(5)"


def test_a_target_that_does_not_exist_is_refused(project):
    with pytest.raises(ConfigError, match="no_tests"):
        observe([str(project / "no_tests")], [project])


@pytest.mark.parametrize(
    ("signature", "arguments", "call"),
    [
        ("a, b=2, c=3", {"a": "1", "b": "2", "c": "3"}, "f(1)"),
        ("a, b=2, c=3", {"a": "1", "b": "2", "c": "4"}, "f(1, c=4)"),
        ("a, b=2, /, c=3", {"a": "1", "b": "2", "c": "4"}, "f(1, 2, 4)"),
        ("a=1, *rest", {"a": "1", "rest": "(2, 3)"}, "f(1, 2, 3)"),
        ("a, *, b", {"a": "1", "b": "None"}, "f(1, b=None)"),
        ("a, **named", {"a": "1", "named": "{'x': 2, 'not a name': 3}"}, "f(1, x=2)"),
        ("a=-1", {"a": "-1"}, None),
        ("a", {"a": "Point(x=1)"}, None),
        ("a", {"a": repr("x" * 300)}, None),
    ],
)
def test_calls_are_written_as_people_write_them(signature, arguments, call):
    function = functions_of(f"def f({signature}):\n    pass\n")["f"]
    assert call_text(function, tuple(arguments.items())) == call

import ast
import os
import subprocess
import sys

import pytest

from opencwm.data.inputs import MAX_ELEMENTS
from opencwm.data.typed_inputs import typed_calls


def values(signature, *known, count=8, seed="0"):
    """(args, named) of the calls made for a function with this signature."""
    calls = typed_calls(f"def f({signature}):\n    return 1\n", "f", known, count=count, seed=seed)
    return [eval(call, {"f": lambda *args, **named: (args, named)}) for call in calls]


def firsts(signature, *known, **settings):
    return [args[0] for args, _ in values(signature, *known, **settings)]


@pytest.mark.parametrize(
    ("annotation", "is_one"),
    [
        ("int", lambda v: type(v) is int),
        ("float", lambda v: type(v) is float),
        ("str", lambda v: type(v) is str),
        ("bytes", lambda v: type(v) is bytes),
        ("'list[int]'", lambda v: type(v) is list and all(type(item) is int for item in v)),
        ("typing.Sequence[str]", lambda v: type(v) is list and all(type(item) is str for item in v)),
        ("dict[str, list[bool]]", lambda v: all(type(k) is str and type(i) is list for k, i in v.items())),
        ("Tuple[int, str]", lambda v: len(v) == 2 and type(v[1]) is str),
        ("tuple[int, ...]", lambda v: type(v) is tuple and all(type(item) is int for item in v)),
        ("set[int]", lambda v: type(v) is set),
        ("FrozenSet[str]", lambda v: type(v) is frozenset),
        ("int | None", lambda v: v is None or type(v) is int),
        ("Optional[Callable | str]", lambda v: v is None or type(v) is str),
        ("Literal['a', 'b', 'c']", lambda v: v in "abc"),
        ("Annotated[int, 'positive']", lambda v: type(v) is int),
        ("Mapping", lambda v: type(v) is dict),
        ("List[Any]", lambda v: type(v) is list),
        ("range", lambda v: type(v) is range),
    ],
)
def test_annotations_give_values_of_their_types(annotation, is_one):
    made = firsts(f"x: {annotation}")
    assert len(made) >= 3
    assert all(is_one(value) for value in made), made


@pytest.mark.parametrize("signature", ["x", "x: Unknown", "x: Callable[[int], int]", "x: list[Unknown]", "*, x", ""])
def test_where_nothing_is_known_nothing_is_made(signature):
    assert values(signature) == []


def test_known_values_give_values_like_them():
    assert all(0 <= value <= 10 for value in firsts("x", "f(3)", "f(4)", count=6))
    assert any(value < 0 for value in firsts("x", "f(-3)"))
    texts = firsts("x", "f('ab')", "f('ba.b')")
    assert len(texts) == 8
    assert set("".join(texts)) <= set("ab.")
    records = firsts("x", "f({'name': 'x', 'age': 3})", "f({'name': 'y', 'age': 5})")
    assert all(list(record) == ["name", "age"] and type(record["age"]) is int for record in records)
    tables = firsts("x", "f({'a': [1]})", "f({'b': [], 'c': [2]})")
    assert all(type(rows) is list for table in tables for rows in table.values())
    assert all(len(pair) == 2 and type(pair[1]) is str for pair in firsts("x", "f((1, 'a'))"))


def test_values_stay_small():
    made = [*firsts("x: list[list[int]]", count=20), *firsts("x", f"f({list(range(100))})", count=20)]
    assert max(map(len, made)) <= MAX_ELEMENTS


def test_parameters_with_defaults_are_given_sometimes_and_others_always():
    made = values("a: int, b: int = 0, *rest: str, c: bool, d: str = ''", count=30)
    assert all(type(args[0]) is int and type(named["c"]) is bool for args, named in made)
    assert {"b" in named for _, named in made} == {"d" in named for _, named in made} == {True, False}
    assert any(len(args) > 1 for args, _ in made)
    assert all(len(args) == 1 for args, _ in values("a: int, b=None"))


def test_calls_are_new_and_different():
    assert values("x: bool", "f(True)") == [((False,), {})]
    calls = typed_calls("def f(x: int):\n    return x\n", "f", [], count=30, seed="0")
    assert len(calls) == len(set(calls)) == 30


def test_the_same_seed_gives_the_same_calls_in_every_process():
    code = (
        "from opencwm.data.typed_inputs import typed_calls\n"
        "print(typed_calls('def f(x: dict[str, set[str]], y: float = 0): ...', 'f', [], count=6, seed='3'))"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(made) == 1
    calls = ast.literal_eval(made.pop().decode())
    assert len(calls) == 6
    assert calls != typed_calls("def f(x: dict[str, set[str]], y: float = 0): ...", "f", [], count=6, seed="4")


def test_nothing_is_left_where_the_user_is(tmp_path):
    here, cache = tmp_path / "here", tmp_path / "cache"
    here.mkdir()
    source = "def f(x: str):\n    return x\n"
    code = (
        f"from opencwm.data.typed_inputs import typed_calls; print(typed_calls({source!r}, 'f', [], count=2, seed='0'))"
    )
    env = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([sys.executable, "-c", code], cwd=here, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "f(" in done.stdout
    assert not list(here.iterdir())

import json

import pytest

from opencwm.data.build import build
from opencwm.data.functions import load_harvest
from opencwm.data.recipe import Recipe
from opencwm.data.sources.functions import HARVEST, Functions
from opencwm.data.sources.generated import Generated
from opencwm.errors import ConfigError
from opencwm.trace.files import read_rows

LIBRARY = '''
def grade(points):
    """
    >>> grade(95)
    'A'
    """
    if points >= 90:
        return "A"
    if points >= 50:
        return "B"
    if points < 0:
        raise ValueError("negative")
    return "C"


def typed(words: list[str], upper: bool = False) -> int:
    total = 0
    for word in words:
        total += len(word) if upper else 1
    return total


def unknown(x):
    if x > 3:
        return x
    return -x


def tested(pairs, last=None):
    out = {}
    for key, value in pairs:
        out.setdefault(key, []).append(value)
    return out
'''
TESTS = """
import pytest
from lib import tested


@pytest.fixture
def pairs():
    return [(letter, n) for n, letter in enumerate("aba")]


def test_it(pairs):
    assert tested(pairs) == {"a": [0, 2], "b": [1]}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    (folder / "lib.py").write_text(LIBRARY)
    (folder / "test_lib.py").write_text(TESTS)
    return folder


def built(folder, out, say=None, **settings):
    source = Functions(weight=1.0, places=(str(folder),), **settings)
    recipe = Recipe(functions=source, generated=Generated(weight=0.0), num_programs=20, shard_size=20)
    build(recipe, out, say=say or (lambda line: None))
    return [row for path in sorted(out.glob("shard-*.parquet")) for row in read_rows(path)]


def calls_of(rows, name):
    """(kind, what was called) of a function's traces."""
    mine = [row for row in rows if row.source.endswith(f".{name}")]
    return [(row.source.partition(" ")[0], row.trace.frames[1].source_line.strip()) for row in mine]


@pytest.fixture(scope="module")
def rows(library, tmp_path_factory):
    tests = (str(library / "test_lib.py"),)
    return built(library, tmp_path_factory.mktemp("out") / "data", tests=tests)


def test_inputs_come_from_literal_calls_types_tests_and_mutation(rows):
    assert {row.source.partition(" ")[2] for row in rows} == {"lib.grade", "lib.typed", "lib.tested"}
    assert {kind for kind, _ in calls_of(rows, "typed")} <= {"typed", "mutated"}
    assert ("observed", "return tested([('a', 0), ('b', 1), ('a', 2)])") in calls_of(rows, "tested")
    assert {"harvested", "mutated"} & {kind for kind, _ in calls_of(rows, "grade")}


def test_about_six_inputs_are_kept_for_what_they_show(rows):
    grades = [row.trace for row in rows if row.source.endswith(".grade")]
    assert 3 <= len(grades) <= 6
    results = {trace.header["exception"] or trace.frames[-1].value for trace in grades}
    assert {"'A'", "'B'"} <= results or len(results) > 2
    assert len({trace.frames[1].source_line for trace in grades}) == len(grades)


def test_the_same_recipe_gives_the_same_rows(rows, library, tmp_path):
    again = built(library, tmp_path / "again", tests=(str(library / "test_lib.py"),))
    assert [(row.trace_id, row.trace) for row in again] == [(row.trace_id, row.trace) for row in rows]


def test_origins_can_be_left_out(library, tmp_path):
    rows = built(library, tmp_path / "out", typed=0, mutated=0)
    assert [row.source for row in rows] == ["harvested lib.grade"]


def test_a_model_writes_inputs_also_of_functions_that_nobody_calls(chat_server, library, tmp_path, monkeypatch):
    monkeypatch.setattr("opencwm.data.sources.functions.PORTION", 3)
    answers = {"def grade": "grade(-1)\ngrade(50)", "def unknown": "unknown(9)\nunknown(2)\nunknown('a')"}
    url, asked = chat_server(lambda message: next((text for key, text in answers.items() if key in message), "no idea"))
    said = []
    rows = built(library, tmp_path / "out", say=said.append, model=f"{url}#writer", typed=0, mutated=0)
    assert len(asked) == 4
    assert calls_of(rows, "unknown") == [
        ("asked", "return unknown(9)"),
        ("asked", "return unknown(2)"),
        ("asked", "return unknown('a')"),
    ]
    assert ("asked", "return grade(-1)") in calls_of(rows, "grade")
    assert "writer has written inputs of 3 of 4 functions" in said
    harvest = load_harvest(tmp_path / "out" / HARVEST)
    assert {each.qualname: each.asked for each in harvest}["grade"] == ("grade(-1)", "grade(50)")


def test_a_killed_harvest_does_not_ask_again(chat_server, library, tmp_path, monkeypatch):
    monkeypatch.setattr("opencwm.data.sources.functions.PORTION", 1)
    url, asked = chat_server(lambda message: "unknown(1)")
    source = Functions(weight=1.0, places=(str(library),), model=f"{url}#writer")

    def die(line):
        if "2 of" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source.prepare(tmp_path, die)
    assert not (tmp_path / HARVEST).exists()
    source.prepare(tmp_path, lambda line: None)
    prompts = [json.dumps(body["messages"]) for body in asked]
    assert len(prompts) == len(set(prompts)) == 4
    assert [path.name for path in tmp_path.iterdir()] == [HARVEST]


@pytest.mark.parametrize("setting", ["calls", "asked", "typed", "mutated"])
def test_settings_that_make_no_sense_are_refused(setting):
    with pytest.raises(ConfigError, match=rf"functions\.{setting} is -1"):
        Functions(**{setting: -1})


def test_tests_that_do_not_exist_are_refused(library, tmp_path):
    with pytest.raises(ConfigError, match="no tests at"):
        Functions(weight=1.0, places=(str(library),), tests=("nowhere",)).prepare(tmp_path, lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_inputs_of_a_model_are_not_trusted():
    assert Functions().is_trusted
    assert not Functions(model="http://localhost:1#m").is_trusted

"""Repositories as a source: suites of several commits, in the sandbox, cut into episodes."""

import dataclasses
import json
import random
from functools import partial

import pytest

from opencwm.data.build import build
from opencwm.data.recipe import Recipe
from opencwm.data.repositories import suite as suite_module
from opencwm.data.sources import repositories as module
from opencwm.data.sources.base import Job, Shard
from opencwm.data.sources.generated import Generated
from opencwm.data.sources.repositories import LIST, SUITES, Repositories
from opencwm.errors import ConfigError
from opencwm.sandbox import NamespaceSandbox
from opencwm.sandbox.kernel import Kernel
from opencwm.trace.files import read_rows, read_traces
from opencwm.trace.text import parse_text, render_text
from opencwm.trace.view import view

CALC = """\
def half(n):
    if n % 2:
        raise ValueError("odd")
    return n // 2


def halves(ns):
    found = []
    for n in ns:
        found.append(half(n))
    return found
"""
TESTS = """\
import os
import random
import socket

import pytest
from pack.calc import half, halves


def test_halves():
    assert halves([4, 6]) == [2, 3]


def test_odd():
    with pytest.raises(ValueError):
        halves([4, 3])


def test_chance():
    n = random.random()
    assert half(2) <= n + 1


def test_outside():
    files = os.path.exists("/etc/passwd"), os.path.exists({here!r})
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", 9), timeout=1)
    with open(__file__, "w") as file:
        file.write("mine")
    assert files == (False, False)
"""
BROKEN = "def half(n)\n"
OLD = CALC.replace("    return n // 2\n", "    m = n // 2\n    return m\n")
QUICK = "-q -p no:hypothesispytest -p no:timeout -p no:anyio"
SOURCE = Repositories(weight=1.0, commits=2, test_s=20.0, tests=QUICK)


@pytest.fixture(scope="module")
def repository(tmp_path_factory, git):
    """Four commits: an older `half`; no Python; a rewording of the present one; the present one."""
    if not NamespaceSandbox().enforced().is_isolated:
        pytest.skip("this machine cannot isolate")
    folder = tmp_path_factory.mktemp("repositories") / "calc"
    (folder / "src" / "pack").mkdir(parents=True)
    (folder / "tests").mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "LICENSE").write_text("Permission is hereby granted, free of charge, to any person")
    (folder / "tests" / "test_calc.py").write_text(TESTS.replace("{here!r}", repr(str(folder))))
    (folder / "src" / "pack" / "__init__.py").write_text("")
    commits = []
    for text in (OLD, BROKEN, "# reworded\n" + CALC.replace("found", "out"), CALC):
        (folder / "src" / "pack" / "calc.py").write_text(text)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "a commit")
        commits.append(git(folder, "rev-parse", "HEAD"))
    return folder, commits


@pytest.fixture(scope="module")
def dataset(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    source = dataclasses.replace(SOURCE, places=(str(repository[0]),))
    source.prepare(folder, lambda line: None)
    return folder, source, taken(source, folder)


def taken(source, folder):
    shard = Shard(folder=folder, number=0, count=1, max_frames=256)
    deal = source.deal(shard)
    work = deal(random.Random(0))
    assert deal(random.Random(0)) is None
    (takes,) = source.record([Job(work=work, keys=tuple(work.keys()[1]))], Recipe().options)
    return takes


def test_the_present_commit_gives_episodes_of_all_its_functions_and_earlier_ones_of_those_that_differ(
    dataset, repository
):
    _, commits = repository
    _, _, takes = dataset
    origins = [take.origin for take in takes if take.result.trace is not None]
    present, oldest = (f"repository calc@{commits[index][:12]} " for index in (3, 0))
    assert {origin.removeprefix(present) for origin in origins if origin.startswith(present)} == {
        "src/pack/calc.py:half", "src/pack/calc.py:halves",
        "tests/test_calc.py:test_halves", "tests/test_calc.py:test_odd", "tests/test_calc.py:test_outside",
    }  # fmt: skip
    assert {origin for origin in origins if not origin.startswith(present)} == {oldest + "src/pack/calc.py:half"}
    assert len({take.key for take in takes if take.result.trace is not None}) == len(origins)
    lost = {take.origin: take.result.kind for take in takes if take.result.trace is None}
    assert lost in ({}, {f"repository calc@{commits[1][:12]}": "no tests"})  # tried only if drawn before the other


def test_episodes_are_whole_and_say_where_they_are_from(dataset, repository):
    _, commits = repository
    traces = [take.result.trace for take in dataset[2] if take.result.trace is not None]
    for trace in traces:
        assert view(parse_text(render_text(trace))) == view(trace)
        assert trace.header["repository"]["licence"] == "MIT"
        assert trace.header["repository"]["commit"] in (commits[0], commits[3])
    assert {trace.outcome for trace in traces} == {"returned", "raised"}


def test_tests_ran_isolated_on_a_copy_and_those_that_ask_chance_are_left_out(dataset, repository, git):
    folder, commits = repository
    (file,) = (dataset[0] / SUITES).glob(f"calc-{commits[3][:12]}-*.jsonl.gz")
    outcomes = {
        trace.header["test"]["id"].rpartition("::")[2]: trace.header["test"]["outcome"] for trace in read_traces(file)
    }
    assert outcomes == {"test_halves": "passed", "test_odd": "passed", "test_outside": "passed"}
    assert git(folder, "status", "--porcelain") == ""


def test_commits_without_a_new_function_are_not_recorded(dataset, repository):
    _, commits = repository
    recorded = {file.name.split("-")[1] for file in (dataset[0] / SUITES).iterdir()}
    assert {commits[3][:12], commits[0][:12]} <= recorded <= {commits[index][:12] for index in (0, 1, 3)}


def test_suites_that_were_recorded_before_a_kill_are_not_run_again(dataset, monkeypatch):
    folder, source, takes = dataset
    monkeypatch.setattr(module, "record_tree", None)
    assert taken(source, folder) == takes


def test_a_dataset_is_built_from_repositories(dataset, tmp_path):
    folder, source, takes = dataset
    out = tmp_path / "out"
    recipe = Recipe(generated=Generated(weight=0.0), repositories=source, num_programs=1, shard_size=1)
    out.mkdir()
    (out / SUITES).symlink_to(folder / SUITES)
    manifest = build(recipe, out, say=lambda line: None)
    rows = list(read_rows(out / "shard-00000.parquet"))
    assert manifest["kept"] == {"repository": len(rows)}
    assert LIST in manifest["prepared"]
    assert len(rows) >= sum(take.result.trace is not None for take in takes) - 2  # another seed


def test_a_suite_that_takes_too_long_is_left_out_as_such(repository, tmp_path):
    limits = dataclasses.replace(SOURCE.suite, wall_s=0.2)
    source = dataclasses.replace(SOURCE, places=(str(repository[0]),), commits=0, suite=limits)
    source.prepare(tmp_path, lambda line: None)
    (take,) = taken(source, tmp_path)
    assert (take.result.trace, take.result.kind) == (None, "time")
    assert taken(source, tmp_path) == [take]


def test_lists_name_the_tests_of_each(tmp_path, monkeypatch):
    if not NamespaceSandbox().enforced().is_isolated:
        pytest.skip("this machine cannot isolate")
    for name, licence in (("free", "MIT"), ("closed", "Proprietary")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(f'[project]\nlicense = "{licence}"\n')
    (tmp_path / "list.jsonl").write_text('{"path": "free"}\n{"path": "closed", "tests": "-q tests"}\n')
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    source, said = Repositories(weight=1.0, places=("list.jsonl", "broken", "closed")), []
    source.prepare(tmp_path, said.append)
    assert said[0].startswith(f"left out: git cannot read {tmp_path / 'broken'}")
    lines = [json.loads(line) for line in (tmp_path / LIST).read_text().splitlines()]
    assert [(line["path"], line["name"], line["tests"], line["licence"], line["commit"]) for line in lines] == [
        (str(tmp_path / "free"), "free", "-q", "MIT", ""),
        (str(tmp_path / "closed"), "closed", "-q tests", "Proprietary", ""),
        (str(tmp_path / "closed"), "closed", "-q", "Proprietary", ""),
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"path": "nowhere"}', "there is no folder nowhere"),
        ('{"paths": "x"}', "line 1 names no repository: unknown key 'paths'"),
        ('{"tests": "x"}', "line 1 names no repository"),
        ("not json", "line 1 names no repository"),
        ('{"path": ".", "tests": "\'"}', "cannot be read as arguments"),
        ('{"path": ".", "python": "/no/python"}', "/no/python cannot be run"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, monkeypatch, line, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.jsonl").write_text(line + "\n")
    with pytest.raises(ConfigError, match="(?s)" + sentence.replace("(", r"\(")):
        Repositories(weight=1.0, places=("list.jsonl",)).prepare(tmp_path, lambda line: None)


def test_without_isolation_strangers_tests_are_refused_unless_the_user_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = partial(NamespaceSandbox, probe=lambda: Kernel(is_root=False, refused={"network": "not here"}))
    monkeypatch.setattr(suite_module, "NamespaceSandbox", refused)
    source = Repositories(weight=1.0, places=(".",))
    with pytest.raises(ConfigError, match="cannot isolate them: network not isolated"):
        source.prepare(tmp_path, lambda line: None)
    assert not (tmp_path / LIST).exists()
    dataclasses.replace(source, allow_unisolated=True).prepare(tmp_path, lambda line: None)
    assert (tmp_path / LIST).exists()


@pytest.mark.parametrize("setting", [{"commits": -1}, {"tries": -1}, {"rows": 0}])
def test_settings_that_make_no_sense_are_refused(setting):
    with pytest.raises(ConfigError, match=f"repositories.{next(iter(setting))}"):
        Repositories(**setting)


def test_places_must_be_named(tmp_path):
    with pytest.raises(ConfigError, match="names no folder"):
        Repositories(weight=1.0).prepare(tmp_path, lambda line: None)

"""The tests that lie in installed packages as a source."""

import dataclasses
import json
import random
from collections import Counter
from functools import partial

import pytest

from opencwm.data.recipe import Recipe
from opencwm.data.repositories import suite as suite_module
from opencwm.data.repositories.episodes import EpisodeConfig
from opencwm.data.sources.base import Job, Shard
from opencwm.data.sources.suites import LIST, Suites
from opencwm.errors import ConfigError
from opencwm.sandbox import NamespaceSandbox
from opencwm.sandbox.kernel import Kernel

CORE = """\
import random

SEEN = []


def halves(ns):
    found = []
    for n in ns:
        found.append(n // 2)
    return found


def place_of(thing):
    where = id(thing)
    known = where > 0
    return known


def drawn():
    first = random.random()
    second = random.Random().random()
    return first, second


def count():
    SEEN.append(len(SEEN))
    last = SEEN[-1]
    return last


def left(ring):
    yield ring


def many():
    # leaves a generator behind that nothing but the collector of garbage ends, and gives it reason to come
    ring = []
    ring.append(left(ring))
    next(ring[0])
    del ring
    lists = [[] for _ in range(3_000)]
    return len(lists)


def forever():
    n = 0
    while True:
        n += halves([n, n])[0]
"""
TESTS = """\
import os

from calc import core


def test_a_first():
    assert core.halves([4, 6]) == [2, 3]
    assert core.count() == 0


def test_b_place():
    assert core.place_of(core)
    assert core.halves([8]) == [4]


def test_c_chance():
    assert core.drawn() == core.drawn() or True


def test_d_crash():
    os.kill(os.getpid(), 9)


def test_e_after_the_crash():
    assert core.count() == 0


def test_f_hang():
    core.count()
    __import__("time").sleep(60)


def test_g_after_the_hang():
    assert core.count() == 0


def test_h_budget():
    core.forever()


def test_i_garbage():
    assert core.many() == 3_000
"""
OUTSIDE = "import socket\n\n\ndef test_net():\n    assert socket\n"
SOURCE = Suites(
    weight=1.0, portion=100, test_s=3.0, max_test_frames=200, episodes=EpisodeConfig(min_frames=4, per_function=4)
)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A folder as `pip install --target` leaves it."""
    folder = tmp_path_factory.mktemp("packages")
    texts = {
        "calc/__init__.py": "",
        "calc/core.py": CORE,
        "calc/tests/__init__.py": "",
        "calc/tests/test_core.py": TESTS,
        "calc/tests/test_net.py": OUTSIDE,
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    about = folder / "calc-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: calc\nVersion: 1.0\nLicense-Expression: MIT\n")
    (about / "RECORD").write_text("".join(f"{name},,\n" for name in texts))
    return folder


@pytest.fixture(scope="module")
def recorded(packages, tmp_path_factory):
    if not NamespaceSandbox().enforced().is_isolated:
        pytest.skip("this machine cannot isolate")
    folder = tmp_path_factory.mktemp("dataset")
    source = dataclasses.replace(SOURCE, places=(str(packages),))
    lines: list[str] = []
    source.prepare(folder, lines.append)
    return source, folder, taken(source, folder, {}), lines


def taken(source, folder, lost):
    deal = source.deal(Shard(folder=folder, number=0, count=1, max_frames=256))
    work = deal(random.Random(0))
    assert deal(random.Random(0)) is None
    (takes,) = source.record([Job(work=work, keys=tuple(work.keys()[1]), lost=lost)], Recipe().options)
    return takes


def losses(takes):
    return {take.key: take.result.kind for take in takes if take.result.trace is None}


def test_a_portion_holds_the_tests_that_stay_inside_the_process(recorded):
    _, folder, _, lines = recorded
    (portion,) = [json.loads(line) for line in (folder / LIST).read_text().splitlines()]
    assert portion["files"] == ["calc/tests/test_core.py"]
    assert (portion["package"], portion["version"], portion["licence"]) == ("calc", "1.0", "MIT")
    assert lines == ["1 of 1 portions of 9 tests (calc 9 ...)"]


def test_functions_of_a_package_are_recorded_where_it_lies(recorded):
    _, _, takes, _ = recorded
    names = Counter(take.origin.partition(":")[2] for take in takes if take.result.trace is not None)
    assert {"halves", "drawn", "count"} <= set(names)
    traces = [take.result.trace for take in takes if take.origin == "tested calc/core.py:drawn"]
    assert traces[0].frames[0].file == "calc/core.py"
    assert traces[0].header["test"]["id"] == "calc/tests/test_core.py::test_c_chance"


def test_what_a_test_costs_it_alone_pays(recorded):
    _, _, takes, _ = recorded
    lost = {key.rpartition("::")[2]: cause for key, cause in losses(takes).items() if "#" not in key}
    assert lost == {"test_d_crash": "crash", "test_f_hang": "time"}
    counts = [take.result.trace for take in takes if take.origin.endswith(":count")]
    assert {trace.frames[-1].value for trace in counts} == {"0"}, "each began with what the modules had at first"
    halves = [take.result.trace for take in takes if take.origin.endswith(":halves")]
    assert any(trace.header["test"]["id"].endswith("test_h_budget") for trace in halves)


def test_only_the_calls_that_differ_are_unstable(recorded):
    _, _, takes, _ = recorded
    unstable = [key for key, cause in losses(takes).items() if cause == "unstable"]
    assert unstable
    assert all("test_b_place" in key for key in unstable)
    assert not any(take.origin.endswith(":place_of") for take in takes if take.result.trace is not None)
    halves = [take.result.trace for take in takes if take.origin.endswith(":halves")]
    assert any(trace.header["test"]["id"].endswith("test_b_place") for trace in halves)


def test_garbage_is_not_collected_at_some_line_of_a_test(recorded):
    _, _, takes, _ = recorded
    (trace,) = (take.result.trace for take in takes if take.origin.endswith(":many"))
    assert trace.frames[-1].value == "3000"
    assert not any(frame.event == "exception" for frame in trace.frames)


def test_a_rebuild_that_knows_what_was_lost_takes_the_same(recorded):
    source, folder, takes, _ = recorded
    spared, *kept = (take for take in takes if take.result.trace is not None)
    header, key = spared.result.trace.header, next(iter(losses(takes))).partition(" ")[0]
    place = f"{key} #{header['episode']['frame']} {header['thread']} {header['test']['id']}"
    lost = {**losses(takes), place: "unstable"}
    again = taken(source, folder, lost)
    assert losses(again) == lost
    kept_again = [take for take in again if take.result.trace is not None]
    assert [(take.key, take.result.trace.to_json()) for take in kept] == [
        (take.key, take.result.trace.to_json()) for take in kept_again
    ]


def test_files_with_many_tests_are_cut_into_parts(packages, tmp_path):
    source = dataclasses.replace(SOURCE, places=(str(packages),), portion=3, allow_unisolated=True)
    source.prepare(tmp_path, lambda line: None)
    parts = sorted(tuple(json.loads(line)["part"]) for line in (tmp_path / LIST).read_text().splitlines())
    assert parts == [(0, 3), (1, 3), (2, 3)]


def test_neighbours_share_a_portion_and_what_reaches_outside_is_left_out(tmp_path):
    one = "def test_{}():\n    pass\n\n"
    texts = {
        "test_a.py": "from .select import thing\n" + one.format(1) + one.format(2),
        "test_b.py": "async " + one.format(1) + one.format(2),
        "test_c.py": one.format(1) + one.format(2) + one.format(3),
        "test_d.py": one.format(1),
        "test_net.py": "from socket import socket\n" + one.format(1),
        "test_broken.py": "def test_(:\n",
        "helpers.py": one.format(1),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)

    def portions(size, **limit):
        folder = tmp_path / f"{size}{limit}"
        folder.mkdir()
        source = Suites(weight=1.0, places=(str(tmp_path),), portion=size, allow_unisolated=True, **limit)
        source.prepare(folder, lambda line: None)
        return sorted(json.loads(line)["files"] for line in (folder / LIST).read_text().splitlines())

    assert portions(4) == [["test_a.py", "test_b.py"], ["test_c.py", "test_d.py"]]
    assert portions(3) == [["test_a.py", "test_b.py"], ["test_c.py"], ["test_d.py"]]
    assert len(portions(3, portions=2)) == 2


def test_episodes_are_no_longer_than_the_recipe_s_traces_and_chance_is_the_position_s(packages, tmp_path):
    source = dataclasses.replace(SOURCE, places=(str(packages),), portion=3, allow_unisolated=True)
    source.prepare(tmp_path, lambda line: None)
    deal = source.deal(Shard(folder=tmp_path, number=0, count=1, max_frames=10))
    first, second = (deal(random.Random(seed)).config for seed in (1, 2))
    assert first.max_frames == second.max_frames == 10
    assert first.seed != second.seed


def test_code_that_cannot_be_isolated_does_not_run(packages, tmp_path, monkeypatch):
    refused = partial(NamespaceSandbox, probe=lambda: Kernel(is_root=False, refused={"network": "not here"}))
    monkeypatch.setattr(suite_module, "NamespaceSandbox", refused)
    source = dataclasses.replace(SOURCE, places=(str(packages),))
    with pytest.raises(ConfigError, match="cannot isolate"):
        source.prepare(tmp_path, lambda line: None)


@pytest.mark.parametrize("setting", ["portion", "portions", "max_test_frames", "max_test_bytes"])
def test_a_count_of_nothing_is_refused(setting):
    with pytest.raises(ConfigError, match=f"suites.{setting} is 0"):
        dataclasses.replace(SOURCE, **{setting: 0})

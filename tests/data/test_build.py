import contextlib
import dataclasses
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from opencwm.data import build as module
from opencwm.data.build import build
from opencwm.data.decontaminate import decontaminate
from opencwm.data.finish import shard_path
from opencwm.data.programs import Dial, generate
from opencwm.data.recipe import Recipe
from opencwm.data.record import Recorded, program_of
from opencwm.data.sources import base, generated
from opencwm.data.sources.base import Shard
from opencwm.data.sources.functions import Functions
from opencwm.data.sources.generated import Generated
from opencwm.data.stages import plan
from opencwm.errors import ConfigError, DataError
from opencwm.trace.files import read_rows, write_traces

FUNCTIONS = '''
def collatz(n):
    """
    >>> collatz(6)
    8
    """
    steps = 0
    while n > 1:
        n = 3 * n + 1 if n % 2 else n // 2
        steps += 1
    return steps


def initials(name):
    """
    >>> initials("ada king lovelace")
    'AKL'
    """
    out = ""
    for word in name.split():
        out += word[0].upper()
    return out
'''
RECIPE = Recipe(
    seed=5, num_programs=36, shard_size=12, max_frames=128, generated=Generated(weight=0.7), near_duplicates=None
)


def digest(folder):
    """Of all that is the dataset; the ledger is how it came about."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if not path.name.startswith("ledger.")
    }


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    source = tmp_path_factory.mktemp("functions") / "lib.py"
    source.write_text(FUNCTIONS)
    return dataclasses.replace(RECIPE, functions=Functions(weight=0.3, places=(str(source),), calls=3, typed=0))


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    build(recipe, folder, say=lambda line: None)
    return folder


def test_positions_that_no_source_fills_stay_empty(recipe, tmp_path):
    only = dataclasses.replace(recipe, generated=Generated(weight=0.0))
    manifest = build(only, tmp_path, say=lambda line: None)
    assert set(manifest["kept"]) == {"harvested", "mutated"}
    assert manifest["num_traces"] <= 2 * only.functions.calls


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def rows_of(folder):
    return [row for path in sorted(folder.glob("*.parquet")) for row in read_rows(path)]


def test_the_manifest_counts_what_is_there(whole, recipe):
    manifest = json.loads((whole / "manifest.json").read_text())
    rows = rows_of(whole)
    assert manifest["num_traces"] == len(rows) == sum(shard["num_traces"] for shard in manifest["shards"]) > 25
    assert manifest["num_frames"] == sum(len(row.trace.frames) for row in rows)
    assert manifest["recipe"] == json.loads(json.dumps(recipe.to_dict()))
    for shard in manifest["shards"]:
        assert hashlib.sha256((whole / shard["file"]).read_bytes()).hexdigest() == shard["sha256"]
    kinds = {row.source.partition(" ")[0] for row in rows}
    assert kinds == set(manifest["kept"]) == {"generated", "harvested", "mutated"}
    assert not list(whole.glob(".*"))


def test_traces_are_unique_and_within_the_limits(whole, recipe):
    rows = rows_of(whole)
    assert len({row.trace_id for row in rows}) == len(rows)
    assert max(len(row.trace.frames) for row in rows) <= recipe.max_frames
    assert {row.trace.outcome for row in rows} <= {"returned", "raised"}
    calls = [program_of(row.trace) for row in rows if row.source.endswith("lib.collatz")]
    assert 1 < len(calls) <= recipe.functions.calls


def test_two_workers_make_the_same_bytes_as_one(whole, recipe, tmp_path):
    build(recipe, tmp_path, num_workers=2, say=lambda line: None)
    assert digest(tmp_path) == digest(whole)


def test_a_build_goes_on_where_it_was(whole, recipe, tmp_path, monkeypatch):
    made = []

    def stop_in_the_second(job):
        if made:
            raise KeyboardInterrupt
        made.append(job.shard)
        return original(job)

    original = module.make_part
    monkeypatch.setattr(module, "make_part", stop_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        build(recipe, tmp_path, say=lambda line: None)
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["index-00000.parquet", "part-00000.parquet"]
    assert not (tmp_path / "manifest.json").exists()
    monkeypatch.undo()
    said = []
    build(recipe, tmp_path, say=said.append)
    assert said[0] == "1 of 3 shards are there already"
    assert digest(tmp_path) == digest(whole)


def test_a_lost_part_is_made_again_with_the_same_bytes(whole, recipe, copy):
    (copy / "manifest.json").unlink()
    shard_path(copy, 1).unlink()
    build(recipe, copy, say=lambda line: None)
    assert digest(copy) == digest(whole)


BUILD = """
import json, sys
from opencwm.data.build import build
from opencwm.data.recipe import Recipe
build(Recipe.from_dict(json.loads(sys.argv[1])), sys.argv[2], num_workers=int(sys.argv[3]))
"""


def family(pid):
    """The process and all that descend from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds its processes in /proc")
def test_any_process_may_be_killed_at_any_moment_and_the_bytes_are_the_same(whole, recipe, tmp_path):
    """`kill -9` of the build itself, of workers, of guarded children and their launchers, again and again."""
    argv = [sys.executable, "-c", BUILD, json.dumps(recipe.to_dict()), str(tmp_path / "out"), "2"]
    rng, killed = random.Random(3), Counter()
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    for role in ("descendant", "build", "descendant", "descendant", "build", "descendant"):
        while process.poll() is None and len(family(process.pid)) < 3:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 0.8))
        members = family(process.pid)
        victim = process.pid if role == "build" else rng.choice(members[1:] or members)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            killed["build" if victim == process.pid else "descendant"] += 1
        if victim == process.pid:
            process.wait()
            process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    assert process.wait() == 0
    assert min(killed["build"], killed["descendant"]) > 0
    assert digest(tmp_path / "out") == digest(whole)
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_two_builds_share_the_work(whole, recipe, tmp_path):
    argv = [sys.executable, "-c", BUILD, json.dumps(recipe.to_dict()), str(tmp_path), "1"]
    first = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    second = subprocess.run(argv, stderr=subprocess.PIPE, text=True)
    _, said = first.communicate()
    assert (first.returncode, second.returncode) == (0, 0), said + second.stderr
    made = [line for line in (said + second.stderr).splitlines() if line.startswith("shard ")]
    assert len(made) == recipe.num_shards
    assert digest(tmp_path) == digest(whole)


TWO = """
def slow(n):
    \"\"\"
    >>> slow(3)
    6
    \"\"\"
    m = n * 2
    return m


def add(a, b):
    \"\"\"
    >>> add(1, 2)
    3
    \"\"\"
    c = a + b
    return c
"""


def test_what_was_lost_stays_lost_in_a_rebuild(tmp_path, monkeypatch):
    """A loss is an accident: where the ledger did not know of it, the item would be there the next time."""
    (tmp_path / "lib.py").write_text(TWO)
    functions = Functions(weight=1.0, places=(str(tmp_path / "lib.py"),), calls=1, typed=0, mutated=0)
    recipe = Recipe(
        num_programs=4, shard_size=4, functions=functions, generated=Generated(weight=0.0), near_duplicates=None
    )
    wanted = build(recipe, tmp_path / "calm", say=lambda line: None)
    assert wanted["kept"] == {"harvested": 2}
    accident = Recorded(trace=None, cause="time: stopped after 9 s")
    monkeypatch.setattr(base, "counted", lambda result, options: accident if "slow" in result.trace.context else result)
    first = build(recipe, tmp_path / "first", say=lambda line: None)
    assert first["kept"] == {"harvested": 1}
    assert first["dropped"] == {"time": 1}
    monkeypatch.undo()
    again = build(recipe, tmp_path / "again", like=tmp_path / "first", say=lambda line: None)
    assert again == first
    assert digest(tmp_path / "again") == digest(tmp_path / "first")
    (tmp_path / "first" / "manifest.json").unlink()
    build(recipe, tmp_path / "first", say=lambda line: None)
    assert digest(tmp_path / "again") == digest(tmp_path / "first")


def test_a_rebuild_is_like_a_build_of_the_same_recipe_only(whole, recipe, tmp_path):
    with pytest.raises(ConfigError, match=r"seed \(5, now 6\)"):
        build(dataclasses.replace(recipe, seed=6), tmp_path, like=whole, say=lambda line: None)


def test_a_finished_build_is_left_alone(whole, recipe):
    said = []
    build(recipe, whole, say=said.append)
    assert len(said) == 1
    assert "is complete" in said[0]


def test_a_folder_of_another_recipe_is_refused_naming_what_differs(copy, recipe):
    with pytest.raises(ConfigError, match=r"seed \(5, now 6\)"):
        build(dataclasses.replace(recipe, seed=6), copy)


def test_a_damaged_recipe_is_refused(copy, recipe):
    (copy / "recipe.json").write_text("{")
    with pytest.raises(DataError, match=r"recipe\.json"):
        build(recipe, copy)


def test_the_plan_goes_on_after_any_state(recipe, whole):
    shard = Shard(folder=whole, number=1, count=3, max_frames=recipe.max_frames)
    everything = list(plan(recipe, shard))
    state = everything[len(everything) // 2][1]
    rest = list(plan(recipe, shard, start=state))
    assert rest == [pair for pair in everything if pair[1] > state]


def test_a_program_that_every_shard_draws_comes_in_once(tmp_path, monkeypatch):
    program = generate(1, Dial(level=0.2))
    monkeypatch.setattr(generated, "generate", lambda seed, dial: program)
    manifest = build(Recipe(num_programs=6, shard_size=2, near_duplicates=None), tmp_path, say=lambda line: None)
    assert manifest["num_traces"] == 1
    assert manifest["kept"] == {"generated": 1}
    assert manifest["dropped"] == {"duplicate": 3, "duplicate of an earlier shard": 2}
    assert [shard["num_traces"] for shard in manifest["shards"]] == [1, 0, 0]


def test_held_out_programs_and_benchmark_items_stay_out(whole, recipe, tmp_path):
    rows = rows_of(whole)
    held, known = rows[0], next(row for row in rows if row.source.endswith("lib.initials"))
    write_traces(tmp_path / "held.jsonl.gz", [held.trace])
    source, _ = program_of(known.trace)
    (tmp_path / "set.jsonl").write_text(json.dumps({"id": "item", "code": source}) + "\n")
    guarded = dataclasses.replace(
        recipe, heldout=str(tmp_path / "held.jsonl.gz"), benchmarks=(str(tmp_path / "set.jsonl"),)
    )
    manifest = build(guarded, tmp_path / "out", say=lambda line: None)
    sources = {program_of(row.trace)[0] for row in rows_of(tmp_path / "out")}
    assert {program_of(held.trace)[0], source} <= {program_of(row.trace)[0] for row in rows}
    assert not {program_of(held.trace)[0], source} & sources
    assert manifest["dropped"]["held out"] == 1
    assert manifest["contaminated"] == {"set.jsonl item": 1}
    report = decontaminate(tmp_path / "out", [tmp_path / "set.jsonl"])
    assert report.is_clean
    assert report.dropped == {"set.jsonl item": 1}
    assert report.num_programs == manifest["num_traces"]


def test_an_item_inside_a_dataset_is_reported_with_its_traces(whole, tmp_path):
    rows = [row for row in rows_of(whole) if row.source.endswith("lib.initials")]
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps({"id": "item", "code": program_of(rows[0].trace)[0]}) + "\n")
    report = decontaminate(whole, [path])
    assert sorted(name for name, _ in report.hits) == sorted(row.trace_id for row in rows)
    assert {hit.reason for _, hit in report.hits} == {"body"}


def test_an_unfinished_dataset_cannot_be_looked_at(tmp_path):
    with pytest.raises(DataError, match="not a finished dataset"):
        decontaminate(tmp_path, [])


def test_progress_has_rate_and_time_left(recipe, tmp_path):
    said = []
    build(dataclasses.replace(recipe, num_programs=12), tmp_path, say=said.append)
    line = next(line for line in said if line.startswith("shard 00000"))
    assert "1/1" in line
    assert "traces/s" in line
    assert "eta 0h00m00s" in line

import dataclasses
import hashlib
import json
import shutil

import pytest

from opencwm.data import build as module
from opencwm.data.build import build, drop_duplicates, shard_paths
from opencwm.data.decontaminate import decontaminate
from opencwm.data.programs import Dial, generate
from opencwm.data.recipe import Recipe
from opencwm.data.record import program_of
from opencwm.data.sources import generated
from opencwm.data.sources.base import Shard
from opencwm.data.sources.functions import Functions
from opencwm.data.sources.generated import Generated
from opencwm.data.stages import plan
from opencwm.errors import ConfigError, DataError
from opencwm.trace.files import parquet_info, read_rows, write_parquet, write_traces

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
RECIPE = Recipe(seed=5, num_programs=60, shard_size=20, max_frames=128, generated=Generated(weight=0.7))


def digest(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    source = tmp_path_factory.mktemp("functions") / "lib.py"
    source.write_text(FUNCTIONS)
    return dataclasses.replace(RECIPE, functions=Functions(weight=0.3, places=(str(source),), calls=3))


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
    assert manifest["num_traces"] == len(rows) == sum(shard["num_traces"] for shard in manifest["shards"]) > 40
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


def test_a_killed_build_goes_on_and_ends_with_the_same_bytes(whole, recipe, tmp_path, monkeypatch):
    made = []

    def stop_in_the_second(job):
        if made:
            raise KeyboardInterrupt
        made.append(job.shard)
        return original(job)

    original = module.make_shard
    monkeypatch.setattr(module, "make_shard", stop_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        build(recipe, tmp_path, say=lambda line: None)
    assert [path.exists() for path in shard_paths(tmp_path, 3)] == [True, False, False]
    assert not (tmp_path / "manifest.json").exists()
    monkeypatch.undo()
    build(recipe, tmp_path, say=lambda line: None)
    assert digest(tmp_path) == digest(whole)


def test_a_lost_shard_is_made_again_with_the_same_bytes(whole, recipe, copy):
    (copy / "manifest.json").unlink()
    shard_paths(copy, 2)[1].unlink()
    said = []
    build(recipe, copy, say=said.append)
    assert digest(copy) == digest(whole)
    assert said[0] == "2 of 3 shards are there already"


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
    manifest = build(Recipe(num_programs=6, shard_size=2), tmp_path, say=lambda line: None)
    assert manifest["num_traces"] == 1
    assert manifest["kept"] == {"generated": 1}
    assert manifest["dropped"] == {"duplicate": 3, "duplicate of an earlier shard": 2}
    assert [shard["num_traces"] for shard in manifest["shards"]] == [1, 0, 0]


def test_duplicates_between_shards_go_and_the_pass_can_be_repeated(copy):
    first, second, third = shard_paths(copy, 3)
    before, others = list(read_rows(first)), list(read_rows(second))
    write_parquet(second, [*others, *before[:3]], info=parquet_info(second))
    drop_duplicates([first, second, third], say=lambda line: None)
    assert list(read_rows(first)) == before
    assert list(read_rows(second)) == others
    once = second.read_bytes()
    drop_duplicates([first, second, third], say=lambda line: None)
    assert second.read_bytes() == once


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
    build(dataclasses.replace(recipe, num_programs=20), tmp_path, say=said.append)
    line = next(line for line in said if line.startswith("shard 00000"))
    assert "1/1" in line
    assert "traces/s" in line
    assert "eta 0h00m00s" in line

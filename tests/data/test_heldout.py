import hashlib
import json
import random

import pytest

from opencwm.data import heldout as module
from opencwm.data.dedup import source_key
from opencwm.data.heldout import CLASSES, Drawn, freeze_heldout, heldout_keys
from opencwm.data.record import program_of
from opencwm.errors import ConfigError, DataError
from opencwm.trace.files import read_traces
from opencwm.trace.recording.frame import Frame, Trace

FRAME = Frame(event="line", depth=0, file="p", line_no=1, source_line="x")
REQUIRED = ("for_loops", "while_loops", "slices", "recursion", "comprehensions", "exceptions")


def drawn(number, length, constructs):
    trace = Trace({"context": "\n", "outcome": "returned"}, [FRAME] * length)
    return Drawn(key=f"{number:05d}", trace=trace, constructs=frozenset(constructs))


def endless(constructs, seed=0):
    rng = random.Random(seed)
    for number in range(100_000):
        yield drawn(number, rng.choice((5, 20, 50, 150)), rng.choices(*zip(*constructs.items(), strict=True)))


@pytest.mark.parametrize(
    ("length", "index"), [(1, 0), (10, 0), (11, 1), (30, 1), (31, 2), (100, 2), (101, 3), (999, 3)]
)
def test_lengths_fall_into_classes(length, index):
    assert drawn(0, length, []).length_class == index


@pytest.mark.parametrize("n", [10, 33, 1000])
def test_quotas_add_up(n):
    assert sum(module._quotas(n)) == n


def test_every_class_is_filled_to_its_quota():
    chosen, _ = module._fill(endless({"loop": 1}), [3, 5, 7, 2])
    assert [sum(each.length_class == n for each in chosen) for n in range(4)] == [3, 5, 7, 2]


def test_a_generator_without_long_programs_is_refused():
    with pytest.raises(DataError, match=r"\(101, 256\): 0 of 1"):
        module._fill(iter([drawn(n, 20, []) for n in range(50)]), [0, 1, 0, 1])


def test_rare_constructs_are_brought_to_their_share_length_for_length():
    constructs = {"loop": 100, "recursion": 1, "slice": 1}
    chosen, draws = module._fill(endless(constructs), [50, 50, 50, 50])
    lengths = sorted(len(each.trace.frames) for each in chosen)
    rare = sum("slice" in each.constructs for each in chosen)
    balanced = module._balance(chosen, draws, list(constructs))
    counts = {name: sum(name in each.constructs for each in balanced) for name in constructs}
    assert rare < 10 <= min(counts.values())
    assert sorted(len(each.trace.frames) for each in balanced) == lengths
    assert len({each.key for each in balanced}) == 200


def test_a_construct_that_the_generator_hardly_makes_is_named():
    draws = iter([drawn(0, 5, ["loop"]), drawn(1, 5, ["match"]), *[drawn(n, 5, ["loop"]) for n in range(2, 99)]])
    with pytest.raises(DataError, match="match"):
        module._balance(*module._fill(draws, [60, 0, 0, 0]), ["loop", "match"])


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heldout")
    return folder, freeze_heldout(40, 3, folder, required=REQUIRED)


def test_the_frozen_files_are_what_the_statistics_say(frozen):
    folder, facts = frozen
    traces = list(read_traces(folder / "programs.jsonl.gz"))
    assert json.loads((folder / "heldout.json").read_text()) == facts
    assert len(traces) == facts["n"] == 40
    text = "".join(trace.to_json() + "\n" for trace in traces).encode()
    assert hashlib.sha256(text).hexdigest() == facts["sha256"]
    lengths = [len(trace.frames) for trace in traces]
    for (low, high), count in zip(CLASSES, facts["lengths"].values(), strict=True):
        assert sum(low <= each <= high for each in lengths) == count > 0
    assert facts["median_frames"] >= 25
    assert facts["p90_frames"] >= 80
    assert min(facts["constructs"][name] for name in REQUIRED) >= 0.05
    assert len(heldout_keys(folder / "programs.jsonl.gz")) == 40


def test_the_same_seed_freezes_the_same_bytes(frozen, tmp_path):
    folder, facts = frozen
    assert freeze_heldout(40, 3, tmp_path / "again", required=REQUIRED) == facts
    for name in ("programs.jsonl.gz", "heldout.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_refused_sources_stay_out(frozen, tmp_path):
    folder, _ = frozen
    refused = frozenset(source_key(program_of(next(iter(read_traces(folder / "programs.jsonl.gz"))))[0]) for _ in "x")
    freeze_heldout(40, 3, tmp_path / "other", required=REQUIRED, refused=refused)
    assert not refused & heldout_keys(tmp_path / "other" / "programs.jsonl.gz")


def test_a_frozen_set_is_not_overwritten(frozen):
    with pytest.raises(ConfigError, match="frozen already"):
        freeze_heldout(1, 0, frozen[0])


def test_a_damaged_set_is_refused(frozen, tmp_path):
    path = tmp_path / "programs.jsonl.gz"
    path.write_bytes((frozen[0] / "programs.jsonl.gz").read_bytes()[:200])
    with pytest.raises(DataError):
        heldout_keys(path)

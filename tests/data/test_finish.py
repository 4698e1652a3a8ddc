import dataclasses

import pytest

from opencwm.data.card import card
from opencwm.data.finish import allowed, decide
from opencwm.data.recipe import Recipe
from opencwm.data.sources.functions import Functions
from opencwm.data.sources.generated import Generated

MIXED = Recipe(generated=Generated(weight=0.5), functions=Functions(weight=0.5), near_duplicates=None)


def row(trace_id, kind="generated", program=0, signature=b""):
    return {"trace_id": trace_id, "kind": kind, "program": program, "signature": signature}


def test_the_first_of_equal_traces_stays():
    reasons = decide([[row("a"), row("b")], [row("b"), row("c")], [row("a")]], MIXED)
    assert reasons == [[None, None], ["duplicate of an earlier shard", None], ["duplicate of an earlier shard"]]


def test_all_traces_of_a_near_duplicate_program_go():
    recipe = dataclasses.replace(MIXED, near_duplicates=0.85)
    one, two = bytes(512), bytes(range(256)) * 2
    shards = [
        [row("a", program=1, signature=one), row("b", program=1, signature=one), row("c", program=2, signature=one)],
        [row("d", program=1, signature=two), row("e", program=2, signature=one), row("f", program=2, signature=one)],
    ]
    assert decide(shards, recipe) == [[None, None, "near duplicate"], [None, "near duplicate", "near duplicate"]]


def test_no_source_is_above_its_share_and_the_choice_is_not_by_position():
    recipe = dataclasses.replace(MIXED, max_share=0.6)
    shards = [[row(f"{n * 7 % 100:02d}", "generated") for n in range(90)], [row(f"h{n}", "mutated") for n in range(20)]]
    reasons = decide(shards, recipe)
    left = [each["trace_id"] for each, reason in zip(shards[0], reasons[0], strict=True) if reason is None]
    assert reasons[1] == [None] * 20
    assert len(left) == 30
    assert max(left) < min(
        each["trace_id"] for each, reason in zip(shards[0], reasons[0], strict=True) if reason is not None
    )


@pytest.mark.parametrize(
    "counts",
    [{"a": 100, "b": 10, "c": 1}, {"a": 5, "b": 5, "c": 5}, {"a": 60, "b": 40, "c": 0}, {"a": 9, "c": 1}],
)
@pytest.mark.parametrize("max_share", [0.4, 0.6, 1.0])
def test_shares_hold_and_nothing_more_is_cut_than_needed(counts, max_share):
    left = allowed(counts, max_share)
    total = sum(left.values())
    assert all(count <= max_share * total for count in left.values())
    for name, count in left.items():
        assert count <= counts[name]
        if count < counts[name]:
            assert count + 1 > max_share * (total + 1)


def test_the_card_says_what_is_there_and_what_is_not():
    manifest = {
        "num_traces": 3,
        "num_frames": 30,
        "estimated_tokens": 300,
        "kept": {"generated": 1, "harvested": 2},
        "dropped": {"unstable": 4},
        "contaminated": {"HumanEval/1": 2},
        "packages": [{"package": "toolz", "version": "1.1.0", "licence": "BSD|3", "num_traces": 2}],
        "recipe": {"benchmarks": ["a"]},
        "versions": {"python": "3.11.7"},
        "shards": [{}],
    }
    text = card(manifest)
    assert "| harvested | 2 | 66.7% |  |" in text
    assert "| toolz | 1.1.0 | BSD\\|3 | 2 |" in text
    assert "| unstable | 4 |" in text
    assert "2 programs were left out because they are in one of the 1 benchmark files" in text

import dataclasses

import pytest

from opencwm.data.recipe import Recipe
from opencwm.errors import ConfigError


def test_a_recipe_survives_its_dictionary():
    recipe = Recipe(seed=3, harvest=("a", "b"), heldout="x.jsonl.gz", benchmarks=("one", "two"))
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_an_unknown_key_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match="shard_sise") as caught:
        Recipe.from_dict({"shard_sise": 3})
    assert "shard_size" in caught.value.fix


@pytest.mark.parametrize("change", [{"num_programs": 0}, {"shard_size": -1}, {"share_functions": 1.5}, {"ramp": -0.1}])
def test_impossible_values_are_refused(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        dataclasses.replace(Recipe(), **change)


def test_the_last_shard_holds_the_rest():
    recipe = Recipe(num_programs=25, shard_size=10)
    assert [recipe.programs_in(shard) for shard in range(recipe.num_shards)] == [10, 10, 5]


def test_the_hardest_difficulty_rises_to_one():
    recipe = Recipe(num_programs=100, shard_size=10, easiest=0.2, ramp=0.5)
    rising = [recipe.hardest(shard) for shard in range(10)]
    assert rising == sorted(rising)
    assert 0.2 < rising[0] < rising[3] < rising[4] == rising[9] == 1.0
    assert Recipe(ramp=0.0).hardest(0) == 1.0


def test_code_of_strangers_is_not_trusted():
    assert Recipe().is_trusted
    assert Recipe(share_functions=0.1).is_trusted
    assert not Recipe(share_functions=0.1, harvest=("stdlib", "site-packages")).is_trusted

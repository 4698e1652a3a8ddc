import pickle
import random
from collections import Counter

import pytest

from opencwm.config import override
from opencwm.data.recipe import Recipe
from opencwm.data.sources.functions import Functions
from opencwm.data.sources.generated import Generated
from opencwm.errors import ConfigError


def test_a_recipe_survives_its_dictionary():
    recipe = Recipe(
        seed=3, functions=Functions(weight=0.5, places=("a", "b")), heldout="x.jsonl.gz", benchmarks=("one", "two")
    )
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_an_unknown_key_is_refused_with_the_nearest_one():
    with pytest.raises(ConfigError, match="shard_sise") as caught:
        Recipe.from_dict({"shard_sise": 3})
    assert "shard_size" in caught.value.fix
    with pytest.raises(ConfigError, match=r"functions\.place") as caught:
        Recipe.from_dict({"functions": {"place": ["stdlib"]}})
    assert "functions.places" in caught.value.fix


@pytest.mark.parametrize(
    "setting",
    ["num_programs=0", "shard_size=-1", "functions.weight=-0.5", "generated.ramp=-0.1", "functions.calls=0"],
)
def test_impossible_values_are_refused(setting):
    with pytest.raises(ConfigError, match=setting.partition("=")[0]):
        override(Recipe(), [setting])


def test_a_recipe_without_sources_is_refused():
    with pytest.raises(ConfigError, match="every source has weight 0"):
        Recipe(generated=Generated(weight=0.0))


def test_sources_are_drawn_by_weight():
    recipe = Recipe(functions=Functions(weight=1.0), generated=Generated(weight=3.0))
    rng = random.Random(0)
    drawn = Counter(recipe.draw(rng).name for _ in range(4000))
    assert 900 < drawn["functions"] < 1100
    assert drawn.total() == 4000


def test_no_two_sources_share_a_kind_and_each_is_a_field_of_its_name():
    sources = Recipe().all_sources
    kinds = [kind for source in sources for kind in source.kinds]
    assert len(set(kinds)) == len(kinds)
    for source in sources:
        assert getattr(Recipe(), source.name) == source
        assert pickle.loads(pickle.dumps(source)) == source


def test_the_last_shard_holds_the_rest():
    recipe = Recipe(num_programs=25, shard_size=10)
    assert [recipe.programs_in(shard) for shard in range(recipe.num_shards)] == [10, 10, 5]


def test_the_hardest_difficulty_rises_to_one():
    generated = Generated(easiest=0.2, ramp=0.5)
    rising = [generated.hardest(shard, 10) for shard in range(10)]
    assert rising == sorted(rising)
    assert 0.2 < rising[0] < rising[3] < rising[4] == rising[9] == 1.0
    assert Generated(ramp=0.0).hardest(0, 10) == 1.0


def test_code_of_strangers_is_not_trusted():
    assert Functions(places=("stdlib",)).is_trusted
    assert not Functions(places=("stdlib", "site-packages")).is_trusted

"""The stages are those that are published, and every size has all of them."""

from itertools import pairwise

import pytest

from opencwm.cli.recipe import STAGES, find_recipe
from opencwm.config import override
from opencwm.errors import ConfigError
from opencwm.model import shapes

SIZES = ("nano", "small", "b1_8", "paper_32b")


def rate(stage, step):
    return stage.loop.optim.adam_lr * stage.loop.schedule.factor(step, stage.loop.num_steps)


@pytest.mark.parametrize("size", SIZES)
def test_each_stage_starts_from_the_one_before_it(size):
    stages = [find_recipe("train", name, size=size) for name in STAGES]
    assert stages[0].start is None
    for before, after in pairwise(stages):
        assert after.start == before.run / "model"
        assert after.model.hidden_size == before.model.hidden_size
    pretrain, midtrain, sft = stages
    assert rate(midtrain, 0) == pytest.approx(rate(pretrain, pretrain.loop.num_steps))
    assert max(stage.loop.seq_len for stage in stages) <= midtrain.model.max_position_embeddings
    assert sft.never_trained == ("reasoning_thinking_start",)
    assert midtrain.environment_loss == 0.5


def test_the_32b_s_are_the_published_ones():
    pretrain, midtrain, sft = (find_recipe("train", name, size="paper_32b") for name in STAGES)
    tokens = [s.loop.num_steps * s.loop.num_rows * s.loop.seq_len for s in (pretrain, midtrain, sft)]
    assert [round(count / 1e12, 2) for count in tokens] == [8.0, 5.0, 0.1]
    assert rate(pretrain, 1999) == 8e-4
    assert rate(midtrain, 0) == pytest.approx(2.6e-4, rel=0.02)
    assert rate(midtrain, midtrain.loop.num_steps) == pytest.approx(8e-6)
    assert [rate(sft, step) for step in (499, 999, 49_999)] == pytest.approx([5e-6, 1e-5, 1e-5])
    assert sum(part.share for part in midtrain.data[:2]) == pytest.approx(0.3)
    assert sum(part.share for part in midtrain.data) == pytest.approx(1)
    assert sum(part.share for part in sft.data) == pytest.approx(1)
    assert pretrain.model.rope_scaling is None
    assert midtrain.model == sft.model == shapes.paper_32b()


def test_a_size_is_for_stages_only():
    with pytest.raises(ConfigError, match="comes in one size"):
        find_recipe("train", "nano", size="small")
    with pytest.raises(ConfigError, match="no train recipe 'pretran'"):
        find_recipe("train", "pretran")


def test_the_mix_the_buckets_and_the_shape_are_set_on_the_command_line():
    stage = find_recipe("train", "midtrain")
    settings = ["data=runs/a:0.25,runs/b:0.75", "buckets=1025:512,rest", "model=none", "never_trained=pad"]
    changed = override(stage, settings)
    assert [str(part) for part in changed.data] == ["runs/a:0.25", "runs/b:0.75"]
    assert [(each.longest, each.global_window) for each in changed.buckets] == [(1025, 512), (None, None)]
    assert changed.model is None
    assert changed.never_trained == ("pad",)
    with pytest.raises(ConfigError, match="`LONGEST`, `LONGEST:WINDOW` or `rest`"):
        override(stage, ["buckets=1025,long"])
    with pytest.raises(ConfigError, match="share of runs/a is -1"):
        override(stage, ["data=runs/a:-1"])

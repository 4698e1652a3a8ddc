"""A stage makes a model folder from a dataset; a shipped model can be trained on from it."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from opencwm.cli.recipe import STAGES, find_recipe
from opencwm.data.build import build
from opencwm.data.loader import Bucket
from opencwm.data.mix import mix
from opencwm.data.recipe import Recipe
from opencwm.data.sources.generated import Generated
from opencwm.data.tokenise import TokensConfig, tokenise
from opencwm.errors import ConfigError, DataError
from opencwm.model import weights
from opencwm.model.config import ModelConfig
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import read_traces
from opencwm.trace.text import render_text
from opencwm.train import checkpoint, optim
from opencwm.train.loop import LoopConfig, progress_line
from opencwm.train.profiling import profile_stage
from opencwm.train.schedule import ScheduleConfig
from opencwm.train.stage import OPTIMIZER, StageConfig, adapted, fitted, load_optimizers, new_model, run_stage

SHAPE = ModelConfig(
    vocab_size=1, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=16, layer_types=("sliding_attention", "full_attention"), sliding_window=32,
    max_position_embeddings=512, qk_norm=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage")
    recipe = Recipe(num_programs=24, shard_size=12, generated=Generated(easiest=0.0, ramp=1.0), near_duplicates=None)
    build(recipe, folder / "data", say=lambda line: None)
    texts = [render_text(t) for path in sorted((folder / "data").glob("*.parquet")) for t in read_traces(path)]
    Tokenizer.train(texts, 400).save(folder / "tokenizer")
    loop = LoopConfig(
        num_steps=6, seq_len=256, num_rows=1, precision="float32", log_every=2, save_every=4,
        schedule=ScheduleConfig(warmup_steps=2),
    )  # fmt: skip
    config = StageConfig(
        data=mix(str(folder / "data")), tokenizer=folder / "tokenizer", run=folder / "run", model=SHAPE, loop=loop
    )
    run_stage(config, log=lambda record: None)
    return config


def owned(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def test_a_shape_is_fitted_to_a_tokenizer_without_padding_like_the_released_one(stage):
    special = dict(Tokenizer.load(stage.tokenizer).special)
    assert fitted(SHAPE, SimpleNamespace(vocab_size=400, special=special)).pad_token_id == special.pop("pad")
    shape = fitted(SHAPE, SimpleNamespace(vocab_size=401, special=special))
    assert (shape.vocab_size, shape.pad_token_id, shape.bos_token_id) == (416, None, special["begin_of_text"])


def test_the_model_folder_is_whole_and_loads(stage):
    folder = stage.run / "model"
    model, tokenizer = weights.load(folder), Tokenizer.load(folder)
    assert model.config.vocab_size >= tokenizer.vocab_size
    assert model.config.eos_token_id == (tokenizer.special["end_of_text"],)
    assert model.config.pad_token_id == tokenizer.special["pad"]
    records = [json.loads(line) for line in (stage.run / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if record["event"] == "step"] == [2, 4, 6]


def test_the_optimizers_state_comes_back_but_for_rounding(stage):
    model = weights.load(stage.run / "model")
    restored = optim.build(model, stage.loop.optim)
    load_optimizers(stage.run / "model" / OPTIMIZER, model, restored)
    trained = weights.load(stage.run / "model")
    exact = optim.build(trained, stage.loop.optim)
    checkpoint.load(stage.run, trained, exact)
    compared = 0
    for a, b in zip(exact, restored, strict=True):
        pairs = zip(owned(a), owned(b), strict=True)
        for p, q in ((a.state[x], b.state[y]) for x, y in pairs if x in a.state):
            assert p.keys() == q.keys()
            for key in p:
                torch.testing.assert_close(p[key].float(), q[key].float(), rtol=1e-2, atol=1e-6)
                compared += 1
    assert compared > 10


def test_training_goes_on_from_a_shipped_model(stage, tmp_path):
    records = []
    config = replace(stage, run=tmp_path / "more", model=None, start=stage.run / "model")
    run_stage(config, log=records.append)
    first = next(record["loss"] for record in records if record["event"] == "step")
    before = [json.loads(line) for line in (stage.run / "metrics.jsonl").read_text().splitlines()]
    assert first < next(record["loss"] for record in before if record["event"] == "step")
    assert weights.load(tmp_path / "more" / "model").config == weights.load(stage.run / "model").config


def test_a_later_stage_may_change_positions_and_windows_but_not_the_weights(stage, tmp_path):
    start, tokenizer = stage.run / "model", Tokenizer.load(stage.tokenizer)
    longer = replace(SHAPE, rope_theta=5e5, max_position_embeddings=4096, sliding_window=64)
    model = new_model(replace(stage, model=longer, start=start), tokenizer)
    assert (model.config.rope_theta, model.config.sliding_window) == (5e5, 64)
    before = weights.load(start)
    assert all(
        torch.equal(x, y) for x, y in zip(model.state_dict().values(), before.state_dict().values(), strict=True)
    )
    assert not torch.equal(model.frequencies, before.frequencies)
    with pytest.raises(ConfigError, match="another shape than the recipe: hidden_size"):
        new_model(replace(stage, model=replace(SHAPE, hidden_size=64), start=start), tokenizer)
    with pytest.raises(ConfigError, match="a shape or a model folder"):
        new_model(replace(stage, model=None), tokenizer)


def test_a_dataset_that_is_not_finished_is_refused(stage, tmp_path):
    with pytest.raises(DataError, match="not a finished dataset"):
        run_stage(replace(stage, data=mix(str(tmp_path)), run=tmp_path / "run"), log=lambda record: None)


def test_a_profile_adds_up_and_leaves_no_run(stage, tmp_path):
    found = profile_stage(replace(stage, run=tmp_path / "run"), num_steps=2)
    assert sum(found.parts_ms.values()) == pytest.approx(found.step_ms, rel=0.05)
    assert min(found.parts_ms.values()) >= 0
    assert found.parts_ms["backward"] > 0
    assert any(name.startswith("aten::") for name, _, _ in found.operations_ms)
    assert not list(tmp_path.iterdir())


def test_adapted_scales_every_rate():
    adapted_config = adapted(optim.OptimConfig(lr=0.02, adam_lr=0.01), 0.5)
    assert (adapted_config.lr, adapted_config.adam_lr) == (0.01, 0.005)


def test_the_three_stages_in_a_row_each_from_the_one_before(stage, tmp_path):
    """The recipes of nano, with a smaller shape and few steps: text, then traces in length buckets, then chats."""
    chats = [
        [{"role": "user", "content": f"{n} + 1?"}, {"role": "assistant", "content": f"{n + 1}"}] for n in range(40)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats))
    (tmp_path / "text.jsonl").write_text(
        "".join(json.dumps({"text": f"x = {n}\n" * 9 * n}) + "\n" for n in range(1, 40))
    )
    sources = {"text": "text.jsonl", "code": "text.jsonl", "traces": stage.data[0].folder, "pairs": "pairs.jsonl"}
    for name, source in sources.items():
        tokenise(TokensConfig(sources=(tmp_path / source,), tokenizer=stage.tokenizer), tmp_path / "tokens" / name)
    last = None
    for name in STAGES:
        recipe = find_recipe("train", name)
        config = replace(
            recipe,
            data=tuple(replace(part, folder=tmp_path / "tokens" / part.folder.name) for part in recipe.data),
            tokenizer=stage.tokenizer,
            run=tmp_path / name,
            start=last,
            model=SHAPE,
            buckets=recipe.buckets and (Bucket(longest=257), Bucket(longest=None)),
            loop=replace(stage.loop, optim=recipe.loop.optim, schedule=recipe.loop.schedule, num_rows=2),
        )
        records = []
        run_stage(replace(config, run=tmp_path / f"{name}-whole"), log=records.append)
        # and once more, stopped in the middle
        run_stage(config, log=lambda record: None, stop=lambda progress: progress.step == 3)
        run_stage(config, log=lambda record: None)
        last = config.run / "model"
        resumed, whole = (tmp_path / run / "model" / "model.safetensors" for run in (name, f"{name}-whole"))
        assert resumed.read_bytes() == whole.read_bytes()
        assert progress_line(records[0]).startswith(f"tokens of a whole run: {config.data[0].folder} ")
        assert [each["share"] for each in records[0]["datasets"]] == pytest.approx([part.share for part in config.data])
        losses = [record["loss"] for record in records if record["event"] == "step"]
        assert len(losses) == 3
        assert all(0 < loss < 7 for loss in losses)
    described = json.loads((tmp_path / "sft" / "config.json").read_text())
    assert described["never_trained"] == "('reasoning_thinking_start',)"
    assert described["keep_optimizer"] == "False"

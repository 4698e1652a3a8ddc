"""A Hugging Face folder is fine-tuned on traces: adapters that PEFT loads, a merged folder, or all weights."""

import json
import sys
from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from tiny_models import tiny_model
from transformers import AutoModelForCausalLM, CwmConfig, CwmForCausalLM, Qwen3Config, Qwen3ForCausalLM

from opencwm.cli.recipe import find_recipe
from opencwm.config import override
from opencwm.data.build import build
from opencwm.data.recipe import Recipe
from opencwm.errors import ConfigError
from opencwm.model import weights
from opencwm.model.checkpoints import open_checkpoint
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import read_traces
from opencwm.trace.text import render_text
from opencwm.train.lora import LoraConfig, adapt, merge
from opencwm.train.stage import run_stage

TINY = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 32, "max_position_embeddings": 512,
    "layer_types": ["sliding_attention", "full_attention"], "tie_word_embeddings": False,
}  # fmt: skip
SETTINGS = [
    "loop.num_steps=4", "loop.seq_len=1024", "loop.num_rows=1", "loop.log_every=1", "loop.save_every=2",
    "loop.precision=float32", "lora.rank=4", "loop.optim.adam_lr=0.01", "loop.schedule.warmup_steps=1",
]  # fmt: skip
LAYOUTS = {"cwm": (CwmConfig, CwmForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM)}
TOKENS = torch.arange(5, 69)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora")
    build(Recipe(num_programs=8, shard_size=8, near_duplicates=None), folder / "data", say=lambda line: None)
    texts = [render_text(t) for path in sorted((folder / "data").glob("*.parquet")) for t in read_traces(path)]
    tokenizer = Tokenizer.train(texts, 400)
    for name, (shape, model) in LAYOUTS.items():
        torch.manual_seed(0)
        extra = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}, "use_sliding_window": True}
        ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
        theirs = model(shape(vocab_size=tokenizer.vocab_size, **TINY, **extra, **ids))
        theirs.save_pretrained(folder / name)
        tokenizer.save(folder / name)
    settings = [*SETTINGS, f"data={folder / 'data'}", f"start={folder / 'cwm'}", f"run={folder / 'run'}"]
    return override(find_recipe("train", "finetune"), settings)


def train(config):
    records = []
    model, _ = run_stage(config, log=records.append)
    return [record["loss"] for record in records if record["event"] == "step"], model


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT asks transformers the old way
@pytest.mark.parametrize("layout", LAYOUTS)
def test_adapters_load_over_transformers_model_and_the_merged_folder_says_the_same(config, layout, tmp_path):
    start = config.start.parent / layout
    losses, ours = train(replace(config, start=start, run=tmp_path))
    assert losses[-1] < losses[0]
    plain = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32, attn_implementation="eager")
    before = plain(TOKENS[None], use_cache=False).logits[0]
    said = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (said["base_model_name_or_path"], said["inference_mode"]) == (str(start), True)
    adapted = PeftModel.from_pretrained(plain, tmp_path / "adapter").eval()
    theirs = adapted(TOKENS[None], use_cache=False).logits[0]
    assert (theirs - before).abs().max() > 0.02
    torch.testing.assert_close(ours.score(TOKENS, [len(TOKENS)]), theirs, atol=1e-4, rtol=1e-4)
    merge(ours)
    torch.testing.assert_close(ours.score(TOKENS, [len(TOKENS)]), theirs, atol=1e-4, rtol=1e-4)
    kept = weights.load(tmp_path / "model")
    for (name, x), y in zip(ours.named_parameters(), kept.parameters(), strict=True):
        assert torch.equal(x.bfloat16().float(), y), name
    assert Tokenizer.load(tmp_path / "model").digest == Tokenizer.load(start).digest


def test_only_adapters_are_trained_and_a_run_goes_on(config, tmp_path):
    whole, _ = train(replace(config, run=tmp_path / "whole"))
    config = replace(config, run=tmp_path / "parts", lora=replace(config.lora, merge=False))
    run_stage(config, log=lambda record: None, stop=lambda progress: progress.step == 2)
    assert train(config)[0] == whole[2:]
    assert not (tmp_path / "parts" / "model").exists()
    with pytest.raises(ConfigError, match="trains adapters"):
        open_checkpoint(tmp_path / "parts")
    with pytest.raises(ConfigError, match=r"lora\.rank"):
        run_stage(replace(config, lora=replace(config.lora, rank=8)), log=lambda record: None)


def test_all_weights_are_trained_without_a_rank(config, tmp_path):
    losses, _ = train(replace(config, run=tmp_path, lora=LoraConfig()))
    assert losses[-1] < losses[0]
    before, after = weights.load(config.start), weights.load(tmp_path / "model")
    for (name, x), y in zip(before.named_parameters(), after.named_parameters(), strict=True):
        assert not torch.equal(x.bfloat16().float(), y[1]), name


def test_adapters_are_what_is_asked_for():
    asked = LoraConfig(rank=4, alpha=6, dropout=0.25, targets=("q_proj", "down_proj"))
    models = [tiny_model(qk_norm=True, layer_types=("full_attention",)) for _ in range(3)]
    state = torch.get_rng_state()
    for model, seed in zip(models, (1, 1, 2), strict=True):
        adapt(model, asked, dtype=torch.bfloat16, seed=seed)
    assert torch.equal(torch.get_rng_state(), state)
    layers = {name: module for name, module in models[0].named_modules() if isinstance(module, LoraLayer)}
    assert {name.rpartition(".")[2] for name in layers} == {"q_proj", "down_proj"}
    for layer in layers.values():
        assert (layer.scaling["default"], layer.lora_dropout["default"].p) == (1.5, 0.25)
        assert (layer.get_base_layer().weight.dtype, layer.lora_A["default"].weight.dtype) == (
            torch.bfloat16,
            torch.float32,
        )
    first, again, other = (model.model.layers[0].mlp.down_proj.lora_A["default"].weight for model in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_cannot_be_adapted_is_refused(config, monkeypatch):
    with pytest.raises(ConfigError, match="rank is 0"):
        LoraConfig(rank=0)
    with pytest.raises(ConfigError, match="embed_tokens"):
        LoraConfig(rank=4, targets=("embed_tokens",))
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match="adapters need peft"):
        train(config)

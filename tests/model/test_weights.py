import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from opencwm.errors import ConfigError, DataError
from opencwm.model.config import ModelConfig, RopeScaling, layer_pattern
from opencwm.model.transformer import Transformer
from opencwm.model.weights import WEIGHTS, load, save


@pytest.fixture
def folder(tmp_path):
    config = ModelConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        layer_types=layer_pattern(2),
        sliding_window=8,
        max_position_embeddings=64,
        rope_scaling=RopeScaling(),
        eos_token_id=(1, 3),
    )
    model = Transformer(config)
    model.initialise(0)
    save(model, tmp_path, dtype=torch.float32)
    return tmp_path


def change_config(folder, **changes):
    path = folder / "config.json"
    data = json.loads(path.read_text())
    for name, value in changes.items():
        if value is None:
            del data[name]
        else:
            data[name] = value
    path.write_text(json.dumps(data))


def test_saved_and_loaded_is_the_same_model(folder):
    first = load(folder)
    assert first.config.eos_token_id == (1, 3)
    save(first, folder / "again", dtype=torch.float32)
    second = load(folder / "again")
    assert first.config == second.config
    tokens = torch.arange(20)
    assert torch.equal(first.score(tokens, [20]), second.score(tokens, [20]))


def test_a_dtype_changes_the_weights_and_not_the_frequencies(folder):
    model = load(folder, dtype=torch.bfloat16)
    assert model.lm_head.weight.dtype == torch.bfloat16
    assert torch.equal(model.frequencies, load(folder).frequencies)


def rewrite(folder, change):
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.pop("model.norm.weight"), "lacks the tensor model.norm.weight"),
        (lambda t: t.update({"model.surplus": torch.ones(1)}), "unknown tensor model.surplus"),
        (lambda t: t.update({"lm_head.weight": torch.ones(40, 17)}), r"lm_head.weight has shape \(40, 17\)"),
    ],
)
def test_tensors_that_do_not_fit_are_named(folder, change, named):
    rewrite(folder, change)
    with pytest.raises(DataError, match=named):
        load(folder)


def test_a_truncated_file_is_one(folder):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load(folder)


def test_a_folder_that_is_not_a_model(tmp_path, folder):
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        load(tmp_path / "nowhere")
    (folder / WEIGHTS).unlink()
    with pytest.raises(ConfigError, match=f"holds no {WEIGHTS}"):
        load(folder)


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_configuration_that_is_no_object(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.json"):
        load(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({"hidden_size": None}, "hidden_size"),
        ({"layer_types": ["full_attention"]}, "layer_types names 1 layers"),
        ({"layer_types": ["full_attention", "linear"]}, "'linear'"),
        ({"tie_word_embeddings": True}, "tied"),
        ({"num_attention_heads": 3, "num_key_value_heads": 2}, "cannot share"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "yarn"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "factor"),
        ({"head_dim": 7}, "head_dim is 7"),
    ],
)
def test_a_configuration_of_something_else(folder, changes, said):
    change_config(folder, **changes)
    with pytest.raises(ConfigError, match=said):
        load(folder)


def test_an_index_that_names_a_missing_shard(folder):
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"lm_head.weight": "gone.safetensors"}})
    )
    with pytest.raises(DataError, match=r"gone\.safetensors"):
        load(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": 3}'])
def test_an_index_that_is_none(folder, text):
    (folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(DataError, match="not an index"):
        load(folder)

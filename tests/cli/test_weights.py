import json

import pytest

from opencwm.model import weights
from opencwm.model.config import ModelConfig, layer_pattern
from opencwm.model.transformer import Transformer


@pytest.fixture
def folder(tmp_path):
    config = ModelConfig(
        vocab_size=300, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, layer_types=layer_pattern(3), sliding_window=64, max_position_embeddings=512,
    )  # fmt: skip
    model = Transformer(config)
    model.initialise(0)
    weights.save(model, tmp_path / "tiny")
    return "tiny"


def test_a_model_is_inspected_and_converted_there_and_back(opencwm, folder):
    facts = json.loads(opencwm("weights", "inspect", folder, "--json").stdout)
    assert (facts["layout"], facts["architecture"], facts["dtypes"]) == ("hf", "cwm", "bfloat16")
    assert facts["cache_bytes_at_full_context"] == (2 * 512 + 64) * 2 * 8 * 2 < facts["cache_bytes_without_windows"]
    there = opencwm("weights", "convert", folder, "dcp", "--to", "dcp")
    assert (there.returncode, there.stderr) == (0, "")
    assert opencwm("weights", "convert", "dcp", "back").returncode == 0
    again = json.loads(opencwm("weights", "inspect", "back", "--json").stdout)
    assert {**again, "folder": facts["folder"]} == facts
    refused = opencwm("weights", "convert", "dcp", "back")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: back is there already")


def test_what_is_no_checkpoint_is_said(opencwm):
    done = opencwm("weights", "inspect", "nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: nothing holds no checkpoint")

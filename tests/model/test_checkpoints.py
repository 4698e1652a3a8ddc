"""A small model in each layout: the same model comes back, and nothing wrong goes through."""

import json
import pickle
import struct
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file, save_file
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
from transformers import CwmForCausalLM

from opencwm.errors import ConfigError, DataError
from opencwm.model import checkpoints, native, shapes, weights
from opencwm.model.checkpoints import convert, expected_shapes, open_checkpoint
from opencwm.model.config import ModelConfig, RopeScaling, layer_pattern
from opencwm.model.transformer import Transformer
from opencwm.train import checkpoint

CONFIG = ModelConfig(
    vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=6, num_attention_heads=4,
    num_key_value_heads=2, head_dim=16, layer_types=layer_pattern(6), sliding_window=8, max_position_embeddings=256,
    rope_theta=1e4, rope_scaling=RopeScaling(original_max_position_embeddings=32), bos_token_id=44,
    eos_token_id=(45, 52, 53),
)  # fmt: skip
TOKENS = torch.randint(0, 300, (40,), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def model():
    made = Transformer(CONFIG)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(1.0 if parameter.ndim == 1 else 0.0, 0.3, generator=generator)
    return made.eval()


@pytest.fixture
def folder(model, tmp_path):
    weights.save(model, tmp_path / "hf", dtype=torch.float32)
    return tmp_path / "hf"


def native_logits(tensors: dict[str, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    """The native layout as its own code reads it, in float64: RoPE on interleaved pairs, `window_left` = window - 1."""
    t = {name: tensor.double() for name, tensor in tensors.items()}
    heads, kv, size, length = 4, 2, 16, len(tokens)

    def norm(x, name):
        return x / (x.pow(2).mean(-1, keepdim=True) + CONFIG.rms_norm_eps).sqrt() * t[name]

    made = Transformer(CONFIG)
    angles = torch.arange(length).double()[:, None] * made.frequencies.double()[None]
    turns = torch.polar(torch.ones_like(angles), angles)[:, None]

    def rotated(x):
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * turns).flatten(-2)

    x = t["tok_embeddings.weight"][tokens]
    for n in range(6):
        at = f"layers.{n}."
        h = norm(x, at + "attention_norm.weight")
        q = rotated((h @ t[at + "attention.wq.weight"].T).view(length, heads, size))
        k = rotated((h @ t[at + "attention.wk.weight"].T).view(length, kv, size)).repeat_interleave(2, dim=1)
        v = (h @ t[at + "attention.wv.weight"].T).view(length, kv, size).repeat_interleave(2, dim=1)
        distance = torch.arange(length)[:, None] - torch.arange(length)[None]
        left = length if n % 4 == 0 or n == 5 else 7
        scores = torch.einsum("qhd,khd->hqk", q, k) / size**0.5
        scores = scores.masked_fill((distance < 0) | (distance > left), float("-inf"))
        out = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v).flatten(1)
        x = x + out @ t[at + "attention.wo.weight"].T
        h = norm(x, at + "ffn_norm.weight")
        gate = torch.nn.functional.silu(h @ t[at + "feed_forward.w1.weight"].T)
        x = x + (gate * (h @ t[at + "feed_forward.w3.weight"].T)) @ t[at + "feed_forward.w2.weight"].T
    return norm(x, "norm.weight") @ t["output.weight"].T


def test_the_native_layout_computes_the_same_logits_and_comes_back_the_same(model, folder, tmp_path):
    convert(folder, tmp_path / "dcp", "dcp")
    with checkpoints.alone():
        dcp_to_torch_save(tmp_path / "dcp", tmp_path / "native.pt")
    tensors = torch.load(tmp_path / "native.pt", weights_only=True)
    native_names = {name.removeprefix("model."): tensor for name, tensor in flat(tensors).items()}
    expected = model.score(TOKENS, [40])
    difference = (native_logits(native_names, TOKENS) - expected).abs().max()
    assert difference <= 1e-5 * expected.abs().max()

    convert(tmp_path / "dcp", tmp_path / "back", "hf")
    again = weights.load(tmp_path / "back")
    assert again.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values(), strict=True))
    theirs = CwmForCausalLM.from_pretrained(tmp_path / "back", dtype=torch.float32, attn_implementation="sdpa")
    with torch.no_grad():
        assert (theirs(TOKENS[None]).logits[0] - expected).abs().max() <= 1e-5 * expected.abs().max()


def flat(tree, prefix=""):
    found = {}
    for name, value in tree.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def test_without_the_permutation_the_logits_would_be_others(model, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(native, "_reordered", lambda name, tensor, config, pairs: tensor)
    convert(folder, tmp_path / "dcp", "dcp")
    with checkpoints.alone():
        dcp_to_torch_save(tmp_path / "dcp", tmp_path / "native.pt")
    tensors = flat(torch.load(tmp_path / "native.pt", weights_only=True))
    logits = native_logits({name.removeprefix("model."): tensor for name, tensor in tensors.items()}, TOKENS)
    assert (logits - model.score(TOKENS, [40])).abs().max() > 0.1


def test_a_training_run_becomes_a_model_folder(model, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps({f"model.{key}": value for key, value in CONFIG.to_hf().items()}))
    checkpoint.Saver(run).save(model, [], checkpoint.Progress())
    convert(run, tmp_path / "hf", "hf", dtype=torch.bfloat16)
    kept = weights.load(tmp_path / "hf", dtype=torch.bfloat16)
    assert torch.equal(kept.lm_head.weight, model.lm_head.weight.bfloat16())
    assert kept.config == CONFIG
    (run / "config.json").write_text("[]")
    with pytest.raises(ConfigError, match="does not describe a run"):
        open_checkpoint(run)


def test_large_models_are_sharded_with_an_index(model, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SHARD_BYTES", 20_000)
    convert(folder, tmp_path / "sharded", "hf")
    names = sorted(path.name for path in (tmp_path / "sharded").glob("*.safetensors"))
    assert len(names) > 2
    assert names[0] == f"model-00001-of-{len(names):05d}.safetensors"
    index = json.loads((tmp_path / "sharded" / weights.INDEX).read_text())
    assert index["metadata"]["total_size"] == 4 * model.num_parameters == 4 * open_checkpoint(folder).num_parameters
    for name in names:
        held = load_file(tmp_path / "sharded" / name)
        assert len(held) == 1 or sum(tensor.nbytes for tensor in held.values()) <= 20_000
        assert struct.unpack("<Q", (tmp_path / "sharded" / name).read_bytes()[:8])[0] % 8 == 0  # tensors are aligned
    theirs = CwmForCausalLM.from_pretrained(tmp_path / "sharded", dtype=torch.float32)
    assert torch.equal(theirs.lm_head.weight, model.lm_head.weight)
    assert torch.equal(weights.load(tmp_path / "sharded").lm_head.weight, model.lm_head.weight)


@pytest.mark.parametrize("layout", ["hf", "dcp"])
def test_one_tensor_is_held_at_a_time(folder, tmp_path, monkeypatch, layout):
    alive, most = weakref.WeakSet(), 0
    opened = checkpoints.open_checkpoint

    def counted(path):
        checkpoint = opened(path)

        def read(name):
            nonlocal most
            tensor = checkpoint.read(name).clone()
            alive.add(tensor)
            most = max(most, len(alive))
            return tensor

        return replace(checkpoint, read=read)

    monkeypatch.setattr(checkpoints, "open_checkpoint", counted)
    convert(folder, tmp_path / "out", layout, dtype=torch.bfloat16)
    assert 1 <= most <= 2  # the next is read before the name of the last is bound anew
    assert set(opened(tmp_path / "out").dtypes.values()) == {torch.bfloat16}


@pytest.mark.parametrize("change", ["missing", "surplus", "misshapen"])
def test_a_wrong_tensor_is_named_and_nothing_is_written(model, tmp_path, change):
    tensors = dict(model.state_dict())
    name = "model.layers.3.mlp.up_proj.weight"
    if change == "missing":
        del tensors[name]
    elif change == "surplus":
        tensors[name := "model.layers.3.mlp.up_proj.bias"] = torch.zeros(48)
    else:
        tensors[name] = torch.zeros(48, 31)
    (tmp_path / "hf").mkdir()
    CONFIG.save(tmp_path / "hf")
    save_file(tensors, tmp_path / "hf" / weights.WEIGHTS)
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        convert(tmp_path / "hf", tmp_path / "out", "dcp")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hf"]


@pytest.mark.parametrize("name", ["model.layers.0.attention.wq.bias", "norm.weight"])
def test_a_surplus_tensor_of_a_distributed_checkpoint_is_named(folder, tmp_path, name):
    convert(folder, tmp_path / "dcp", "dcp")
    surplus = {name: torch.zeros(64)}
    params = (tmp_path / "dcp" / "params.json").read_text()
    with checkpoints.alone():
        dcp.save(surplus, storage_writer=dcp.FileSystemWriter(tmp_path / "odd"), no_dist=True)
    (tmp_path / "odd" / "params.json").write_text(params)
    with pytest.raises(DataError, match=f"unknown tensor {name}"):
        open_checkpoint(tmp_path / "odd")


def test_what_the_native_layout_cannot_say_is_refused_and_nothing_is_left(tmp_path):
    model = Transformer(replace(CONFIG, qk_norm=True, rope_scaling=None))
    model.initialise(0)
    weights.save(model, tmp_path / "hf")
    with pytest.raises(ConfigError, match="no qk_norm"):
        convert(tmp_path / "hf", tmp_path / "out", "dcp")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hf"]
    with pytest.raises(ConfigError, match="layer pattern"):
        native.to_params(replace(CONFIG, layer_types=("sliding_attention",) * 5 + ("full_attention",)))


def test_an_index_that_asks_for_anything_else_is_not_read(folder, tmp_path):
    class Harmful:
        def __init__(self, *call):
            self.call = call

        def __reduce__(self):
            return self.call

    convert(folder, tmp_path / "dcp", "dcp")
    for harm in (Harmful(Path.touch, (tmp_path / "touched",)), Harmful(torch.compile, (None,))):
        (tmp_path / "dcp" / ".metadata").write_bytes(pickle.dumps(harm))
        with pytest.raises(DataError, match="is not the index"):
            open_checkpoint(tmp_path / "dcp")
    assert not (tmp_path / "touched").exists()


def test_types_that_safetensors_files_of_models_do_not_have_are_said(model, folder, tmp_path):
    convert(folder, tmp_path / "dcp", "dcp", dtype=torch.int16)
    with pytest.raises(DataError, match=r"is of type torch\.int16"):
        convert(tmp_path / "dcp", tmp_path / "out", "hf")
    save_file({name: tensor.long() for name, tensor in model.state_dict().items()}, folder / weights.WEIGHTS)
    with pytest.raises(DataError, match="is of type I64"):
        open_checkpoint(folder)


@pytest.mark.parametrize("config", [CONFIG, shapes.paper_32b(), shapes.small()], ids=["tiny", "32b", "small"])
def test_every_name_and_configuration_maps_there_and_back(config):
    made = {native.to_native_name(name): shape for name, shape in expected_shapes(config).items()}
    assert {native.to_hf_name(name) for name in made} == set(expected_shapes(config))
    again = native.from_params(native.to_params(config), made, where="params.json")
    ids = {"bos_token_id": config.bos_token_id, "eos_token_id": config.eos_token_id}
    assert replace(again, **ids) == config
    if config.vocab_size == 128_256:
        assert again == config


def test_bad_folders_are_said(tmp_path, folder):
    with pytest.raises(ConfigError, match="holds no checkpoint"):
        open_checkpoint(tmp_path)
    with pytest.raises(ConfigError, match="there already"):
        convert(folder, tmp_path, "hf")
    with pytest.raises(ConfigError, match="there is no folder"):
        convert(folder, tmp_path / "nowhere" / "out", "hf")
    (folder / "tokenizer.json").write_text("{}")
    convert(folder, tmp_path / "dcp", "dcp")
    assert (tmp_path / "dcp" / "tokenizer.json").read_text() == "{}"
    shard = next((tmp_path / "dcp").glob("*.distcp"))
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(DataError, match="cannot be read"):
        convert(tmp_path / "dcp", tmp_path / "out", "hf")
    assert not (tmp_path / "out").exists()
    (tmp_path / "dcp" / "params.json").write_text("nonsense")
    with pytest.raises(ConfigError, match="does not describe a model"):
        open_checkpoint(tmp_path / "dcp")
    (tmp_path / "dcp" / "params.json").unlink()
    with pytest.raises(ConfigError, match=r"no params\.json"):
        open_checkpoint(tmp_path / "dcp")

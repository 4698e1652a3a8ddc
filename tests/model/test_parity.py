"""Our decoder against transformers', with the same weights, both ways."""

import pytest
import torch
import transformers

from opencwm.errors import ConfigError
from opencwm.model.config import ModelConfig, RopeScaling, layer_pattern
from opencwm.model.rope import frequencies
from opencwm.model.transformer import Transformer
from opencwm.model.weights import export_note, load, save

LENGTH = 40
WINDOW = 8
LARGEST_DIFFERENCE = 1e-5
"""Of the largest logit."""


def make(*, qk_norm: bool, every: int = 4, pad: int | None = 2) -> Transformer:
    """Random weights large enough that attention is far from uniform."""
    config = ModelConfig(
        vocab_size=300,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        layer_types=layer_pattern(6, every=every),
        sliding_window=WINDOW,
        max_position_embeddings=4096,
        qk_norm=qk_norm,
        rope_scaling=None if qk_norm else RopeScaling(original_max_position_embeddings=32),
        rope_theta=1e4,
        pad_token_id=pad,
    )
    assert config.layer_types[-1] == "full_attention"
    model = Transformer(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                parameter.normal_(0, 0.5 if "embed" in name or "head" in name else 0.2, generator=generator)
    return model.eval()


def reference_class(qk_norm: bool):
    return transformers.Qwen3ForCausalLM if qk_norm else transformers.CwmForCausalLM


def same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return bool((ours - theirs).abs().max() <= LARGEST_DIFFERENCE * theirs.abs().max())


tokens = torch.randint(0, 300, (LENGTH,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("qk_norm", [False, True], ids=["cwm", "qwen3"])
@pytest.mark.parametrize("every", [4, 2])
def test_transformers_loads_ours_and_gets_the_same_logits(tmp_path, qk_norm, every):
    model = make(qk_norm=qk_norm, every=every)
    save(model, tmp_path, dtype=torch.float32)
    theirs, report = reference_class(qk_norm).from_pretrained(
        tmp_path, attn_implementation="sdpa", dtype=torch.float32, output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert tuple(theirs.config.layer_types) == model.config.layer_types
    with torch.no_grad():
        assert same(model.score(tokens, [LENGTH]), theirs(tokens[None]).logits[0])


@pytest.mark.parametrize("qk_norm", [False, True], ids=["cwm", "qwen3"])
def test_we_load_theirs_and_get_the_same_logits(tmp_path, qk_norm):
    config_class = transformers.Qwen3Config if qk_norm else transformers.CwmConfig
    theirs = reference_class(qk_norm)(config_class.from_dict(make(qk_norm=qk_norm).config.to_hf()))
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.2, generator=torch.Generator().manual_seed(parameter.shape[0]))
    theirs = theirs.float().eval()
    theirs.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    theirs.set_attn_implementation("sdpa")
    model = load(tmp_path)
    with torch.no_grad():
        assert same(model.score(tokens, [LENGTH]), theirs(tokens[None]).logits[0])


@pytest.mark.parametrize("qk_norm", [False, True], ids=["cwm", "qwen3"])
def test_packed_documents_are_separate_ones(qk_norm):
    model = make(qk_norm=qk_norm)
    lengths = [3, 20, 1, 16]
    with torch.no_grad():
        packed = model.score(tokens, lengths)
        alone = torch.cat([model.score(part, [len(part)]) for part in tokens.split(lengths)])
        whole = model.score(tokens, [LENGTH])
    assert torch.allclose(packed, alone, rtol=0, atol=1e-4)
    assert not torch.allclose(packed, whole, rtol=0, atol=1e-1)


def test_the_window_matters():
    """Otherwise the logits above would agree for the wrong reason."""
    model = make(qk_norm=True)
    wide = make(qk_norm=True)
    wide.config = model.config.__class__(
        **{name: getattr(model.config, name) for name in model.config.__slots__} | {"sliding_window": 400}
    )
    with torch.no_grad():
        narrow_logits, wide_logits = model.score(tokens, [LENGTH]), wide.score(tokens, [LENGTH])
    assert torch.allclose(narrow_logits[:WINDOW], wide_logits[:WINDOW], atol=1e-4)
    assert not torch.allclose(narrow_logits[WINDOW:], wide_logits[WINDOW:], atol=1e-1)


@pytest.mark.parametrize("scaling", [RopeScaling(), RopeScaling(factor=8.0, original_max_position_embeddings=64)])
def test_llama3_frequencies_are_transformers(scaling):
    parameters = {
        "rope_type": "llama3",
        "rope_theta": 1e6,
        "factor": scaling.factor,
        "low_freq_factor": scaling.low_freq_factor,
        "high_freq_factor": scaling.high_freq_factor,
        "original_max_position_embeddings": scaling.original_max_position_embeddings,
    }
    config = transformers.CwmConfig(head_dim=128, rope_parameters=parameters, layer_types=["full_attention"] * 64)
    init = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"]
    expected, attention_factor = init(config, torch.device("cpu"))
    assert attention_factor == 1.0
    ours = frequencies(128, 1e6, scaling)
    assert torch.allclose(ours, expected, rtol=1e-6, atol=0)
    assert not torch.allclose(ours, frequencies(128, 1e6, None))


def test_a_windowed_qwen3_export_says_what_vllm_loses():
    assert "vLLM ignores" in (export_note(make(qk_norm=True).config) or "")
    assert export_note(make(qk_norm=False).config) is None


def test_qk_norm_and_scaled_rope_do_not_go_together():
    fields = {name: getattr(make(qk_norm=True).config, name) for name in ModelConfig.__slots__}
    with pytest.raises(ConfigError, match="qk_norm"):
        ModelConfig(**fields | {"rope_scaling": RopeScaling()})

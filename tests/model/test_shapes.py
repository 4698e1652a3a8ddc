import torch
from transformers import CwmConfig, CwmForCausalLM

from opencwm.infer.kv_cache import cache_bytes
from opencwm.model import shapes
from opencwm.model.checkpoints import expected_shapes
from opencwm.model.transformer import Transformer


def test_the_32b_is_the_released_one_to_the_last_tensor():
    config = shapes.paper_32b()
    with torch.device("meta"):
        ours, theirs = Transformer(config), CwmForCausalLM(CwmConfig(**config.to_hf()))
    assert ours.num_parameters == 32_581_097_472
    assert len(expected_shapes(config)) == 579
    assert expected_shapes(config) == {name: tuple(t.shape) for name, t in theirs.state_dict().items()}
    assert [n for n, kind in enumerate(config.layer_types) if kind == "full_attention"] == [*range(0, 64, 4), 63]


def test_sizes_are_what_they_are_called():
    for make, size in ((shapes.b1_8, 1.83e9), (shapes.small, 150e6), (shapes.nano, 6.8e6)):
        with torch.device("meta"):
            assert abs(Transformer(make()).num_parameters / size - 1) < 0.05, make


def test_windows_save_two_thirds_of_the_32bs_cache():
    config = shapes.paper_32b()
    assert cache_bytes(config, 131_072) == (17 * 131_072 + 47 * 8192) * 4096 == 10_703_863_808
    assert cache_bytes(config, 131_072, has_windows=False) == 64 * 131_072 * 4096 == 34_359_738_368
    assert cache_bytes(config, 100) == 64 * 100 * 4096

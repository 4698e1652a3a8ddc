import pytest
import torch
import torch.nn.functional as F
from tiny_models import VOCAB, tiny_model

from opencwm.infer.engine import Engine
from opencwm.infer.resolve import NANO
from opencwm.model.quantize import FEW_ROWS, Int8Linear, quantize


def weight(rows: int, columns: int) -> torch.Tensor:
    """Rows of very different sizes, one of them zero."""
    generator = torch.Generator().manual_seed(0)
    sizes = torch.logspace(-4, 2, rows)
    sizes[3] = 0
    return torch.randn(rows, columns, generator=generator) * sizes[:, None]


def test_a_weight_is_off_by_half_a_step_at_most():
    original = weight(33, 64)
    layer = Int8Linear(original)
    error = (layer.weight.float() * layer.scale.float()[:, None] - original).abs()
    assert layer.weight.dtype == torch.int8
    assert (error <= layer.scale.float()[:, None] * 0.5001).all()
    assert (layer.weight.abs().amax(dim=1)[original.abs().amax(dim=1) > 0] >= 126).all()  # all of the range is used


@pytest.mark.parametrize("num_rows", [1, FEW_ROWS, FEW_ROWS + 1, 40])
def test_the_product_is_that_of_the_rounded_weight(num_rows):
    layer = Int8Linear(weight(48, 64))
    x = torch.randn(num_rows, 64, generator=torch.Generator().manual_seed(1)).bfloat16()
    expected = F.linear(x.double(), layer.weight.double() * layer.scale.double()[:, None])
    size = expected.abs().amax(dim=0)
    out = layer(x)
    assert out.dtype == torch.bfloat16
    assert ((out.double() - expected).abs() <= 0.02 * size).all()


@pytest.mark.parametrize("qk_norm", [False, True])
def test_a_quantised_model_is_near_the_original(qk_norm):
    model = tiny_model(qk_norm=qk_norm)
    tokens = torch.randint(0, VOCAB, (60,), generator=torch.Generator().manual_seed(2))
    size, angles = model.num_parameters, model.frequencies.clone()
    with torch.no_grad():
        before = model.score(tokens, [25, 35])
        after = quantize(model).score(tokens, [25, 35])
    assert model.num_parameters == size
    assert torch.equal(model.frequencies, angles)
    assert {p.dtype for block in model.model.layers for p in block.parameters() if p.ndim == 2} == {torch.int8}
    assert model.lm_head.weight.dtype == model.model.embed_tokens.weight.dtype == torch.bfloat16
    assert torch.corrcoef(torch.stack([before.flatten(), after.float().flatten()]))[0, 1] > 0.99


def test_nano_says_the_same_in_int8():
    whole, int8 = (Engine.load(NANO, dtype=dtype, threads=1) for dtype in (torch.bfloat16, torch.int8))
    assert whole.tokenizer is not None
    tokens = whole.tokenizer.encode(
        "def f(xs):\n    total = 0\n    for x in xs:\n        total += x\n    return total\n"
    )
    (before,), (after,) = whole.score([tokens]), int8.score([tokens])
    assert sum(a == b for a, b in zip(before.argmax, after.argmax, strict=True)) >= 0.9 * len(before.argmax)
    assert before.logprobs != after.logprobs

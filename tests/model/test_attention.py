import pytest
import torch
from torch import Tensor

from opencwm.model.attention import PackedAttention
from opencwm.model.config import ModelConfig

HEADS, KV_HEADS, HEAD_DIM = 4, 2, 8


def config(window: int) -> ModelConfig:
    """Layer 0 is global, layer 1 local."""
    return ModelConfig(
        vocab_size=10,
        hidden_size=HEADS * HEAD_DIM,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=HEAD_DIM,
        layer_types=("full_attention", "sliding_attention"),
        sliding_window=window,
        max_position_embeddings=1024,
    )


def naive(q: Tensor, k: Tensor, v: Tensor, lengths: list[int], window: int | None) -> Tensor:
    """One query and one head at a time, by the definition."""
    rows, start = [], 0
    for length in lengths:
        for at in range(length):
            first = 0 if window is None else max(0, at - window + 1)
            keys = slice(start + first, start + at + 1)
            heads = []
            for head in range(HEADS):
                group = head // (HEADS // KV_HEADS)
                scores = (k[keys, group] @ q[start + at, head]) / HEAD_DIM**0.5
                heads.append(scores.softmax(0) @ v[keys, group])
            rows.append(torch.stack(heads))
        start += length
    return torch.stack(rows)


def tensors(length: int, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(length, HEADS, HEAD_DIM), (length, KV_HEADS, HEAD_DIM), (length, KV_HEADS, HEAD_DIM)]
    made = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]
    return made[0].requires_grad_(), made[1].requires_grad_(), made[2].requires_grad_()


CASES = [[1], [5], [16, 1, 9], [7, 40, 3], [33, 31]]


@pytest.mark.parametrize("lengths", CASES, ids=str)
@pytest.mark.parametrize(("layer", "window"), [(0, 8), (1, 8), (1, 1), (1, 500)])
def test_values_and_gradients_are_the_definition_s(lengths, layer, window):
    width = window if layer else None
    ours = tensors(sum(lengths), torch.float64)
    reference = tensors(sum(lengths), torch.float64)
    out = PackedAttention(config(window), lengths)(layer, *ours)
    expected = naive(*reference, lengths, width)
    assert torch.allclose(out, expected, rtol=0, atol=1e-12)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (out * weight).sum().backward()
    (expected * weight).sum().backward()
    for mine, theirs in zip(ours, reference, strict=True):
        assert torch.allclose(mine.grad, theirs.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 2e-6), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("layer", [0, 1])
def test_lower_precisions_stay_near(dtype, atol, layer):
    lengths = [300, 20]
    q, k, v = tensors(320, dtype)
    out = PackedAttention(config(16), lengths)(layer, q, k, v)
    expected = naive(q.double(), k.double(), v.double(), lengths, 16 if layer else None)
    assert out.dtype == dtype
    assert torch.allclose(out.double(), expected, rtol=0, atol=atol)
    out.sum().backward()
    assert q.grad is not None
    assert q.grad.dtype == dtype

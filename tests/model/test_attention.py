import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from opencwm.model import attention_blocks
from opencwm.model.attention import PackedAttention
from opencwm.model.attention_blocks import BlockAttention
from opencwm.model.attention_flex import FlexAttention
from opencwm.model.config import ModelConfig

HEAD_DIM = 8


def naive(q: Tensor, k: Tensor, v: Tensor, lengths: list[int], window: int | None) -> Tensor:
    """One query and one head at a time, by the definition."""
    rows, start, groups = [], 0, q.shape[1] // k.shape[1]
    for length in lengths:
        for at in range(length):
            first = 0 if window is None else max(0, at - window + 1)
            keys = slice(start + first, start + at + 1)
            heads = []
            for head in range(q.shape[1]):
                scores = (k[keys, head // groups] @ q[start + at, head]) / HEAD_DIM**0.5
                heads.append(scores.softmax(0) @ v[keys, head // groups])
            rows.append(torch.stack(heads))
        start += length
    return torch.stack(rows)


def tensors(
    length: int, dtype: torch.dtype, *, heads: int = 4, kv_heads: int = 2, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(length, heads, HEAD_DIM), (length, kv_heads, HEAD_DIM), (length, kv_heads, HEAD_DIM)]
    made = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]
    return made[0].requires_grad_(), made[1].requires_grad_(), made[2].requires_grad_()


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], int | None, int, int]:
    """Documents, a window, key-value heads and groups; blocks are small beside them."""
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=4))
    return lengths, draw(st.none() | st.integers(1, 50)), draw(st.integers(1, 2)), draw(st.integers(1, 3))


@pytest.fixture(params=["short windows", "by document"])
def small_blocks(request, monkeypatch):
    monkeypatch.setattr(attention_blocks, "QUERY_BLOCK", 12)
    monkeypatch.setattr(attention_blocks, "LENGTH_STEP", 4)
    monkeypatch.setattr(attention_blocks, "SHORT_WINDOW", 100 if request.param == "short windows" else 0)


@pytest.mark.usefixtures("small_blocks")
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=["function_scoped_fixture"])
@given(case=cases())
def test_values_and_gradients_are_the_definition_s(case):
    lengths, window, kv_heads, groups = case
    sizes = {"heads": kv_heads * groups, "kv_heads": kv_heads}
    ours = tensors(sum(lengths), torch.float64, **sizes)
    reference = tensors(sum(lengths), torch.float64, **sizes)
    out = BlockAttention(lengths)(*ours, window)
    expected = naive(*reference, lengths, window)
    assert torch.allclose(out, expected, rtol=0, atol=1e-12)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (out * weight).sum().backward()
    (expected * weight).sum().backward()
    for mine, theirs in zip(ours, reference, strict=True):
        assert torch.allclose(mine.grad, theirs.grad, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@settings(max_examples=6, deadline=None, derandomize=True)
@given(case=cases())
def test_flex_attention_sees_the_same(case):
    lengths, window, kv_heads, groups = case
    made = tensors(sum(lengths), torch.float32, heads=kv_heads * groups, kv_heads=kv_heads)
    q, k, v = (x.detach() for x in made)  # it has no backward pass on a CPU
    out = FlexAttention(lengths)(q, k, v, window)
    expected = naive(q.double(), k.double(), v.double(), lengths, window)
    assert torch.allclose(out.double(), expected, rtol=0, atol=2e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("window", [None, 100])
def test_on_a_gpu_values_and_gradients_are_the_definition_s(window):
    lengths = [200, 1, 150]
    ours = [x.detach().cuda().requires_grad_() for x in tensors(sum(lengths), torch.float32)]
    reference = tensors(sum(lengths), torch.float64)
    out = FlexAttention(lengths)(*ours, window)
    expected = naive(*reference, lengths, window)
    assert torch.allclose(out.double().cpu(), expected, rtol=0, atol=1e-2)
    out.sum().backward()
    expected.sum().backward()
    for mine, theirs in zip(ours, reference, strict=True):
        assert torch.allclose(mine.grad.double().cpu(), theirs.grad, rtol=0, atol=5e-2)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 2e-6), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("window", [None, 16])
def test_lower_precisions_stay_near(dtype, atol, window):
    lengths = [300, 20]
    q, k, v = tensors(320, dtype)
    out = BlockAttention(lengths)(q, k, v, window)
    expected = naive(q.double(), k.double(), v.double(), lengths, window)
    assert out.dtype == dtype
    assert torch.allclose(out.double(), expected, rtol=0, atol=atol)
    out.sum().backward()
    assert q.grad is not None
    assert q.grad.dtype == dtype


def config(window: int) -> ModelConfig:
    """Layer 0 is global, layer 1 local."""
    return ModelConfig(
        vocab_size=10,
        hidden_size=4 * HEAD_DIM,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=HEAD_DIM,
        layer_types=("full_attention", "sliding_attention"),
        sliding_window=window,
        max_position_embeddings=1024,
    )


@pytest.mark.parametrize(("layer", "global_window", "seen"), [(0, None, None), (0, 9, 9), (1, None, 5), (1, 9, 5)])
def test_a_layer_sees_its_window(layer, global_window, seen):
    lengths = [30, 12]
    q, k, v = tensors(42, torch.float64)
    out = PackedAttention(config(5), lengths, global_window=global_window)(layer, q, k, v)
    assert torch.allclose(out, naive(q, k, v, lengths, seen), rtol=0, atol=1e-12)


def test_lengths_that_do_not_add_up_are_a_mistake_of_the_caller():
    with pytest.raises(AssertionError, match="42 tokens, lengths add to 41"):
        PackedAttention(config(5), [30, 11])(0, *tensors(42, torch.float64))

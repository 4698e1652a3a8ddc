import torch
from torch import nn

from opencwm.model.config import ModelConfig
from opencwm.model.transformer import Transformer
from opencwm.train.optim import Muon, OptimConfig, build, orthogonalise


def test_orthogonalise_gives_singular_values_near_one_and_keeps_the_directions():
    torch.manual_seed(0)
    stack = torch.randn(3, 24, 60)
    result = orthogonalise(stack).float()
    for before, after in zip(stack, result, strict=True):
        values = torch.linalg.svdvals(after)
        assert values.max() < 1.3
        assert values.min() > 0.4
        u, _, vh = torch.linalg.svd(before, full_matrices=False)
        exact = u @ vh
        assert nn.functional.cosine_similarity(exact.flatten(), after.flatten(), dim=0) > 0.95


def test_stacked_updates_equal_the_update_of_each_matrix_alone():
    torch.manual_seed(0)
    together = [nn.Parameter(torch.randn(8, 12)) for _ in range(3)]
    alone = [nn.Parameter(p.detach().clone()) for p in together]
    stacked = Muon(together, lr=0.1, momentum=0.9, weight_decay=0.1)
    single = [Muon([p], lr=0.1, momentum=0.9, weight_decay=0.1) for p in alone]
    for _ in range(3):
        for a, b in zip(together, alone, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        stacked.step()
        for optimizer in single:
            optimizer.step()
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-2, atol=2e-3)  # bf16 products of other shapes


def test_one_step_is_the_published_one():
    """From nothing: U of the gradient, scaled by the root of rows over columns for a tall matrix, after the decay."""
    torch.manual_seed(0)
    for rows, columns, scale in ((32, 8, 2.0), (8, 32, 1.0)):
        before = torch.randn(rows, columns)
        parameter = nn.Parameter(before.clone())
        parameter.grad = torch.randn(rows, columns)
        Muon([parameter], lr=0.1, momentum=0.9, weight_decay=0.5).step()
        u, _, vh = torch.linalg.svd(parameter.grad, full_matrices=False)
        moved = parameter.detach() - before * (1 - 0.1 * 0.5)
        assert nn.functional.cosine_similarity((-u @ vh).flatten(), moved.flatten(), dim=0) > 0.95
        assert abs(moved.norm() / (u @ vh).norm() / (0.1 * scale) - 1) < 0.2


def test_every_parameter_has_exactly_one_optimizer():
    config = ModelConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, layer_types=("sliding_attention", "full_attention"), sliding_window=8,
        max_position_embeddings=64, qk_norm=True,
    )  # fmt: skip
    model = Transformer(config)
    for kind, count in (("muon", 2), ("adamw", 1)):
        optimizers = build(model, OptimConfig(kind=kind))
        assert len(optimizers) == count
        owned = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
        assert sorted(owned) == sorted(id(p) for p in model.parameters())


def test_the_rate_of_the_log_is_that_of_the_blocks_matrices():
    shape = ModelConfig(
        vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, layer_types=("full_attention",), sliding_window=8,
        max_position_embeddings=64,
    )  # fmt: skip
    model = Transformer(shape)
    matrix = model.model.layers[0].mlp.up_proj.weight
    for kind in ("muon", "adamw"):
        config = OptimConfig(kind=kind, lr=0.5, adam_lr=0.25)
        groups = [group for optimizer in build(model, config) for group in optimizer.param_groups]
        assert config.peak == next(g["lr"] for g in groups if any(p is matrix for p in g["params"]))

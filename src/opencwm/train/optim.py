"""The optimizers: AdamW for everything, or Muon for the matrices of the blocks and AdamW for the rest.

Muon (Jordan et al. 2024) replaces the momentum of a matrix by the nearest semi-orthogonal one, so that every direction
of the matrix moves alike:

    M <- beta M + G,   U = orthogonalise(G + beta M),   W <- W (1 - lr * decay) - lr * sqrt(max(1, rows / columns)) * U

The orthogonalisation is five steps of a quintic Newton-Schulz iteration with the published coefficients. Ours differs
in one way: matrices of the same shape are stacked, and the iteration runs as one batched product for all of them.
Where matrices are split over processes, each process gathers an equal part of the stack, whole matrices, and sends its
results back: nothing is computed twice, and the update is that of one process.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Shard

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # from the publication: steepest slope at zero that stays near one


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimConfig:
    kind: Literal["muon", "adamw"] = "muon"
    """muon: Muon for the blocks' matrices, AdamW for embedding, head and norms."""
    lr: float = 0.02
    """Peak learning rate of Muon; unused by adamw."""
    adam_lr: float = 0.004
    """Peak learning rate of AdamW."""
    momentum: float = 0.95
    """Muon's beta."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's betas (CWM section 4: 0.9, 0.95)."""
    weight_decay: float = 0.1
    """Decoupled, on matrices only; the fraction of a weight removed per step is lr times this."""
    clip: float | None = 1.0
    """Largest global norm of the gradient; None for off."""

    @property
    def peak(self) -> float:
        """The peak rate of the blocks' matrices: what a log shows."""
        return self.lr if self.kind == "muon" else self.adam_lr


class Muon(torch.optim.Optimizer):
    """Muon over 2-D parameters. Momentum is kept in the parameters' type."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        assert closure is None, "Muon takes no closure"
        for group in self.param_groups:
            alike: dict[Any, list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape, getattr(parameter, "placements", None)].append(parameter)
            for parameters in alike.values():
                self._step_stack(parameters, group)

    def _step_stack(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        updates: list[Tensor] = []
        for parameter in parameters:
            assert parameter.grad is not None
            momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
            momentum.mul_(group["momentum"]).add_(parameter.grad)
            updates.append(parameter.grad.add(momentum, alpha=group["momentum"]))
        rows, columns = parameters[0].shape
        scale = group["lr"] * max(1.0, rows / columns) ** 0.5
        stack = torch.stack(updates)
        directions = orthogonalise_split(stack) if isinstance(stack, DTensor) else orthogonalise(stack)
        for parameter, update in zip(parameters, directions.unbind(), strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.to(parameter.dtype), alpha=-scale)


def orthogonalise(stack: Tensor, *, steps: int = 5) -> Tensor:
    """The semi-orthogonal factor of each matrix of a stack (B, rows, columns), approximately; in bfloat16."""
    a, b, c = NEWTON_SCHULZ
    x = stack.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (x.float().norm(dim=(1, 2), keepdim=True).to(x.dtype) + 1e-7)
    for _ in range(steps):
        gram = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(1, 2) if tall else x


def orthogonalise_split(stack: DTensor) -> Tensor:
    """`orthogonalise`, each matrix on one of the processes that hold its parts; the result is split as `stack` is."""
    mesh, by_matrix = stack.device_mesh, [Shard(0)] * stack.device_mesh.ndim
    rounded = stack.bfloat16()
    assert isinstance(rounded, DTensor), type(rounded)
    mine = orthogonalise(rounded.redistribute(placements=by_matrix).to_local())
    done = DTensor.from_local(mine, mesh, by_matrix, run_check=False, shape=stack.shape, stride=stack.stride())
    return done.redistribute(placements=stack.placements)


def build(model: nn.Module, config: OptimConfig) -> list[torch.optim.Optimizer]:
    """The optimizers of what is trained of `model`; every group's initial `lr` is its peak."""
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in trained if p.ndim == 2 and ".layers." in name]
    tables = [p for name, p in trained if p.ndim == 2 and ".layers." not in name]
    vectors = [p for _, p in trained if p.ndim == 1]
    if config.kind == "adamw":
        tables, matrices = tables + matrices, []
    groups = [{"params": tables, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=config.adam_lr, betas=config.betas, eps=1e-10, fused=True)
    if not matrices:
        return [adam]
    return [Muon(matrices, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay), adam]

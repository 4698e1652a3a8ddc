"""Many processes that train one model: `torchrun --nproc-per-node 4 -m opencwm train RECIPE`.

    processes = data x tensor
    batch --each data rank its own rows--> model --tensor plan, recomputation, fully_shard--> loss, gradients, update

The weights, gradients and optimizer states of a model are split over the data ranks (FSDP2) and gathered block by
block when they are needed; with `tensor` > 1 the matrices of a block are cut as well, by heads and by inner columns,
and what lies between blocks by tokens (sequence parallelism). All of it stands on `DTensor`: names and shapes are
those of one process, so optimizers, clipping and checkpoints are too. A process alone goes the same way with nothing
to split. CWM (arXiv 2510.02387) trains with FSDP and tensor parallelism; its plan is not published, ours is the usual
one. Not here: pipelines, context parallelism, replicas of shards.
"""

import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    PrepareModuleOutput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)
from torch.utils.checkpoint import checkpoint

from opencwm.errors import ConfigError
from opencwm.model.device import choose_device
from opencwm.model.rope import frequencies
from opencwm.model.transformer import Transformer

TOKENS, HEADS = Shard(0), 1
"""Between blocks, activations (T, D) are split by tokens; queries and keys (T, N, H) by heads, which is dimension 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParallelConfig:
    data: int | None = None
    """Processes that each read their own rows; None: all that `tensor` leaves."""
    tensor: int = 1
    """Processes that share every matrix; at most the key-value heads, and best within one machine."""
    recompute: Literal["none", "selective", "full"] = "none"
    """Activations that are computed again for the backward pass instead of being kept. selective: all but those of the
    attention; full: everything inside a block."""

    def __post_init__(self) -> None:
        if self.tensor < 1 or (self.data is not None and self.data < 1):
            raise ConfigError("data and tensor count processes: they are at least 1")


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that train one model, as one of them sees them."""

    mesh: DeviceMesh | None = None
    """Two dimensions, `data` and `tensor`; None for a process alone."""
    saving: dist.ProcessGroup | None = None
    """The same processes once more, over the CPU: for checkpoints, which are written beside the training."""

    @property
    def is_first(self) -> bool:
        """Whether this is the one that prints and writes what all of them know."""
        return self.mesh is None or self.mesh.get_rank() == 0

    @property
    def num_data(self) -> int:
        return 1 if self.mesh is None else self.mesh["data"].size()

    @property
    def num_tensor(self) -> int:
        return 1 if self.mesh is None else self.mesh["tensor"].size()

    @property
    def data_rank(self) -> int:
        """Whose share of the rows this process reads; the same on all ranks of a tensor group."""
        return 0 if self.mesh is None else self.mesh["data"].get_local_rank()

    def sum(self, *numbers: float) -> list[float]:
        """Each number summed over the data ranks, the same on all."""
        if self.mesh is None:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64, device=self.mesh.device_type)
        dist.all_reduce(total, group=self.mesh["data"].get_group())
        return total.tolist()

    def any(self, flag: bool) -> bool:
        """Whether it is true on one of the processes."""
        if self.mesh is None:
            return flag
        found = torch.tensor(float(flag), device=self.mesh.device_type)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return bool(found)


ALONE = Processes()


def num_started() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1


@contextmanager
def together(config: ParallelConfig, device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started; ALONE where it did not. Raises ConfigError where their number is not
    what `config` asks for."""
    if not (dist.is_initialized() or dist.is_torchelastic_launched()):
        if (config.data or 1) * config.tensor > 1:
            number = (config.data or 1) * config.tensor
            raise ConfigError(
                f"parallel.data and parallel.tensor ask for {number} processes, this is one",
                fix=f"start them: torchrun --nproc-per-node {number} -m opencwm train ...",
            )
        yield ALONE
        return
    kind = choose_device(device).type
    if kind == "mps":
        raise ConfigError("many processes cannot share one mps device", fix="set loop.device=cpu")
    is_ours = not dist.is_initialized()
    if is_ours:
        if kind == "cuda":
            torch.cuda.set_device(dist.get_node_local_rank())
        dist.init_process_group("cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo")
    try:
        world = dist.get_world_size()
        data = config.data or world // config.tensor
        if data * config.tensor != world:
            raise ConfigError(
                f"{world} processes cannot be {config.data or 'some'} (data) x {config.tensor} (tensor)",
                fix="make parallel.data times parallel.tensor the number of processes",
            )
        # what it warns of (a hook on a view, an exchange in two steps) does no harm here
        logging.getLogger("torch.distributed.tensor").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module")
        mesh = init_device_mesh(kind, (data, config.tensor), mesh_dim_names=("data", "tensor"))
        yield Processes(mesh, dist.new_group(backend="gloo"))
    finally:
        if is_ours:
            dist.destroy_process_group()


def split(model: Transformer, processes: Processes, config: ParallelConfig, dtype: torch.dtype) -> None:
    """Cut `model` over the processes, in place; `dtype` is that of matrix products, and of the blocks' gathered
    weights. Every process must hold the same weights. Raises ConfigError where heads cannot be divided."""
    if processes.num_tensor > 1:
        cut_matrices(model, processes)
    if config.recompute != "none":
        for block in model.model.layers:
            recompute(block, config.recompute)
    if processes.mesh is not None and processes.num_data > 1:
        mesh = processes.mesh["data"]
        # in bf16 only the blocks' weights travel rounded, which autocast would do to them anyway (but for the norms)
        policy = MixedPrecisionPolicy(
            param_dtype=None if dtype == torch.float32 else dtype, reduce_dtype=torch.float32, cast_forward_inputs=False
        )
        for block in model.model.layers:
            fully_shard(block, mesh=mesh, mp_policy=policy)
        # embedding, last norm and head stay gathered from the forward pass on: `logits` is called after it
        fully_shard(model, mesh=mesh, reshard_after_forward=False)


def cut_matrices(model: Transformer, processes: Processes) -> None:
    """Tensor and sequence parallelism (Korthikanti et al. 2022) by DTensor plans."""
    assert processes.mesh is not None
    number, shape = processes.num_tensor, model.config
    if shape.num_key_value_heads % number or shape.intermediate_size % number:
        raise ConfigError(
            f"{shape.num_key_value_heads} key-value heads and {shape.intermediate_size} inner columns "
            f"cannot be cut into {number}",
            fix="lower parallel.tensor",
        )
    mesh = processes.mesh["tensor"]
    plan: dict[str, Any] = {
        "input_layernorm": SequenceParallel(sequence_dim=0),
        "self_attn": PrepareModuleInput(
            input_layouts=(TOKENS, None, None), desired_input_layouts=(Replicate(), None, None)
        ),
        "self_attn.o_proj": RowwiseParallel(output_layouts=TOKENS),
        "post_attention_layernorm": SequenceParallel(sequence_dim=0),
        "mlp": PrepareModuleInput(input_layouts=(TOKENS,), desired_input_layouts=(Replicate(),)),
        "mlp.down_proj": RowwiseParallel(output_layouts=TOKENS),
    }
    plan |= {name: ColwiseParallel() for name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")}
    plan |= {name: ColwiseParallel() for name in ("mlp.gate_proj", "mlp.up_proj")}
    if shape.qk_norm:
        heads = partial(SequenceParallel, sequence_dim=HEADS, use_local_output=True)
        plan |= {"self_attn.q_norm": heads(), "self_attn.k_norm": heads()}
    for block in model.model.layers:
        parallelize_module(block, mesh, plan)
    outside = {
        "model.embed_tokens": RowwiseParallel(input_layouts=Replicate(), output_layouts=TOKENS),
        "model.norm": SequenceParallel(sequence_dim=0, use_local_output=True),
        "lm_head": ColwiseParallel(input_layouts=Replicate(), output_layouts=Replicate()),
        "": PrepareModuleOutput(output_layouts=TOKENS, desired_output_layouts=Replicate()),
    }
    parallelize_module(model, mesh, outside)


def recompute(block: nn.Module, kind: Literal["selective", "full"]) -> None:
    """Have `block` keep its inputs only, and make the rest again when gradients are asked for."""
    for name in ("before", "after") if kind == "selective" else ("forward",):
        setattr(block, name, partial(checkpoint, getattr(block, name), use_reentrant=False))


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself, gathered where it is split; every process must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part(tensor: Tensor, *, like: Tensor) -> Tensor:
    """Of a tensor that every process holds whole, what is this one's where it is split as `like` is."""
    if not isinstance(like, DTensor):
        return tensor
    everywhere = [Replicate()] * like.device_mesh.ndim
    held = DTensor.from_local(tensor.to(like.device), like.device_mesh, everywhere, run_check=False)
    return held.redistribute(placements=like.placements)


@torch.no_grad()
def fill(model: Transformer, tensors: Iterable[tuple[str, Tensor]], device: torch.device) -> None:
    """Bring a split model from the meta device to `device` with these weights: names and whole tensors, of which every
    process holds one at a time and keeps its part."""
    model.to_empty(device=device)
    shape, parameters = model.config, dict(model.named_parameters())
    freqs = frequencies(shape.head_dim, shape.rope_theta, shape.rope_scaling).to(device)
    model.register_buffer("frequencies", freqs, persistent=False)
    for name, tensor in tensors:
        parameter = parameters.pop(name)
        parameter.copy_(part(tensor.to(parameter.dtype), like=parameter))
    assert not parameters, f"no weights for {sorted(parameters)}"

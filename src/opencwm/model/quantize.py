"""Weights in int8 for generation on a CPU: half the memory to read per token, and the same answers nearly always.

    weight (bf16) --rounded, one scale for each output channel--> int8, scale (bf16);   y = (x @ int8.T) * scale

Symmetric, weights only: activations stay in bf16. The matrices of the blocks are quantised; the embedding, of which one
row is read per token, and the head, whose small differences choose the token, are not. A scale is rounded to bf16
before the weights are rounded to its multiples, so that it adds no error of its own.

Not here: a format for such weights on disk. They are rounded when a model loads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from opencwm.model.transformer import Transformer

FEW_ROWS = 16
"""Up to this many tokens at once PyTorch's int8 kernel is quicker than widening the weights for a bf16 product:
measured with AMX."""
LARGEST = 127


class Int8Linear(nn.Module):
    """A linear layer without bias, its weight (out, in) in int8 and a scale (out,) per row."""

    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        scale = rounded_up((weight.detach().float().abs().amax(dim=1) / LARGEST).clamp(min=torch.finfo().tiny))
        rounded = (weight.detach().float() / scale.float()[:, None]).round().to(torch.int8)
        self.weight = nn.Parameter(rounded, requires_grad=False)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        if len(x) <= FEW_ROWS:
            return torch._weight_int8pack_mm(x.contiguous(), self.weight, self.scale)
        return F.linear(x, self.weight.to(x.dtype)) * self.scale


def rounded_up(x: Tensor) -> Tensor:
    """The next bf16 number that is not smaller, of positive ones."""
    down = x.bfloat16()
    return torch.where(down.float() < x, torch.nextafter(down, down.new_tensor(float("inf"))), down)


def quantize(model: Transformer) -> Transformer:
    """The same model, in place, with the blocks' matrices in int8 and everything else in bf16; for inference on a
    CPU."""
    frequencies = model.frequencies
    model.to(torch.bfloat16)
    model.frequencies = frequencies  # angles need float32
    for block in model.model.layers:
        for part in block.children():
            for name, layer in list(part.named_children()):
                if isinstance(layer, nn.Linear):
                    setattr(part, name, Int8Linear(layer.weight))
    return model

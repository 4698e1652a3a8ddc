"""Rotary position embeddings in Hugging Face's half-split form, with the llama3 scaling of CWM.

    angle(position, i) = position * frequency_i,   i = 0 .. H/2 - 1,   pairs (i, i + H/2) are rotated together

Meta's native checkpoints rotate interleaved pairs (2i, 2i + 1) instead; converting them permutes the rows of q and k.
"""

import math

import torch
from torch import Tensor

from opencwm.model.config import RopeScaling


def frequencies(head_dim: int, theta: float, scaling: RopeScaling | None) -> Tensor:
    """Radians per position of each pair, float32, shape (H/2,)."""
    freqs = 1.0 / (theta ** (torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim))
    if scaling is None:
        return freqs
    wavelengths = 2 * math.pi / freqs
    longest_kept = scaling.original_max_position_embeddings / scaling.high_freq_factor
    shortest_stretched = scaling.original_max_position_embeddings / scaling.low_freq_factor
    blend = (scaling.original_max_position_embeddings / wavelengths - scaling.low_freq_factor) / (
        scaling.high_freq_factor - scaling.low_freq_factor
    )
    mixed = (1 - blend) * freqs / scaling.factor + blend * freqs
    stretched = torch.where(wavelengths > shortest_stretched, freqs / scaling.factor, freqs)
    between = (wavelengths >= longest_kept) & (wavelengths <= shortest_stretched)
    return torch.where(between, mixed, stretched)


def rotation(positions_T: Tensor, freqs: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines of every position, each (T, 1, H): computed in float32, then rounded once to `dtype`."""
    angles = positions_T.float()[:, None] * freqs[None, :]
    angles = torch.cat([angles, angles], dim=-1)[:, None, :]
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x_TNH: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`x` turned by its position's angles."""
    half = x_TNH.shape[-1] // 2
    swapped = torch.cat([-x_TNH[..., half:], x_TNH[..., :half]], dim=-1)
    return x_TNH * cos + swapped * sin

"""`scaling-laws`: the batch size and the learning rate by compute, on models that a laptop trains in minutes.

opencwm train scaling-laws
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opencwm.train.scaling_laws import ScalingConfig


def train() -> "ScalingConfig":
    """Four budgets over a factor of 27; a ratio far below the paper's 40, which would leave nothing of the models."""
    from opencwm.train.scaling_laws import ScalingConfig

    return ScalingConfig(
        data=Path("runs/nano-data"),
        tokenizer=Path("runs/nano-tokenizer"),
        run=Path("runs/scaling-laws"),
        budgets=(1e11, 3e11, 9e11, 2.7e12),
        ratio=1.0,
    )

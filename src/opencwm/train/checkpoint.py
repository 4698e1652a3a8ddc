"""Training state on disk: everything that a resumed run needs to go on as if nothing had happened.

RUN/state.pt         weights, optimizer states, step, loader state (float32, written to a temporary name, renamed)
RUN/state.prev.pt    the one before, kept until the next is whole
RUN/model/           the weights in Hugging Face layout, when the run is done
"""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from opencwm.data.pack import PackState
from opencwm.errors import DataError

STATE = "state.pt"
PREVIOUS = "state.prev.pt"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands."""

    step: int = 0
    """Optimizer steps done."""
    num_tokens: int = 0
    """Tokens read, padding included."""
    seconds: float = 0.0
    """Time spent training, over all sessions."""
    loader: PackState = field(default_factory=PackState)
    norms: tuple[float, ...] = ()
    """Of the gradients of the last steps that were made: what a spike is measured against."""
    num_skipped: int = 0
    """Steps that were not made."""


def save(run: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer], progress: Progress) -> None:
    """Write the state of a run; a kill at any moment leaves the old one or the new one, whole."""
    temporary = run / (STATE + ".tmp")
    content = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "progress": asdict(progress),
    }
    with open(temporary, "wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    if (run / STATE).exists():
        os.replace(run / STATE, run / PREVIOUS)
    os.replace(temporary, run / STATE)


def load(run: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> Progress | None:
    """Restore what `save` wrote into `model` and `optimizers`; None where there is nothing to restore."""
    path = next((run / name for name in (STATE, PREVIOUS) if (run / name).exists()), None)
    if path is None:
        return None
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as exc:  # torch raises many types for a damaged file
        raise DataError(
            f"{path} is not a whole training state: {exc}", fix=f"move it away to go on from {PREVIOUS}"
        ) from exc
    model.load_state_dict(content["model"], strict=True)
    for optimizer, state in zip(optimizers, content["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    progress = dict(content["progress"])
    loader = progress.pop("loader")
    return Progress(**progress, loader=PackState.from_dict(loader))

"""Steps that are better not made: a gradient that is not finite, or far larger than those before it.

    norm of the gradient, norms of the last steps --reason_to_skip--> None (update), or why not

A skipped step has read its batch and counts as a step: the order of the data and the schedule stay what they were.
CWM's report does not say how it treats spikes; skipping by the norm is common practice.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from opencwm.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class SpikeConfig:
    factor: float | None = 20.0
    """A step is skipped where the norm is more than this many times the median of the last norms; None: only where it
    is not finite."""
    memory: int = 64
    """Norms that the median is taken of; nothing is called large before there are as many."""
    budget: int = 20
    """Steps a run may skip; the next one ends it, with its state saved before."""

    def __post_init__(self) -> None:
        if self.factor is not None and self.factor <= 1:
            raise ConfigError(f"factor is {self.factor}: a spike is larger than usual", fix="give more than 1, or none")
        if self.memory < 1 or self.budget < 0:
            raise ConfigError("memory must be at least 1 and budget at least 0")

    def reason_to_skip(self, norm: float, before: Sequence[float]) -> str | None:
        if not math.isfinite(norm):
            return "the gradient is not finite"
        if self.factor is None or len(before) < self.memory or norm <= self.factor * median(before):
            return None
        return f"the gradient's norm is {norm / median(before):.0f} times the usual one"

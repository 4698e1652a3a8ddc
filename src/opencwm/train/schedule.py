"""Learning-rate schedules: a factor in [0, 1] on every optimizer's peak rate, as a function of the step alone."""

import math
from dataclasses import dataclass
from typing import Literal

from opencwm.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    kind: Literal["trapezoid", "cosine", "constant"] = "trapezoid"
    """trapezoid: warm-up, constant, linear decay. cosine: warm-up, then half a cosine (CWM section 4)."""
    warmup_steps: int = 100
    decay_share: float = 0.4
    """Share of all steps that a trapezoid spends in its decay."""
    floor: float = 0.0
    """Factor reached at the last step, and kept after it."""
    span: tuple[float, float] = (0.0, 1.0)
    """The part of a cosine that this run is, where several stages share one: (0, 8/13) and then (8/13, 1) for CWM's 8 T
    and 5 T tokens."""

    def __post_init__(self) -> None:
        if not 0 <= self.span[0] < self.span[1] <= 1:
            raise ConfigError(f"span is {self.span}: a part of a cosine lies between 0 and 1, from low to high")

    def factor(self, step: int, num_steps: int) -> float:
        """The factor for optimizer step `step` (0-based) of `num_steps`."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.kind == "constant":
            return 1.0
        if self.kind == "cosine":
            done = min(1.0, (step - self.warmup_steps) / max(1, num_steps - self.warmup_steps))
            done = self.span[0] + (self.span[1] - self.span[0]) * done
            return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * done))
        left = max(0.0, (num_steps - step) / max(1.0, self.decay_share * num_steps))
        return self.floor + (1 - self.floor) * min(1.0, left)

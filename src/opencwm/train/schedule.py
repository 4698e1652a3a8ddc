"""Learning-rate schedules: a factor in [0, 1] on every optimizer's peak rate, as a function of the step alone."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleConfig:
    kind: Literal["trapezoid", "cosine", "constant"] = "trapezoid"
    """trapezoid: warm-up, constant, linear decay. cosine: warm-up, then half a cosine (CWM section 4)."""
    warmup_steps: int = 100
    decay_share: float = 0.4
    """Share of all steps that a trapezoid spends in its decay."""
    floor: float = 0.0
    """Factor reached at the last step, and kept after it."""

    def factor(self, step: int, num_steps: int) -> float:
        """The factor for optimizer step `step` (0-based) of `num_steps`."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.kind == "constant":
            return 1.0
        if self.kind == "cosine":
            done = min(1.0, (step - self.warmup_steps) / max(1, num_steps - self.warmup_steps))
            return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * done))
        left = max(0.0, (num_steps - step) / max(1.0, self.decay_share * num_steps))
        return self.floor + (1 - self.floor) * min(1.0, left)

"""Where the time of a training step goes: `opencwm train RECIPE --profile`.

stage --a few steps under torch.profiler, in a folder that is thrown away--> Profile (parts of a step, operations)
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from opencwm.errors import DataError
from opencwm.train.checkpoint import Progress
from opencwm.train.stage import StageConfig, run_stage

PARTS = ("forward", "backward", "clip", "optimizer")
WARM_UP = 3
"""Steps before those that are measured: the first ones compile and choose kernels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    num_steps: int
    tokens_per_s: float
    """Under the profiler, which costs some per cent."""
    step_ms: float
    """Milliseconds per step, everything included."""
    parts_ms: dict[str, float]
    """Of a step: forward, backward, clip, optimizer; `data` is the rest, reading and packing above all."""
    operations_ms: Sequence[tuple[str, float, int]]
    """The costliest: name, milliseconds of its own per step, calls per step."""


def profile_stage(config: StageConfig, *, num_steps: int = 10, num_operations: int = 12) -> Profile:
    """Run a few steps of `config` and measure them; nothing of the run's own folder is touched or kept."""
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    profiler = profile(activities=activities)
    ends: list[Progress] = []

    def stop(progress: Progress) -> bool:
        if progress.step == WARM_UP:
            profiler.start()
        if progress.step == WARM_UP + num_steps:
            profiler.stop()
        if progress.step in (WARM_UP, WARM_UP + num_steps):
            ends.append(progress)
        return len(ends) == 2

    with tempfile.TemporaryDirectory(prefix="opencwm-") as folder:
        loop = replace(config.loop, num_steps=WARM_UP + num_steps + 1, save_every=WARM_UP + num_steps + 2)
        run_stage(replace(config, run=Path(folder, "run"), loop=loop), log=lambda record: None, stop=stop)
    if len(ends) < 2:
        raise DataError(f"the data ends before {WARM_UP + num_steps} steps", fix="profile with more data")
    return _summary(profiler, ends[0], ends[1], num_operations)


def _summary(profiler: profile, start: Progress, end: Progress, num_operations: int) -> Profile:
    num_steps, seconds = end.step - start.step, end.seconds - start.seconds
    events = {event.key: event for event in profiler.key_averages()}
    parts = {name: events[name].cpu_time_total / 1e3 / num_steps for name in PARTS}
    step_ms = seconds * 1e3 / num_steps
    operations = sorted(
        ((key, event.self_cpu_time_total / 1e3 / num_steps, event.count) for key, event in events.items()
         if key not in PARTS),
        key=lambda row: -row[1],
    )  # fmt: skip
    return Profile(
        num_steps=num_steps,
        tokens_per_s=(end.num_tokens - start.num_tokens) / seconds,
        step_ms=step_ms,
        parts_ms={"data": max(0.0, step_ms - sum(parts.values())), **parts},
        operations_ms=[(key, ms, count // num_steps) for key, ms, count in operations[:num_operations]],
    )

"""Where a model runs, and the type of its matrix products there."""

from pathlib import Path

import torch

from opencwm.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """The device that `name` (auto, cpu, cuda, mps) stands for here: `auto` takes the fastest; a named one must be
    there. Raises ConfigError."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(device for device in ("cuda", "mps", "cpu") if available[device]))
    if name not in available:
        raise ConfigError(f"there is no device {name!r}", fix="use auto, cpu, cuda or mps")
    if not available[name]:
        raise ConfigError(f"this machine has no {name} that PyTorch can use", fix="use the device auto")
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The type of weights that `name` (auto, bfloat16, float32, int8) stands for on `device`; int8 is for the CPU:
    `opencwm.model.quantize`. Raises ConfigError."""
    if name == "auto":
        return fast_dtype(device)[0]
    named = {"bfloat16": torch.bfloat16, "float32": torch.float32, "int8": torch.int8}
    if name not in named:
        raise ConfigError(f"there is no dtype {name!r} of weights", fix="use auto, bfloat16, float32 or int8")
    if name == "int8" and device.type != "cpu":
        raise ConfigError(f"int8 weights are for the CPU, not for {device.type}", fix="use bfloat16, or the device cpu")
    return named[name]


def fast_dtype(device: torch.device) -> tuple[torch.dtype, str]:
    """bfloat16 where the hardware multiplies it natively (2.6 times float32 for 32 rows on one core with AMX,
    measured), float32 elsewhere; and why, for a person."""
    if device.type == "cuda":
        return torch.bfloat16, "this GPU multiplies bf16 natively"
    if device.type != "cpu":
        return torch.float32, f"bf16 is not used on {device.type}"
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if "amx_bf16" in flags or "avx512_bf16" in flags:
        return torch.bfloat16, "this CPU multiplies bf16 natively"
    return torch.float32, "this CPU does not multiply bf16 natively"

"""From what the user calls a model to a model: `nano`, a folder, or `URL#name` of a server.

A folder in the `cwm` or `qwen3` layout is run by our engine, one of another architecture by transformers.
"""

import json
from pathlib import Path

from opencwm.errors import ConfigError
from opencwm.model.config import LACKING, LAYOUTS
from opencwm.protocols import Model
from opencwm.provider import is_address, served_model

NANO = Path(__file__).parent.parent / "nano"
"""The model that ships with the package."""


def open_model(
    name: str = "nano",
    *,
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
    max_batch: int = 32,
) -> Model:
    """`device` is auto, cpu, cuda or mps; `dtype`, of the weights, auto, bfloat16, float32 or int8 (on the CPU);
    `threads` sets PyTorch's CPU threads, None leaves them."""
    if is_address(name):
        if dtype != "auto":
            raise ConfigError(f"{name} is served: its server chose the dtype", fix="leave --dtype out")
        return served_model(name)
    folder = NANO if name == "nano" else Path(name)
    if not folder.is_dir():
        raise ConfigError(
            f"there is no model {name!r}: it is neither nano, nor a folder, nor URL#name of a server",
            fix="give the folder that holds config.json and model.safetensors",
        )
    try:
        from opencwm.infer.engine import Engine
        from opencwm.model.device import choose_device, choose_dtype
    except ImportError as exc:
        raise ConfigError(f"local models need {exc.name}", fix="pip install 'opencwm[model]'") from exc
    target = choose_device(device)
    weights = choose_dtype(dtype, target)
    if is_foreign(folder):
        if dtype != "auto":
            raise ConfigError(f"{folder} is run by transformers, in the dtype it has", fix="leave --dtype out")
        from opencwm.infer.hugging_face import HuggingFaceModel

        return HuggingFaceModel.load(folder, device=target, threads=threads)
    return Engine.load(folder, device=target, dtype=weights, threads=threads, max_batch=max_batch)


def is_foreign(folder: Path) -> bool:
    """Whether the folder's `config.json` names an architecture that is not ours. What is wrong with a folder of ours is
    for the engine to say."""
    try:
        data = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return False
    if not isinstance(data, dict) or "model_type" not in data:
        return False
    return data["model_type"] not in LAYOUTS or any(data.get(key) for key in LACKING)

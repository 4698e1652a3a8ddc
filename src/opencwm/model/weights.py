"""Model folders in the Hugging Face layout: `config.json`, `model.safetensors`, and the tokenizer's files beside them.

`load` reads what `save` wrote and what transformers writes (one file or shards with an index); names and shapes are
checked strictly, a missing, surplus or misshapen tensor is named. What serving such a folder elsewhere loses is said
by `export_note`.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from opencwm.errors import ConfigError, DataError
from opencwm.model.config import ModelConfig
from opencwm.model.rope import frequencies
from opencwm.model.transformer import Transformer

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def save(model: Transformer, folder: Path, *, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write `folder` so that transformers and `load` read it; the weights file appears last, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save(folder)
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in model.state_dict().items()}
    temporary = folder / (WEIGHTS + ".tmp")
    save_file(tensors, temporary, metadata={"format": "pt"})
    os.replace(temporary, folder / WEIGHTS)


def load(folder: Path, *, dtype: torch.dtype = torch.float32) -> Transformer:
    """The model in `folder`, on the CPU. Raises ConfigError where the folder is not a model, DataError where its
    weights do not fit its configuration."""
    config = load_config(folder)
    with torch.device("meta"):
        model = Transformer(config)
    tensors: dict[str, Tensor] = {}
    for path in weight_files(folder):
        with opened(path) as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                tensors[name] = file.get_tensor(name).to(dtype)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    check_names(folder, {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, shapes)
    model.load_state_dict(tensors, strict=True, assign=True)
    freqs = frequencies(config.head_dim, config.rope_theta, config.rope_scaling)
    model.register_buffer("frequencies", freqs, persistent=False)
    return model.eval()


def load_config(folder: Path) -> ModelConfig:
    """The configuration in `folder`; raises ConfigError where there is none."""
    path = folder / "config.json"
    if not path.is_file():
        raise ConfigError(
            f"{folder} is not a model folder: it has no config.json",
            fix="give a folder with config.json, model.safetensors and tokenizer.json",
        )
    try:
        data = json.loads(path.read_text())
    except ValueError as exc:
        raise ConfigError(f"{path} is not JSON: {exc}", fix="copy the model folder again") from exc
    if not isinstance(data, dict):
        raise ConfigError(f"{path} does not hold a JSON object", fix="copy the model folder again")
    return ModelConfig.from_hf(data, where=str(path))


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of `folder`, by its index where it is sharded."""
    index = folder / INDEX
    if index.is_file():
        try:
            return [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise DataError(f"{index} is not an index of safetensors files", fix="copy the model folder again") from exc
    if not (folder / WEIGHTS).is_file():
        raise ConfigError(f"{folder} holds no {WEIGHTS}", fix="give a model folder with its weights")
    return [folder / WEIGHTS]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A safetensors file; what is wrong with it is a DataError."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as exc:
        raise DataError(f"{path} is not a whole safetensors file: {exc}", fix="copy the model folder again") from exc


def check_names(folder: Path, expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> None:
    """Raise DataError naming the first missing, surplus or misshapen tensor, by their shapes."""
    for name in sorted(expected.keys() - found.keys()):
        raise DataError(f"{folder} lacks the tensor {name}", fix="its configuration and weights do not belong together")
    for name in sorted(found.keys() - expected.keys()):
        raise DataError(
            f"{folder} holds the unknown tensor {name}", fix="its configuration and weights do not belong together"
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise DataError(
                f"{folder}: {name} has shape {found[name]}, the configuration asks for {shape}",
                fix="its configuration and weights do not belong together",
            )


def export_note(config: ModelConfig) -> str | None:
    """What to know before serving the folder elsewhere; None where nothing is lost."""
    if config.qk_norm and "sliding_attention" in config.layer_types:
        return (
            "vLLM ignores the sliding windows of the qwen3 layout: it serves this model right only up to "
            f"{config.sliding_window} tokens; transformers serves it right at any length"
        )
    return None

"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685), by PEFT: few weights are trained, the others are frozen.

    model --adapt--> model with adapters --train--> --save_adapters--> RUN/adapter/
                                                    --merge--> the plain model, RUN/model/

PEFT wraps our linear layers, which have the names of the Hugging Face layout: `RUN/adapter/` is a PEFT folder, and
`PeftModel.from_pretrained` puts it on transformers' model of the folder that training started from. Frozen matrices are
kept in the type of matrix products, which is what they would be rounded to at every use.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from opencwm.errors import ConfigError
from opencwm.model.transformer import Transformer

if TYPE_CHECKING:
    from peft import LoraConfig as PeftConfig

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
FEED_FORWARD = ("gate_proj", "up_proj", "down_proj")
ADAPTER = "default"
"""PEFT's name of the only adapter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraConfig:
    rank: int | None = None
    """Columns of an adapter. None: no adapters, all weights are trained."""
    alpha: int = 32
    """An adapter's output is multiplied by alpha / rank."""
    dropout: float = 0.0
    """Of an adapter's input."""
    targets: tuple[str, ...] = ATTENTION + FEED_FORWARD
    """The layers of every block that get one."""
    merge: bool = True
    """Whether RUN/model/, the start with the adapters added, is written beside RUN/adapter/."""

    def __post_init__(self) -> None:
        if self.rank is not None and self.rank < 1:
            raise ConfigError(f"lora.rank is {self.rank}", fix="give at least 1, or none to train all weights")
        unknown = sorted(set(self.targets) - set(ATTENTION + FEED_FORWARD))
        if unknown or not self.targets:
            raise ConfigError(
                f"lora.targets names {unknown[0]!r}" if unknown else "lora.targets is empty",
                fix=f"choose from {', '.join(ATTENTION + FEED_FORWARD)}",
            )


def adapt(model: Transformer, config: LoraConfig, *, dtype: torch.dtype, seed: int) -> None:
    """Freeze `model` and add adapters to it, in place; they change nothing at first. Needs PEFT (ConfigError)."""
    try:
        import peft
    except ImportError as exc:
        raise ConfigError(f"adapters need {exc.name}", fix="pip install 'opencwm[lora]'") from exc
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(peft_config(config), model)
    for module in model.modules():
        if isinstance(module, nn.Linear) and not module.weight.requires_grad:
            module.to(dtype)


def peft_config(config: LoraConfig, start: Path | None = None) -> "PeftConfig":
    import peft

    assert config.rank is not None
    return peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(config.targets),
        task_type="CAUSAL_LM",
        inference_mode=start is not None,
        base_model_name_or_path=None if start is None else str(start),
    )


def save_adapters(folder: Path, model: Transformer, config: LoraConfig, start: Path) -> None:
    """A PEFT folder: adapter_config.json, which names `start`, and adapter_model.safetensors, written last."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    peft_config(config, start).save_pretrained(str(folder))
    tensors = get_peft_model_state_dict(model, adapter_name=ADAPTER)
    # PEFT's names count from its own wrapper
    save_file(
        {f"base_model.model.{name}": tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        folder / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )


def merge(model: Transformer) -> None:
    """Add the adapters to the matrices they stand beside, and remove them, in place."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            model.set_submodule(name, module.get_base_layer())

"""One stage of training, from a dataset folder to a model folder.

    dataset + tokenizer + (shape | model folder) --run_stage--> RUN/state.pt, metrics.jsonl, RUN/model/

`RUN/model/` is a whole model in Hugging Face layout, tokenizer included, with the optimizer's state beside it in
`optimizer.safetensors`, so that training can go on from a model that was shipped.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from opencwm.data.loader import TraceDocuments
from opencwm.data.pack import Batch, PackState, batches, pack
from opencwm.errors import ConfigError
from opencwm.model import weights
from opencwm.model.config import ModelConfig
from opencwm.model.transformer import Transformer
from opencwm.tokenizer import Tokenizer
from opencwm.train.checkpoint import Progress
from opencwm.train.loop import Log, LoopConfig, check_run, train, write_metrics
from opencwm.train.optim import OptimConfig

OPTIMIZER = "optimizer.safetensors"
METRICS = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    data: Path
    """A dataset folder, as `opencwm data build` makes it."""
    tokenizer: Path
    """A folder with tokenizer.json."""
    run: Path
    """Where the run lives; a run that is there already goes on."""
    loop: LoopConfig
    model: ModelConfig | None = None
    """Shape of a new model; vocabulary size and special ids are taken from the tokenizer. None: start from `start`."""
    start: Path | None = None
    """A model folder to train on, with its optimizer's state where it has one."""
    epochs: int | None = None
    """Times the data is read; None: as often as the steps need."""
    seed: int = 0
    """Of the weights and of the order of documents."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Anything to keep with the run's configuration."""


def run_stage(
    config: StageConfig, *, log: Log, stop: Callable[[Progress], bool] = lambda progress: False
) -> tuple[Transformer, Progress]:
    """Train until the loop's last step, the end of the data or `stop`, and write `RUN/model/`."""
    torch.set_num_threads(config.loop.threads)
    tokenizer = Tokenizer.load(config.tokenizer)
    documents = TraceDocuments(
        config.data, tokenizer, seed=config.seed, epochs=config.epochs, train_on_context=config.loop.train_on_context
    )
    model = new_model(config, tokenizer)
    check_run(config.run, describe(config, model.config))
    optimizer_state = config.start / OPTIMIZER if config.start is not None else None
    metrics = write_metrics(config.run / METRICS)

    def rows(state: PackState) -> Iterator[tuple[Batch, PackState]]:
        stream = pack(documents, config.loop.seq_len, state, pad_id=tokenizer.special["pad"])
        return batches(stream, config.loop.num_rows)

    def both(record: dict[str, Any]) -> None:
        metrics(record)
        log(record)

    prepare = (
        None if optimizer_state is None else (lambda optimizers: load_optimizers(optimizer_state, model, optimizers))
    )
    progress, optimizers = train(model, rows, config.loop, config.run, log=both, stop=stop, prepare=prepare)
    export(config.run / "model", model, optimizers, config.tokenizer)
    return model, progress


def new_model(config: StageConfig, tokenizer: Tokenizer) -> Transformer:
    """A fresh model of the configured shape, or the one in `start`."""
    if (config.model is None) == (config.start is None):
        raise ConfigError(
            "a stage needs a shape or a model folder to start from", fix="give exactly one of model and start"
        )
    if config.start is not None:
        model = weights.load(config.start)
        if model.config.vocab_size < tokenizer.vocab_size:
            raise ConfigError(
                f"{config.start} knows {model.config.vocab_size} tokens, the tokenizer {tokenizer.vocab_size}"
            )
        return model
    assert config.model is not None
    shape = replace(
        config.model,
        vocab_size=-(-tokenizer.vocab_size // 32) * 32,  # whole tiles for the head's matrix product
        bos_token_id=tokenizer.special["begin_of_text"],
        eos_token_id=(tokenizer.special["end_of_text"],),
        pad_token_id=tokenizer.special["pad"],
    )
    model = Transformer(shape)
    model.initialise(config.seed)
    return model


def describe(config: StageConfig, model: ModelConfig) -> dict[str, Any]:
    """The resolved configuration of a run as JSON; threads, device and cadence may change when it goes on: left out."""
    loop = asdict(config.loop)
    for key in ("threads", "log_every", "save_every", "compile", "device"):
        del loop[key]
    data = {"data": str(config.data), "start": str(config.start) if config.start else None, "seed": config.seed}
    flat = {f"loop.{key}": value for key, value in loop.items()} | {f"model.{k}": v for k, v in model.to_hf().items()}
    resolved: dict[str, Any] = json.loads(json.dumps({**data, **flat, **config.extra}))
    return resolved


def export(folder: Path, model: Transformer, optimizers: list[torch.optim.Optimizer], tokenizer: Path) -> None:
    """The model in bf16 with its tokenizer, and the optimizers' state in bf16 beside it."""
    weights.save(model, folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    save_optimizers(folder / OPTIMIZER, model, optimizers)


def save_optimizers(path: Path, model: Transformer, optimizers: list[torch.optim.Optimizer]) -> None:
    """State tensors under `parameter name|key`, moments in bf16, step counts in float32."""
    names: dict[torch.Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    tensors = {}
    for optimizer in optimizers:
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                kept = value.to(torch.bfloat16) if value.ndim else value.float()
                tensors[f"{names[parameter]}|{key}"] = kept.contiguous()
    save_file(tensors, path)


def load_optimizers(path: Path, model: Transformer, optimizers: list[torch.optim.Optimizer]) -> None:
    """The inverse of `save_optimizers`, but for rounding; a missing file leaves the optimizers as they are."""
    if not path.is_file():
        return
    by_name = dict(model.named_parameters())
    states: dict[str, dict[str, torch.Tensor]] = {}
    for label, value in load_file(path).items():
        name, key = label.rsplit("|", 1)
        states.setdefault(name, {})[key] = value.float()
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                name = next(n for n, p in by_name.items() if p is parameter)
                if name in states:
                    optimizer.state[parameter].update(states[name])


def adapted(optim_config: OptimConfig, factor: float) -> OptimConfig:
    """The same optimizers at `factor` times their peak rates: for going on at the rate a run ended with."""
    return replace(optim_config, lr=optim_config.lr * factor, adam_lr=optim_config.adam_lr * factor)

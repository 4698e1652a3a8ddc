"""One stage of training, from a dataset folder to a model folder.

    dataset + tokenizer + (shape | model folder) --run_stage--> RUN/state/, metrics.jsonl, RUN/model/

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

from opencwm.data.loader import Bucket, Loader, LoaderConfig
from opencwm.data.mix import Mix
from opencwm.errors import ConfigError
from opencwm.model import weights
from opencwm.model.checkpoints import TOKENIZER_FILES, convert, open_checkpoint
from opencwm.model.config import ModelConfig
from opencwm.model.device import choose_device
from opencwm.model.transformer import Transformer, initial_weights
from opencwm.tokenizer import Tokenizer
from opencwm.train import checkpoint, lora, optim
from opencwm.train.checkpoint import Progress
from opencwm.train.loop import Log, LoopConfig, check_run, precision, train, write_metrics
from opencwm.train.lora import LoraConfig
from opencwm.train.optim import OptimConfig
from opencwm.train.parallel import ALONE, Processes, part

OPTIMIZER = "optimizer.safetensors"
METRICS = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    data: Mix
    """Folders of token shards or of traces, and how much of each: `FOLDER`, or `FOLDER:share` or `FOLDER@epochs`."""
    tokenizer: Path | None = None
    """A folder with tokenizer.json; None: that of `start`."""
    run: Path
    """Where the run lives; a run that is there already goes on."""
    loop: LoopConfig
    model: ModelConfig | None = None
    """Shape of the model; vocabulary size and special ids are taken from the tokenizer. None: that of `start`."""
    start: Path | None = None
    """A model folder to train on; `model` may give it other positions and windows. None: a new model."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    """Adapters in place of all weights."""
    keep_optimizer: bool = True
    """Whether the optimizer's state beside `start` is gone on with."""
    buckets: tuple[Bucket, ...] = ()
    """Length buckets that all ranks draw from together, from short to long."""
    split: bool = False
    """A document longer than a row goes on in the next ones, instead of being cut."""
    environment_loss: float = 1.0
    """Share of the environment's messages in agent trajectories that are trained on."""
    never_trained: tuple[str, ...] = ()
    """Special tokens without loss."""
    seed: int = 0
    """Of the weights and of the order of documents."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Anything to keep with the run's configuration."""

    @property
    def tokenizer_folder(self) -> Path:
        folder = self.tokenizer or self.start
        if folder is None:
            raise ConfigError("a new model needs a tokenizer", fix="give tokenizer=FOLDER")
        return folder

    @property
    def loader(self) -> LoaderConfig:
        return LoaderConfig(
            mix=self.data,
            seq_len=self.loop.seq_len,
            num_rows=self.loop.num_rows,
            seed=self.seed,
            buckets=self.buckets,
            split=self.split,
            train_on_context=self.loop.train_on_context,
            environment_loss=self.environment_loss,
            never_trained=self.never_trained,
        )


def run_stage(
    config: StageConfig,
    *,
    log: Log,
    stop: Callable[[Progress], bool] = lambda progress: False,
    processes: Processes = ALONE,
) -> tuple[Transformer, Progress]:
    """Train until the loop's last step, the end of the data or `stop`, and write `RUN/model/`. Of many processes, each
    calls this, and returns its part of the model; the first one writes it."""
    torch.set_num_threads(config.loop.threads)
    tokenizer = Tokenizer.load(config.tokenizer_folder)
    loader = Loader(config.loader, tokenizer, rank=processes.data_rank, num_ranks=processes.num_data)
    initial = None
    if processes is ALONE or config.lora.rank is not None:
        model = prepared_model(config, tokenizer, processes)
    else:
        with torch.device("meta"):
            model = Transformer(shape_of(config, tokenizer))
        initial = streamed_weights(config, model)
    if processes.is_first:
        check_run(config.run, describe(config, model.config))
        if len(config.data) > 1:
            log({"event": "mix", "datasets": loader.amounts(config.loop.num_steps)})
    optimizer_state = config.start / OPTIMIZER if config.start is not None and config.keep_optimizer else None
    metrics = write_metrics(config.run / METRICS)

    def both(record: dict[str, Any]) -> None:
        metrics(record)
        log(record)

    prepare = (
        None if optimizer_state is None else (lambda optimizers: load_optimizers(optimizer_state, model, optimizers))
    )
    progress, optimizers = train(
        model, loader, config.loop, config.run,
        log=both, stop=stop, prepare=prepare, processes=processes, initial=initial,
    )  # fmt: skip
    if processes is ALONE and config.lora.rank is None:
        export(config.run / "model", model, optimizers, config.tokenizer_folder)
    elif processes.is_first:  # what is split is put together from the state that all have written
        export_state(config, tokenizer)
    return model, progress


def prepared_model(config: StageConfig, tokenizer: Tokenizer, processes: Processes) -> Transformer:
    """The model that the stage begins with, and its adapters where it has some."""
    model = new_model(config, tokenizer)
    if config.lora.rank is not None:
        if config.start is None:
            raise ConfigError("adapters are for a model that is there", fix="give start, or lora.rank=none")
        if processes.num_tensor > 1:
            raise ConfigError("adapters are not cut by parallel.tensor", fix="set parallel.tensor=1")
        dtype, _ = precision(config.loop.precision, choose_device(config.loop.device))
        lora.adapt(model, config.lora, dtype=dtype, seed=config.seed)
    return model


def new_model(config: StageConfig, tokenizer: Tokenizer) -> Transformer:
    """A fresh model of the configured shape, or the one in `start`, with other positions and windows where `model`
    gives them."""
    shape = shape_of(config, tokenizer)
    if config.start is None:
        model = Transformer(shape)
        model.initialise(config.seed)
        return model
    model = weights.load(config.start)
    if model.config == shape:
        return model
    moved = Transformer(shape)
    moved.load_state_dict(model.state_dict())
    return moved


def streamed_weights(config: StageConfig, model: Transformer) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of `new_model`, one at a time."""
    if config.start is None:
        yield from initial_weights(model, config.seed)
        return
    source = open_checkpoint(config.start)
    for name in source.shapes:
        yield name, source.read(name)


def shape_of(config: StageConfig, tokenizer: Tokenizer) -> ModelConfig:
    """The shape of the stage's model. Raises ConfigError where it is not that of the weights in `start`."""
    if config.model is None and config.start is None:
        raise ConfigError("a stage needs a shape or a model folder to start from", fix="give model or start")
    shape = None if config.model is None else fitted(config.model, tokenizer)
    if config.start is None:
        assert shape is not None
        return shape
    before = weights.load_config(config.start)
    if before.vocab_size < tokenizer.vocab_size:
        raise ConfigError(f"{config.start} knows {before.vocab_size} tokens, the tokenizer {tokenizer.vocab_size}")
    if shape is None:
        return before
    old, new = asdict(before), asdict(shape)
    differing = [key for key in old if old[key] != new[key] and key not in MOVABLE]
    if differing:
        raise ConfigError(
            f"{config.start} has another shape than the recipe: {', '.join(differing)}",
            fix="start from a model of the same --size, or give model=none",
        )
    return shape


STOPS = ("end_of_text", "eom_id", "eot_id")
"""What ends a text, a message, a turn."""


def fitted(model: ModelConfig, tokenizer: Tokenizer) -> ModelConfig:
    """A shape with the vocabulary of a tokenizer, and as many stop tokens as it has."""
    stops = [tokenizer.special[name] for name in STOPS if name in tokenizer.special]
    return replace(
        model,
        vocab_size=-(-tokenizer.vocab_size // 32) * 32,  # whole tiles for the head's matrix product
        bos_token_id=tokenizer.special["begin_of_text"],
        eos_token_id=tuple(stops[: len(model.eos_token_id)]),
        pad_token_id=tokenizer.special.get("pad"),
    )


MOVABLE = ("rope_theta", "rope_scaling", "sliding_window", "max_position_embeddings", "eos_token_id", "pad_token_id")
"""What a later stage may change about a model without touching its weights."""


def describe(config: StageConfig, model: ModelConfig) -> dict[str, Any]:
    """The resolved configuration of a run as JSON; threads, device and cadence may change when it goes on: left out."""
    loop = asdict(config.loop)
    for key in ("threads", "log_every", "save_every", "compile", "device", "parallel"):
        del loop[key]
    data = {
        "data": ",".join(map(str, config.data)),
        "start": str(config.start) if config.start else None,
        "seed": config.seed,
    }
    for name in ("keep_optimizer", "buckets", "split", "environment_loss", "never_trained"):
        data[name] = str(getattr(config, name))
    data |= {f"lora.{key}": str(value) for key, value in asdict(config.lora).items() if key != "merge"}
    flat = {f"loop.{key}": value for key, value in loop.items()} | {f"model.{k}": v for k, v in model.to_hf().items()}
    resolved: dict[str, Any] = json.loads(json.dumps({**data, **flat, **config.extra}))
    return resolved


def export(folder: Path, model: Transformer, optimizers: list[torch.optim.Optimizer], tokenizer: Path) -> None:
    """The model in bf16 with its tokenizer, and the optimizers' state in bf16 beside it."""
    weights.save(model, folder)
    copy_tokenizer(tokenizer, folder)
    save_optimizers(folder / OPTIMIZER, model, optimizers)


def export_state(config: StageConfig, tokenizer: Tokenizer) -> None:
    """`export` from the run's last state, a tensor at a time; of adapters RUN/adapter/, and RUN/model/ with them merged
    where that is asked for."""
    folder = config.run / "model"
    if config.lora.rank is None:
        shutil.rmtree(folder, ignore_errors=True)
        convert(config.run, folder, "hf", dtype=torch.bfloat16)
        copy_tokenizer(config.tokenizer_folder, folder)
        kept = checkpoint.kept_by_optimizers(config.run)
        save_file({f"{name}|{key}": rounded(value) for name, key, value in kept}, folder / OPTIMIZER)
        return
    assert config.start is not None
    model = prepared_model(config, tokenizer, ALONE)
    checkpoint.load(config.run, model, optim.build(model, config.loop.optim))
    lora.save_adapters(config.run / "adapter", model, config.lora, config.start)
    if config.lora.merge:
        lora.merge(model)
        weights.save(model, folder)
        copy_tokenizer(config.tokenizer_folder, folder)


def copy_tokenizer(source: Path, folder: Path) -> None:
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def rounded(value: torch.Tensor) -> torch.Tensor:
    """As an optimizer's state is shipped: moments in bf16, step counts in float32."""
    return value.to(torch.bfloat16).contiguous() if value.ndim else value.float()


def save_optimizers(path: Path, model: Transformer, optimizers: list[torch.optim.Optimizer]) -> None:
    """State tensors under `parameter name|key`."""
    names: dict[torch.Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    tensors = {}
    for optimizer in optimizers:
        for parameter, state in optimizer.state.items():
            for key, value in state.items():
                tensors[f"{names[parameter]}|{key}"] = rounded(value)
    save_file(tensors, path)


def load_optimizers(path: Path, model: Transformer, optimizers: list[torch.optim.Optimizer]) -> None:
    """The inverse of `save_optimizers`, but for rounding; a missing file leaves the optimizers as they are."""
    if not path.is_file():
        return
    names = {parameter: name for name, parameter in model.named_parameters()}
    states: dict[str, dict[str, torch.Tensor]] = {}
    for label, value in load_file(path).items():
        name, key = label.rsplit("|", 1)
        states.setdefault(name, {})[key] = value.float()
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                for key, value in states.get(names[parameter], {}).items():
                    is_alike = value.shape == parameter.shape
                    optimizer.state[parameter][key] = part(value, like=parameter) if is_alike else value


def adapted(optim_config: OptimConfig, factor: float) -> OptimConfig:
    """The same optimizers at `factor` times their peak rates: for going on at the rate a run ended with."""
    return replace(optim_config, lr=optim_config.lr * factor, adam_lr=optim_config.adam_lr * factor)

"""The training loop, to be read aloud.

    batch -> hidden states -> logits where the loss is -> loss -> gradients -> clip -> optimizers -> a line of numbers

A run is a folder. It holds the resolved configuration, `metrics.jsonl`, the state to go on from, and at the end the
model in Hugging Face layout. A run that is killed goes on from its last state, bit for bit as if nothing had happened
(on the CPU, at the same number of threads). Many processes run the same loop, each on its own rows: the counts, the
loss, the norm and what follows from them are those of all (`parallel.py`). Sources: CWM (arXiv 2510.02387) section 4
for the recipe's shape; sizes and rates are ours, measured.
"""

import importlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.profiler import record_function
from torch.optim import Optimizer

from opencwm.data.pack import Batch, PackState
from opencwm.errors import ConfigError, DataError
from opencwm.model.attention import PackedAttention
from opencwm.model.device import choose_device, fast_dtype
from opencwm.model.memory import keep_memory
from opencwm.model.transformer import Transformer
from opencwm.train import checkpoint, optim
from opencwm.train.checkpoint import Progress
from opencwm.train.optim import OptimConfig
from opencwm.train.parallel import ALONE, ParallelConfig, Processes, fill, split, whole
from opencwm.train.schedule import ScheduleConfig
from opencwm.train.spikes import SpikeConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopConfig:
    num_steps: int
    """Optimizer steps of the whole run."""
    seq_len: int = 2048
    """Tokens per row."""
    num_rows: int = 4
    """Rows per optimizer step."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    spikes: SpikeConfig = field(default_factory=SpikeConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    precision: Literal["auto", "bf16", "fp8", "float32"] = "auto"
    """auto: bf16 autocast where the device multiplies it natively, float32 elsewhere. fp8: bf16, and the blocks'
    matrices in 8 bits (torchao); needs a GPU, and was not measured."""
    device: str = "auto"
    """auto (a GPU where there is one), cpu, cuda or mps."""
    compile: bool = False
    """Fuse the element-wise work of each block with torch.compile; needs a C++ compiler."""
    train_on_context: bool = False
    """Loss also on the context, not on the frames alone."""
    threads: int = 1
    """CPU threads of torch."""
    seed: int = 0
    log_every: int = 20
    """Steps between two log lines."""
    save_every: int = 200
    """Steps between two saved states."""


LOSS_PIECE = 2048
"""Targets whose logits are held at once."""
LOSS_STEP = 256
"""Their number is a multiple of this."""

Log = Callable[[dict[str, Any]], None]
Batches = Callable[[PackState], Iterator[tuple[Batch, PackState]]]
"""The batches after a state of the loader, each with the state after it. Of many processes each gets its own rows, and
the state of all."""


def train(
    model: Transformer,
    batches: Batches,
    config: LoopConfig,
    run: Path,
    *,
    log: Log,
    stop: Callable[[Progress], bool] = lambda progress: False,
    prepare: Callable[[list[Optimizer]], None] | None = None,
    processes: Processes = ALONE,
    initial: Iterable[tuple[str, Tensor]] | None = None,
) -> tuple[Progress, list[Optimizer]]:
    """Train `model` in `run` until `config.num_steps`, the end of the data, or `stop(progress)`; resumes what is there.

    `prepare` may fill the optimizers of a run that starts anew. Of many processes, each calls this with the same model,
    which is cut in place; the first one logs. A model too large for one process is given on the meta device, and its
    weights one at a time by `initial`. Raises DataError where more steps would have to be skipped than
    `config.spikes` allows: the last update is not made, and the state before it is saved.
    """
    torch.set_num_threads(config.threads)
    keep_memory()
    run.mkdir(parents=True, exist_ok=True)
    device = choose_device(config.device)
    dtype, why = precision(config.precision, device)
    if initial is None:
        model.to(device)
    if config.precision == "fp8":
        multiply_in_fp8(model)
    split(model, processes, config.parallel, dtype)
    if initial is not None:
        fill(model, initial, device)
    optimizers = optim.build(model, config.optim)
    resumed = checkpoint.load(run, model, optimizers, processes)
    if resumed is None and prepare is not None:
        prepare(optimizers)
    progress = resumed or Progress()
    if not processes.is_first:
        log = silent
    log(
        {
            "event": "start",
            "step": progress.step,
            "parameters": model.num_parameters,
            "device": device.type,
            "processes": processes.num_data * processes.num_tensor,
            "precision": str(dtype),
            "why": why,
        }
    )
    model.train()
    with checkpoint.saver(run, processes) as saver, compiled_blocks(model) if config.compile else nullcontext():
        progress = _steps(model, optimizers, batches, config, saver, progress, log=log, stop=stop, processes=processes)
        saver.save(model, optimizers, progress)
    model.eval()
    return progress, optimizers


def silent(record: dict[str, Any]) -> None:
    """The log of every process but the first."""


def _steps(
    model: Transformer,
    optimizers: list[Optimizer],
    batches: Batches,
    config: LoopConfig,
    saver: checkpoint.Saver,
    progress: Progress,
    *,
    log: Log,
    stop: Callable[[Progress], bool],
    processes: Processes,
) -> Progress:
    dtype, _ = precision(config.precision, model.device)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    started, meter = time.perf_counter() - progress.seconds, Meter(progress)
    for batch, loader in batches(progress.loader):
        if progress.step >= config.num_steps or processes.any(stop(progress)):
            break
        factor = config.schedule.factor(progress.step, config.num_steps)
        num_tokens, num_trained = (int(n) for n in processes.sum(len(batch.inputs), batch.trained.sum()))
        with record_function("forward"):
            loss, _ = loss_of(model, batch, dtype, of=num_trained)
        with record_function("backward"):
            # gradients of split weights come as means over the data ranks, and are to be sums
            (loss * processes.num_data).backward()  # type: ignore[no-untyped-call]
        with record_function("clip"):
            norm = clip(model, config.optim.clip)
        (mean_loss,) = processes.sum(float(loss.detach()))
        skipped = config.spikes.reason_to_skip(norm, progress.norms)
        if skipped is not None and progress.num_skipped == config.spikes.budget:
            saver.save(model, optimizers, progress)
            raise DataError(
                f"step {progress.step}: {skipped}, and {progress.num_skipped} steps were skipped before",
                fix="go on from an earlier state with a lower learning rate",
            )
        with record_function("optimizer"):
            for optimizer, rates in zip(optimizers, peaks, strict=True):
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * factor
                if skipped is None:
                    optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        progress = replace(
            progress,
            step=progress.step + 1,
            num_tokens=progress.num_tokens + num_tokens,
            seconds=time.perf_counter() - started,
            loader=loader,
            norms=progress.norms if skipped else (*progress.norms, norm)[-config.spikes.memory :],
            num_skipped=progress.num_skipped + (skipped is not None),
        )
        if skipped is not None:
            log({"event": "skipped", "step": progress.step, "why": skipped, "loss": mean_loss})
        elif num_trained:  # else all of the batch was context
            meter.add(mean_loss, norm, num_trained)
        if progress.step % config.log_every == 0 and meter.losses:
            log(meter.line(progress, config, config.optim.peak * factor))
            meter = Meter(progress)
        if progress.step % config.save_every == 0:
            saver.save(model, optimizers, progress)
    return progress


def clip(model: Transformer, limit: float | None) -> float:
    """Scale the gradients down to the global norm `limit`; returns the norm before."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norm = whole(torch.nn.utils.get_total_norm(gradients))
    torch.nn.utils.clip_grads_with_norm_(model.parameters(), limit or math.inf, norm)
    return float(norm)


def loss_of(model: Transformer, batch: Batch, dtype: torch.dtype, *, of: int | None = None) -> tuple[Tensor, int]:
    """Mean cross-entropy in nats over the trained targets of a batch, and how many there are; with `of`, this batch's
    share of the mean over that many targets, some of them in other processes' batches."""
    device = model.device
    inputs, targets = (torch.from_numpy(tokens).long().to(device) for tokens in (batch.inputs, batch.targets))
    positions = torch.cat([torch.arange(length) for length in batch.lengths]).to(device)
    trained = torch.from_numpy(batch.trained).nonzero()[:, 0].to(device)
    attend = PackedAttention(model.config, batch.lengths, global_window=batch.global_window)
    with nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype):
        hidden = model(inputs, positions, attend)
        # in pieces: an allocation past 32 MB costs fresh pages from the system, every step; and filled up, since the
        # CPU library generates a kernel for each new number of rows
        losses = []
        for part in torch.split(trained, LOSS_PIECE):
            fill = -len(part) % LOSS_STEP
            logits = model.logits(hidden[F.pad(part, (0, fill))]).float()
            losses.append(F.cross_entropy(logits, F.pad(targets[part], (0, fill), value=-100), reduction="sum"))
    return torch.stack(losses).sum() / max(1, len(trained) if of is None else of), len(trained)


def precision(choice: str, device: torch.device) -> tuple[torch.dtype, str]:
    """The type of matrix products, and why. Raises ConfigError where the device has none of it."""
    if choice == "fp8":
        if device.type != "cuda":
            raise ConfigError(f"8-bit matrix products need a GPU, this is {device.type}", fix="set loop.precision=auto")
        return torch.bfloat16, "asked for, with 8 bits in the blocks"
    if choice == "float32":
        return torch.float32, "asked for"
    if choice == "bf16":
        return torch.bfloat16, "asked for"
    return fast_dtype(device)


def multiply_in_fp8(model: Transformer) -> None:
    """Put torchao's layers (dynamic scales, one per tensor) in place of the blocks' linear ones; names stay."""
    try:
        float8 = importlib.import_module("torchao.float8")
    except ImportError as exc:
        raise ConfigError("8-bit matrix products need torchao", fix="pip install torchao") from exc
    for block in model.model.layers:
        float8.convert_to_float8_training(block)


@contextmanager
def compiled_blocks(model: Transformer) -> Iterator[None]:
    """Compile what lies between the attention calls of each block, for as long as row shapes stay the same."""
    halves = [(block, half) for block in model.model.layers for half in ("before", "after")]
    for block, half in halves:
        setattr(block, half, torch.compile(getattr(block, half), dynamic=False))
    try:
        yield
    finally:
        for block, half in halves:
            delattr(block, half)


class Meter:
    """Means since the last log line."""

    def __init__(self, since: Progress) -> None:
        self.since = since
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.num_trained = 0

    def add(self, loss: float, norm: float, num_trained: int) -> None:
        self.losses.append(loss)
        self.norms.append(norm)
        self.num_trained += num_trained

    def line(self, progress: Progress, config: LoopConfig, lr: float) -> dict[str, Any]:
        seconds = progress.seconds - self.since.seconds
        num_steps = progress.step - self.since.step
        return {
            "event": "step",
            "step": progress.step,
            "num_steps": config.num_steps,
            "loss": sum(self.losses) / len(self.losses),
            "grad_norm": sum(self.norms) / len(self.norms),
            "lr": lr,
            "tokens": progress.num_tokens,
            "tokens_per_s": (progress.num_tokens - self.since.num_tokens) / seconds,
            "trained_share": self.num_trained / (progress.num_tokens - self.since.num_tokens),
            "seconds": progress.seconds,
            "eta_s": (config.num_steps - progress.step) * seconds / num_steps,
        }


def write_metrics(path: Path) -> Log:
    """A log that appends every record to a JSON-lines file. A run that goes on from a step first loses what was
    written after that step was saved: those steps are made again."""

    def log(record: dict[str, Any]) -> None:
        if record["event"] == "start" and path.exists():
            rewind(path, record["step"])
        with open(path, "a") as file:
            file.write(json.dumps(record) + "\n")

    return log


def rewind(path: Path, step: int) -> None:
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):  # the record that a kill cut in half
            break
        if json.loads(line)["step"] <= step:
            kept.append(line)
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(kept))
    temporary.replace(path)


def progress_line(record: dict[str, Any]) -> str:
    """One record as a person reads it, units on every number."""
    if record["event"] == "start":
        among = f" in {record['processes']} processes" if record["processes"] > 1 else ""
        return (
            f"{record['parameters'] / 1e6:.1f}M parameters on {record['device']}{among}, from step {record['step']}, "
            f"matrix products in {record['precision'].removeprefix('torch.')} ({record['why']})"
        )
    if record["event"] == "mix":
        parts = (f"{each['folder']} {each['share']:.1%}, {each['epochs']:.2g} epochs" for each in record["datasets"])
        return f"tokens of a whole run: {'; '.join(parts)}"
    if record["event"] == "skipped":
        return f"step {record['step']:05d} skipped: {record['why']}"
    minutes, seconds = divmod(int(record["eta_s"]), 60)
    return (
        f"step {record['step']:05d}/{record['num_steps']:05d}  loss {record['loss']:.4f}"
        f"  grad {record['grad_norm']:.2f}  lr {record['lr']:.2e}  {record['tokens_per_s'] / 1e3:.1f}k tok/s"
        f"  {record['tokens'] / 1e6:.2f}M tok"
        f"  eta {minutes}m{seconds:02d}s"
    )


def check_run(run: Path, resolved: dict[str, Any]) -> None:
    """Keep the resolved configuration of a run; refuse to resume one under another, naming the keys that differ."""
    path = run / "config.json"
    if path.exists():
        before = json.loads(path.read_text())
        differing = sorted(key for key in before.keys() | resolved.keys() if before.get(key) != resolved.get(key))
        if differing:
            raise ConfigError(
                f"{run} holds a run made under another configuration (differs in: {', '.join(differing)})",
                fix="give another run folder, or the same settings to go on",
            )
        return
    run.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(resolved, indent=2) + "\n")

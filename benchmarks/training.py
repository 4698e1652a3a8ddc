"""Training tokens per second, ours against `transformers.CwmForCausalLM`: same shape, rows, masks and precision.

    python benchmarks/training.py [--shape nano] [--seq 512 4096] [--sides ours plain trainer] [--rounds 9]

Every side is a process of its own, since what is measured is partly how a process keeps its memory. The sides take
turns, step by step, so that whatever else the machine does meets all of them; what is printed is the median of the
paired ratios, with the middle half of them. A step is a whole one: forward, loss where it is trained, backward,
clipping, fused AdamW, in bfloat16 autocast.

    ours             everything on; after it, each gain switched off alone
    plain            a plain loop over CwmForCausalLM, logits only at trained targets (`logits_to_keep`)
    plain, kept      the same, with memory kept as ours is (`opencwm.model.memory`)
    trainer          transformers' Trainer, with its own collation, logits and optimizer

transformers infers the document masks of packed rows from restarting positions, which it does only with
`use_cache=False`. The local layers' window is 256 tokens on all sides.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers

from opencwm.data.pack import Batch, Document, join, row
from opencwm.model import shapes
from opencwm.model.config import ModelConfig
from opencwm.model.memory import keep_memory
from opencwm.model.transformer import Transformer
from opencwm.train import loop
from opencwm.train.optim import OptimConfig, build

OURS = ("ours", "no kept memory", "no compile", "masked SDPA", "all logits", "unfused AdamW")
SIDES = (*OURS, "plain", "plain, kept", "trainer")
WARM_UP = 2


def shape_of(name: str) -> ModelConfig:
    """A recipe's shape in what both sides know: no qk_norm, which transformers' Cwm lacks."""
    return replace(getattr(shapes, name)(), qk_norm=False, sliding_window=256, pad_token_id=2)


def packed(config: ModelConfig, seq_len: int) -> Batch:
    """One row of random documents, most of whose targets are trained, as in traces."""
    rng = np.random.default_rng(0)
    documents, room = [], seq_len
    while room > 0:
        size = min(room, int(rng.integers(200, 900)))
        tokens = rng.integers(3, config.vocab_size, size + 1).astype(np.int32)
        documents.append(Document(tokens, size // 7))
        room -= size
    return join([row(documents, seq_len, pad_id=2)])


def ours(side: str, config: ModelConfig, seq_len: int) -> Callable[[], None]:
    if side != "no kept memory":
        keep_memory()
    if side == "masked SDPA":
        loop.PackedAttention = MaskedAttention  # type: ignore[misc]
    model = Transformer(config)
    model.initialise(0)
    model.train()
    optimizers: list[Any] = build(model, OptimConfig(kind="adamw", adam_lr=1e-4))
    if side == "unfused AdamW":
        optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95))]
    batch = packed(config, seq_len)
    compiled = ExitStack()
    if side != "no compile":
        compiled.enter_context(loop.compiled_blocks(model))

    def step(compiled: ExitStack = compiled) -> None:  # which lives as long as the step
        loss, _ = (all_logits_loss if side == "all logits" else loop.loss_of)(model, batch, torch.bfloat16)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return step


class MaskedAttention:
    """What stands in where our attention is switched off: PyTorch's kernel with a mask, as in transformers."""

    def __init__(self, config: ModelConfig, lengths: list[int], *, global_window: int | None = None) -> None:
        documents = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
        distance = torch.arange(len(documents))[:, None] - torch.arange(len(documents))[None, :]
        whole = (documents[:, None] == documents[None, :]) & (distance >= 0)
        self.config, self.masks = (
            config,
            {None: whole, config.sliding_window: whole & (distance < config.sliding_window)},
        )

    def __call__(self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
        mask = self.masks[self.config.window(layer)]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)[0].transpose(0, 1)


def all_logits_loss(model: Transformer, batch: Batch, dtype: torch.dtype) -> tuple[torch.Tensor, int]:
    """The loss from the logits of every position, at once."""
    inputs, targets = (torch.from_numpy(tokens).long() for tokens in (batch.inputs, batch.targets))
    positions = torch.cat([torch.arange(length) for length in batch.lengths])
    targets[~torch.from_numpy(batch.trained)] = -100
    with torch.autocast("cpu", dtype):
        logits = model.logits(model(inputs, positions, loop.PackedAttention(model.config, batch.lengths)))
        return F.cross_entropy(logits.float(), targets), len(targets)


def theirs(config: ModelConfig) -> Any:
    fields = {key: value for key, value in config.to_hf().items() if key not in ("architectures", "dtype")}
    return transformers.CwmForCausalLM(transformers.CwmConfig(**{**fields, "use_cache": False})).train()


def plain(side: str, config: ModelConfig, seq_len: int) -> Callable[[], None]:
    if side == "plain, kept":
        keep_memory()
    model = theirs(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=True)
    batch = packed(config, seq_len)
    inputs = torch.from_numpy(batch.inputs).long()[None]
    positions = torch.cat([torch.arange(length) for length in batch.lengths])[None]
    trained = torch.from_numpy(batch.trained).nonzero()[:, 0]
    targets = torch.from_numpy(batch.targets).long()[trained]

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(inputs, position_ids=positions, use_cache=False, logits_to_keep=trained).logits[0]
        F.cross_entropy(logits.float(), targets).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


class Turns(transformers.TrainerCallback):
    """Lets the Trainer make a step when it is this side's turn."""

    def __init__(self, turns: Iterator[str]) -> None:
        self.turns = turns

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if next(self.turns, None) is None:
            sys.exit()
        self.start = time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        print(time.process_time() - self.start, flush=True)


def train_with_trainer(config: ModelConfig, seq_len: int, turns: Iterator[str]) -> None:
    batch = packed(config, seq_len)
    labels = np.full(seq_len, -100)  # it shifts them itself
    labels[1:][batch.trained[:-1]] = batch.targets[:-1][batch.trained[:-1]]
    example = {
        "input_ids": batch.inputs.tolist(),
        "position_ids": [place for length in batch.lengths for place in range(length)],
        "labels": labels.tolist(),
    }
    arguments = transformers.TrainingArguments(
        output_dir="/tmp/opencwm-trainer", use_cpu=True, bf16=True, per_device_train_batch_size=1, max_steps=10_000,
        learning_rate=1e-4, lr_scheduler_type="constant", adam_beta2=0.95, max_grad_norm=1.0, logging_strategy="no",
        save_strategy="no", report_to=[], remove_unused_columns=False, disable_tqdm=True,
    )  # fmt: skip
    trainer = transformers.Trainer(
        theirs(config), arguments, train_dataset=[example] * 16,
        data_collator=transformers.default_data_collator, callbacks=[Turns(turns)],
    )  # fmt: skip
    trainer.train()


def run_side(side: str, config: ModelConfig, seq_len: int) -> None:
    """Make a step and print its seconds for every line that comes in."""
    if side == "trainer":
        train_with_trainer(config, seq_len, iter(sys.stdin))
        return
    step = (ours if side in OURS else plain)(side, config, seq_len)
    for _ in sys.stdin:
        start = time.process_time()
        step()
        print(time.process_time() - start, flush=True)


class Side:
    """A process that makes steps when asked to."""

    def __init__(self, name: str, shape: str, seq_len: int, threads: int) -> None:
        command = [sys.executable, __file__, "--side", name, "--shape", shape, "--seq", str(seq_len)]
        self.process = subprocess.Popen(
            [*command, "--threads", str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(names: list[str], shape: str, seq_len: int, rounds: int, threads: int) -> None:
    sides = {name: Side(name, shape, seq_len, threads) for name in names}
    for side in sides.values():
        for _ in range(WARM_UP):
            side.seconds()
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, side in sides.items():
            times[name].append(side.seconds())
    for side in sides.values():
        side.end()
    for name in names:
        ratios = [theirs / ours for theirs, ours in zip(times[name], times[names[0]], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        speed = statistics.median(seq_len / seconds for seconds in times[name])
        print(f"{shape:6s} {seq_len:5d}  {name:15s} {speed:8.0f} tokens/s   {middle:5.2f} times {names[0]}'s time"
              f" [{low:.2f}-{high:.2f}]", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="nano", choices=["nano", "small"])
    parser.add_argument("--seq", type=int, nargs="+", default=[512, 4096])
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.side is not None:
        run_side(args.side, shape_of(args.shape), args.seq[0])
        return
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {args.threads} thread(s)")
    for seq_len in args.seq:
        measure(args.sides, args.shape, seq_len, args.rounds, args.threads)


if __name__ == "__main__":
    main()

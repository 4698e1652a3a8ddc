"""A tiny model and endless documents, and some processes that train it together from one import of torch."""

import datetime
import json
import multiprocessing
import os
import signal
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from opencwm.data.pack import Document, PackState, join, pack
from opencwm.errors import ConfigError
from opencwm.model.config import ModelConfig
from opencwm.model.transformer import Transformer, initial_weights
from opencwm.train import optim, parallel
from opencwm.train.loop import LoopConfig, train
from opencwm.train.optim import OptimConfig
from opencwm.train.parallel import ParallelConfig, part, whole
from opencwm.train.schedule import ScheduleConfig

SHAPE = ModelConfig(
    vocab_size=32, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, head_dim=16, layer_types=("sliding_attention", "full_attention"),
    sliding_window=8, max_position_embeddings=64, qk_norm=True,
)  # fmt: skip
LOOP = LoopConfig(
    num_steps=8, seq_len=32, num_rows=4, precision="float32", log_every=1, save_every=4,
    optim=OptimConfig(kind="adamw", adam_lr=0.01), schedule=ScheduleConfig(warmup_steps=2),
)  # fmt: skip


class Counting:
    """Endless documents: runs of consecutive numbers, which a model can learn."""

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        start, size = rng.integers(1, 8), rng.integers(5, 24)
        return Document((start + np.arange(size, dtype=np.int32)) % 31 + 1, 2)


def fresh() -> Transformer:
    model = Transformer(SHAPE)
    model.initialise(0)
    return model


def run(folder: Path, loop: LoopConfig, until: int | None = None, kill_at: int | None = None) -> None:
    """Train a fresh model in `folder`, in as many processes as call this; the first one logs to metrics.jsonl. It is
    stopped after step `until`, or its last process killed after step `kill_at`."""

    def log(record):
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def stop(progress):
        if progress.step == kill_at and processes.data_rank == processes.num_data - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return processes.data_rank == 0 and progress.step == until  # asked of one, obeyed by all

    with parallel.together(loop.parallel, "cpu") as processes:

        def rows(state: PackState):
            stream = pack(Counting(), loop.seq_len, state, waiting=4, pad_id=0)
            own = slice(processes.data_rank, None, processes.num_data)
            while True:
                group = list(islice(stream, loop.num_rows))
                yield join([row for row, _ in group][own]), group[-1][1]

        model, initial = fresh(), None
        if processes.mesh is not None:  # as a stage does: no process ever holds the whole model
            with torch.device("meta"):
                model = Transformer(SHAPE)
            initial = initial_weights(model, 0)
        train(model, rows, loop, folder, log=log, stop=stop, processes=processes, initial=initial)


def muon_steps() -> None:
    """Two steps of Muon on split matrices and, with the same gradients, on whole ones."""
    config = OptimConfig(lr=0.02)
    with parallel.together(ParallelConfig(tensor=dist.get_world_size() // 2), "cpu") as processes:
        ours, theirs = fresh(), fresh()
        parallel.split(ours, processes, ParallelConfig(), torch.float32)
        muon, reference = optim.build(ours, config)[0], optim.build(theirs, config)[0]
        torch.manual_seed(0)
        for _ in range(2):
            for split, single in zip(ours.parameters(), theirs.parameters(), strict=True):
                single.grad = torch.randn(single.shape)
                split.grad = part(single.grad, like=split)
            muon.step()
            reference.step()
        for (name, split), single in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            assert torch.equal(whole(split), single), name


def gathered() -> None:
    """Only the block that computes has its weights whole, and rounded to the type of matrix products."""
    with parallel.together(ParallelConfig(), "cpu") as processes:
        model, seen = fresh(), []
        parallel.split(model, processes, ParallelConfig(), torch.bfloat16)
        weights = [block.mlp.up_proj for block in model.model.layers]
        model.model.layers[1].mlp.register_forward_pre_hook(
            lambda *_: seen.extend((isinstance(each.weight, DTensor), each.weight.dtype) for each in weights)
        )
        with torch.autocast("cpu", torch.bfloat16):
            model.score(torch.arange(1, 9), [8])
        assert seen == [(True, torch.float32), (False, torch.bfloat16)], seen


def refused() -> None:
    """Two processes are not one."""
    with pytest.raises(ConfigError, match="2 processes cannot be 1"), parallel.together(ParallelConfig(data=1), "cpu"):
        pass


def losses(folder: Path) -> list[float]:
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [record["loss"] for record in records if record["event"] == "step"]


def start(number: int, folder: Path, work, *args):
    """`work(*args)` in `number` processes that form a group; they come from a server that has imported torch."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["opencwm.train.stage", "torch._dynamo"])
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / f"rendezvous-{datetime.datetime.now().timestamp()}"
    members = [context.Process(target=member, args=(rank, number, store, work, args)) for rank in range(number)]
    for process in members:
        process.start()
    return members


def together(number: int, folder: Path, work, *args) -> list[int | None]:
    """The exit statuses of `start`'s processes."""
    members = start(number, folder, work, *args)
    for process in members:
        process.join(120)
    return [process.exitcode for process in members]


def member(rank: int, number: int, store: Path, work, args) -> None:
    torch.set_num_threads(1)
    timeout = datetime.timedelta(seconds=60)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=number, timeout=timeout)
    try:
        work(*args)
    finally:
        dist.destroy_process_group()

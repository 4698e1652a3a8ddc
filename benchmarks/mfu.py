"""Model FLOP utilisation of a training step: what the model asks for, over what the device could do in that time.

    python benchmarks/mfu.py --shape small --seq 8192 --rows 4 --compile           # on an H100 or H200
    python benchmarks/mfu.py --shape nano --seq 512 --peak 0.5                     # anywhere; the peak in TFLOP/s

Whole steps over rows of random documents of 512 to 4096 tokens: forward, loss on all tokens, backward, clipping,
fused AdamW. The FLOP are those of `opencwm.model.flops`. The peaks are the makers' dense bf16 numbers.
"""

import argparse
import statistics
import time
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch

from opencwm.data.pack import Batch
from opencwm.model import shapes
from opencwm.model.device import choose_device, fast_dtype
from opencwm.model.flops import training_flop
from opencwm.model.memory import keep_memory
from opencwm.model.transformer import Transformer
from opencwm.train.loop import compiled_blocks, loss_of
from opencwm.train.optim import OptimConfig, build

PEAKS = {"H100": 989, "H200": 989, "A100": 312, "B200": 2250}
"""TFLOP/s."""
WARM_UP = 3


def random_batch(vocabulary: int, seq_len: int, num_rows: int) -> Batch:
    rng = np.random.default_rng(0)
    lengths: list[int] = []
    for _ in range(num_rows):
        room = seq_len
        while room > 0:
            lengths.append(min(room, int(rng.integers(512, 4096))))
            room -= lengths[-1]
    tokens = rng.integers(0, vocabulary, sum(lengths) + 1)
    return Batch(inputs=tokens[:-1], targets=tokens[1:], trained=np.ones(len(tokens) - 1, bool), lengths=tuple(lengths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="small", choices=["nano", "small", "b1_8"])
    parser.add_argument("--seq", type=int, default=8192)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--peak", type=float, help="TFLOP/s; known of " + ", ".join(PEAKS))
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    device = choose_device(args.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else device.type
    peak = args.peak or next((value for key, value in PEAKS.items() if key in name), None)
    if peak is None:
        parser.error(f"the peak of {name} is not known here: give --peak in TFLOP/s")
    keep_memory()
    config = replace(getattr(shapes, args.shape)(), max_position_embeddings=args.seq)
    model = Transformer(config)
    model.initialise(0)
    model.to(device).train()
    optimizers = build(model, OptimConfig(kind="adamw", adam_lr=1e-4))
    batch = random_batch(config.vocab_size, args.seq, args.rows)
    dtype, _ = fast_dtype(device)

    def seconds() -> float:
        start = time.perf_counter()
        loss, _ = loss_of(model, batch, dtype)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    with compiled_blocks(model) if args.compile else nullcontext():
        for _ in range(WARM_UP):
            seconds()
        step = statistics.median(seconds() for _ in range(args.steps))
    flop = training_flop(config, batch.lengths, int(batch.trained.sum()))
    num_tokens = len(batch.inputs)
    print(f"{args.shape} on {name}, {dtype}: {num_tokens:,} tokens a step, {flop / num_tokens:.3g} FLOP a token")
    print(f"{step * 1e3:.1f} ms a step, {num_tokens / step:,.0f} tokens/s, {flop / step / 1e12:.3g} TFLOP/s")
    print(f"MFU {flop / step / 1e12 / peak:.1%} of {peak:g} TFLOP/s")


if __name__ == "__main__":
    main()

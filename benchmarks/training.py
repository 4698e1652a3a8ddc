"""Training tokens per second, ours against `transformers.CwmForCausalLM`: same shape, rows, masks and precision.

    python benchmarks/training.py [--rounds 5] [--threads 1]

Both sides take the whole step: forward, loss where it is trained, backward, clipping, fused AdamW. They take turns,
step by step, in this process; the line at the end is the median of the paired ratios. transformers infers the
document masks of packed rows from restarting positions, which it does only with `use_cache=False`.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import transformers

from opencwm.data.pack import Document, row
from opencwm.model.config import ModelConfig
from opencwm.model.transformer import Transformer
from opencwm.train.loop import compiled_blocks, loss_of
from opencwm.train.optim import OptimConfig, build

SHAPE = ModelConfig(
    vocab_size=1024, hidden_size=256, intermediate_size=768, num_hidden_layers=6, num_attention_heads=4,
    num_key_value_heads=2, head_dim=64, layer_types=("sliding_attention", "full_attention") * 3, sliding_window=128,
    max_position_embeddings=8192, rope_theta=10_000.0, pad_token_id=2,
)  # fmt: skip


def packed(seq_len: int, seed: int):
    """One row of random documents, most of whose targets are trained, as in traces."""
    rng = np.random.default_rng(seed)
    documents, room = [], seq_len
    while room > 0:
        size = min(room, int(rng.integers(200, 900)))
        tokens = rng.integers(3, SHAPE.vocab_size, size + 1).astype(np.int32)
        documents.append(Document(tokens, size // 7))
        room -= size
    return row(documents, seq_len, pad_id=2)


def ours(seq_len: int, compile: bool) -> Callable[[], None]:
    model = Transformer(SHAPE)
    model.initialise(0)
    model.train()
    optimizers = build(model, OptimConfig(kind="adamw", adam_lr=1e-4))
    batch = packed(seq_len, 0)
    if compile:
        compiled_blocks(model).__enter__()

    def step() -> None:
        loss, _ = loss_of(model, batch, torch.bfloat16)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return step


def theirs(seq_len: int) -> Callable[[], None]:
    config = transformers.CwmConfig(**{k: v for k, v in SHAPE.to_hf().items() if k not in ("architectures", "dtype")})
    model = transformers.CwmForCausalLM(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=True)
    batch = packed(seq_len, 0)
    inputs = torch.from_numpy(batch.inputs).long()[None]
    positions = torch.cat([torch.arange(length) for length in batch.lengths])[None]
    targets = torch.from_numpy(batch.targets).long()
    trained = torch.from_numpy(batch.trained)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(inputs, position_ids=positions, use_cache=False).logits[0]
        torch.nn.functional.cross_entropy(logits[trained].float(), targets[trained]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def seconds(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(
        f"torch {torch.__version__}, transformers {transformers.__version__}, {args.threads} thread(s), bf16 autocast"
    )
    for seq_len in (512, 2048, 4096):
        sides = {"plain": ours(seq_len, False), "compiled": ours(seq_len, True), "transformers": theirs(seq_len)}
        for step in sides.values():
            step()
            step()
        rounds = [{name: seconds(step) for name, step in sides.items()} for _ in range(args.rounds)]
        for name in sides:
            speed = statistics.median(seq_len / each[name] for each in rounds)
            ratio = statistics.median(each["transformers"] / each[name] for each in rounds)
            low, high = (f(each["transformers"] / each[name] for each in rounds) for f in (min, max))
            print(f"seq {seq_len:5d}  {name:12s}  {speed:8.0f} tokens/s   {ratio:5.2f}x [{low:.2f}-{high:.2f}]")


if __name__ == "__main__":
    main()

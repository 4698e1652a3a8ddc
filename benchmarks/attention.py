"""Attention over packed documents on a CPU: ours against PyTorch's masked kernel and compiled FlexAttention.

    python benchmarks/attention.py [--seq 512 4096] [--rounds 9] [--no-flex]

One layer of the `nano` recipe's heads (4 of 64, sharing 2 for keys and values), documents of 200 to 900 tokens, in
bfloat16. The sides take turns in this process; times are CPU time, the ratios medians of pairs. FlexAttention has no
backward pass on a CPU. Every side's output is compared with a float64 reference first.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from opencwm.model.attention_blocks import BlockAttention
from opencwm.model.attention_flex import FlexAttention
from opencwm.model.memory import keep_memory

HEADS, KV_HEADS, HEAD_DIM = 4, 2, 64
WINDOWS = (128, 256, 512, None)
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def documents(length: int) -> list[int]:
    rng, lengths = np.random.default_rng(0), []
    while (room := length - sum(lengths)) > 0:
        lengths.append(min(room, int(rng.integers(200, 900))))
    return lengths


def masked_sdpa(lengths: list[int], window: int | None) -> Attention:
    number = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    distance = torch.arange(len(number))[:, None] - torch.arange(len(number))[None, :]
    mask = (number[:, None] == number[None, :]) & (distance >= 0)
    mask = mask if window is None else mask & (distance < window)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)[0].transpose(0, 1)

    return attend


def compiled_flex(lengths: list[int], window: int | None) -> Attention:
    kernel: Any = torch.compile(flex_attention, dynamic=False)
    mask = FlexAttention(lengths)._mask(window, torch.device("cpu"))

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.detach().transpose(0, 1)[None] for x in (q, k, v))
        return kernel(q, k, v, block_mask=mask, enable_gqa=True)[0].transpose(0, 1)

    return attend


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(length: int, window: int | None, rounds: int, with_flex: bool) -> None:
    lengths = documents(length)
    shapes = [(length, heads, HEAD_DIM) for heads in (HEADS, KV_HEADS, KV_HEADS)]
    q, k, v = (torch.randn(shape, dtype=torch.bfloat16, requires_grad=True) for shape in shapes)
    mine = BlockAttention(lengths)
    sides: dict[str, Attention] = {"ours": lambda q, k, v: mine(q, k, v, window), "SDPA": masked_sdpa(lengths, window)}
    if with_flex:
        sides["Flex"] = compiled_flex(lengths, window)
    with torch.no_grad():
        expected = masked_sdpa(lengths, window)(q.double(), k.double(), v.double())
        for name, attend in sides.items():
            error = float((attend(q, k, v).double() - expected).abs().max())
            assert error < 0.05, f"{name} is off by {error}"
    gradient = torch.randn_like(q)
    works: dict[str, Callable[[], Any]] = {}
    for name, attend in sides.items():
        works[f"{name} forward"] = lambda attend=attend: attend(q.detach(), k.detach(), v.detach())
        if name != "Flex":
            works[f"{name} both"] = lambda attend=attend: attend(q, k, v).backward(gradient)
    times: dict[str, list[float]] = {name: [] for name in works}
    for round in range(rounds + 2):
        for name, work in works.items():
            elapsed = seconds(work)
            if round > 1:
                times[name].append(elapsed)

    def ratio(above: str, below: str) -> str:
        return f"{statistics.median(a / b for a, b in zip(times[above], times[below], strict=True)):5.2f}"

    shown = [f"{statistics.median(times[name]) * 1e3:7.1f}" for name in ("ours forward", "ours both")]
    shown += [ratio("SDPA forward", "ours forward"), ratio("SDPA both", "ours both")]
    shown += [ratio("Flex forward", "ours forward")] if with_flex else []
    print(f"{length:6d}  {window or 'all':>6}  " + "  ".join(f"{word:>12}" for word in shown), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seq", type=int, nargs="+", default=[512, 4096])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--flex", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_memory()
    print(f"torch {torch.__version__}, bfloat16, {args.threads} thread(s); times SDPA and Flex take of ours'")
    columns = ["ours fwd ms", "fwd+bwd ms", "SDPA fwd", "SDPA fwd+bwd"] + ["Flex fwd"] * args.flex
    print("   seq  window  " + "  ".join(f"{word:>12}" for word in columns))
    for length in args.seq:
        for window in WINDOWS:
            if window is None or window < length:
                compare(length, window, args.rounds, args.flex)


if __name__ == "__main__":
    main()

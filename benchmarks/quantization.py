"""Decoding in int8 and under torch.compile against plain bfloat16: tokens per second of our engine, one stream, same
weights, turn by turn.

    python benchmarks/quantization.py [--shapes nano small] [--new 64] [--rounds 5] [--no-compile]

Weights are random: the speed is that of any. Greedy, a prompt of 32 tokens, nothing drafted, since random tokens have
nothing to draft from. Times are CPU time, the ratios medians of pairs. What is compiled is what training compiles:
each block but for its attention.
"""

import argparse
import copy
import statistics
import time
from contextlib import ExitStack

import torch

from opencwm.infer.engine import Engine
from opencwm.model import shapes
from opencwm.model.memory import keep_memory
from opencwm.model.quantize import quantize
from opencwm.model.transformer import Transformer
from opencwm.protocols import Request
from opencwm.train.loop import compiled_blocks


def engines(shape: str, with_compiled: bool, stack: ExitStack) -> dict[str, Engine]:
    model = Transformer(getattr(shapes, shape)())
    model.initialise(0)
    model = model.to(torch.bfloat16).eval()
    models = {"bfloat16": model, "int8": quantize(copy.deepcopy(model))}
    if with_compiled:
        for name in tuple(models):
            models[f"{name}, compiled"] = copy.deepcopy(models[name])
            stack.enter_context(compiled_blocks(models[f"{name}, compiled"]))
    return {name: Engine(each, max_batch=1, num_drafted=0) for name, each in models.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=["nano", "small"], choices=["nano", "small", "b1_8"])
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_memory()
    print(f"torch {torch.__version__}, {args.threads} thread(s), {args.new} tokens after 32")
    for shape in args.shapes:
        stack = ExitStack()
        sides = engines(shape, args.compile, stack)
        request = Request(prompt=tuple(range(3, 35)), max_tokens=args.new)
        times: dict[str, list[float]] = {name: [] for name in sides}
        for round in range(args.rounds + 2):
            for name, engine in sides.items():
                start = time.process_time()
                engine.generate([request])
                if round > 1:
                    times[name].append(time.process_time() - start)
        for name, each in times.items():
            ratio = statistics.median(a / b for a, b in zip(times["bfloat16"], each, strict=True))
            print(
                f"{shape:6s} {name:20s} {args.new / statistics.median(each):7.1f} tokens/s  {ratio:5.2f}x", flush=True
            )
        stack.close()


if __name__ == "__main__":
    main()

"""Generation: tokens per second of our engine and of transformers' `generate`, same weights, same run.

    python benchmarks/generation.py [--model FOLDER] [--threads 2] [--new 128] [--prompt 256]

Greedy, prompts of random tokens, no stop token; each side generates everything `--repeats` times, taking turns, and the
best time of each counts (other programs on the machine only ever slow one down). Without `--model` the weights are
random and of the shape of a small model. Prefill is part of the time on both sides. The first tokens are compared, too.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers

from opencwm.infer.engine import Engine
from opencwm.model.config import ModelConfig, layer_pattern
from opencwm.model.transformer import Transformer
from opencwm.model.weights import load, load_config, save
from opencwm.protocols import Request

BATCHES = (1, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=256, help="tokens per prompt")
    parser.add_argument("--new", type=int, default=128, help="tokens to generate per prompt")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.model or random_model(Path(temporary))
        config = load_config(folder)
        print(
            f"{sum(t.numel() for t in load(folder).parameters()) / 1e6:.1f}M parameters, {config.model_type} layout, "
        )
        print(f"prompts of {arguments.prompt} tokens, {arguments.new} new ones, {arguments.threads} threads\n")
        print(f"{'dtype':<10}{'batch':>6}{'ours':>12}{'transformers':>14}{'ratio':>8}   tokens/s")
        for name in arguments.dtypes:
            for batch in BATCHES:
                compare(folder, getattr(torch, name), batch, arguments)


def compare(folder: Path, dtype: torch.dtype, batch: int, arguments: argparse.Namespace) -> None:
    model = load(folder, dtype=dtype)
    engine = Engine(model, max_batch=batch, num_drafted=0)  # random tokens have nothing to draft from
    kind = transformers.Qwen3ForCausalLM if model.config.qk_norm else transformers.CwmForCausalLM
    theirs = kind.from_pretrained(folder, attn_implementation="sdpa", dtype=dtype).eval()
    theirs.generation_config.eos_token_id = None
    prompts = torch.randint(
        0, model.config.vocab_size, (batch, arguments.prompt), generator=torch.Generator().manual_seed(0)
    )
    requests = [Request(prompt=tuple(row.tolist()), max_tokens=arguments.new) for row in prompts]

    def run_ours() -> list[list[int]]:
        return [list(completion.tokens) for completion in engine.generate(requests)]

    def run_theirs() -> list[list[int]]:
        made = theirs.generate(
            prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=arguments.new, do_sample=False
        )
        return made[:, arguments.prompt :].tolist()  # type: ignore[no-any-return]

    runs = (run_ours, run_theirs)
    first = [run() for run in runs]
    assert all(len(row) == arguments.new for rows in first for row in rows)
    same = sum(a[0] == b[0] for a, b in zip(*first, strict=True))
    best = [min(timed(run) for _ in range(arguments.repeats)) for run in runs]
    speeds = [batch * arguments.new / seconds for seconds in best]
    name = str(dtype).removeprefix("torch.")
    print(
        f"{name:<10}{batch:>6}{speeds[0]:>12.0f}{speeds[1]:>14.0f}{speeds[0] / speeds[1]:>8.2f}"
        f"   first tokens equal: {same}/{batch}",
        flush=True,
    )


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def random_model(folder: Path) -> Path:
    config = ModelConfig(
        vocab_size=4096,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=3,
        head_dim=64,
        layer_types=layer_pattern(6, every=3),
        sliding_window=128,
        max_position_embeddings=4096,
        rope_theta=1e4,
        pad_token_id=0,
    )
    model = Transformer(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.1, generator=generator)
    save(model, folder, dtype=torch.float32)
    return folder


if __name__ == "__main__":
    main()

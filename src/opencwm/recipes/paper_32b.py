"""`paper_32b`: the stages of CWM as they are published (arXiv 2510.02387), for a cluster.

opencwm train pretrain --size paper_32b --dry-run

| stage | published | ours, where the paper is silent |
|---|---|---|
| all | AdamW, betas 0.9 and 0.95, weight decay 0.1, clip 1.0 (section 4) | epsilon 1e-10 |
| pretrain | 8 T tokens, 8,192 long, batches of 8.4 M; 2,000 steps of warm-up, one cosine over 13 T tokens from 8e-4 down a hundredfold; 30% code (4.2) | RoPE base 500,000 and unscaled, as in Llama 3 |
| midtrain | 5 T tokens, 131,072 long, batches of 33 M; the same cosine, the optimizer's state kept; 30% traces and trajectories, 40% code, 30% rehearsal; length buckets, global attention cut to 32,768 in the middle one; RoPE base 1e6 scaled by 16; half of the observations without loss (4.1, 4.2, 2.3) | halves of the 30%, and that rehearsal is the mix of pretrain |
| sft | 50,000 steps, 32 k long, batches of 2 M; 1,000 steps of warm-up, then 1e-5; no loss on the token that opens reasoning; 30% rehearsal of midtrain (5.1) | the other shares; a new optimizer state |
"""  # noqa: E501

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opencwm.data.mix import Mix
    from opencwm.train.stage import StageConfig

TOKENS = Path("runs/cwm-tokens")
"""Token shards, made with CWM's tokenizer: a folder for each name in the mixes."""
MIXES = {
    "pretrain": "web:0.7 code:0.3",
    "midtrain": "traces:0.15 trajectories:0.15 repositories:0.4 web:0.21 code:0.09",
    "sft": "chats:0.25 reasoning:0.25 solutions:0.2 "
    "traces:0.045 trajectories:0.045 repositories:0.12 web:0.063 code:0.027",
}
"""Shares of the tokens. `repositories` is general code; `solutions` are trajectories that solved their task."""


def mix_of(stage: str, tokens: Path) -> "Mix":
    """The mix of a stage, from folders in `tokens`."""
    from opencwm.data.mix import mix

    return mix(*(f"{tokens}/{part}" for part in MIXES[stage].split()))


def stages() -> "dict[str, StageConfig]":
    from dataclasses import replace

    from opencwm.data.loader import Bucket
    from opencwm.model import shapes
    from opencwm.train.loop import LoopConfig
    from opencwm.train.optim import OptimConfig
    from opencwm.train.schedule import ScheduleConfig
    from opencwm.train.stage import StageConfig

    shape, tokenizer = shapes.paper_32b(), Path("runs/cwm-tokenizer")
    adamw = OptimConfig(kind="adamw", adam_lr=8e-4, betas=(0.9, 0.95), weight_decay=0.1, clip=1.0)
    pretrain = StageConfig(
        data=mix_of("pretrain", TOKENS),
        tokenizer=tokenizer,
        run=Path("runs/paper_32b-pretrain"),
        model=replace(shape, rope_theta=500_000.0, rope_scaling=None, max_position_embeddings=8192),
        split=True,
        loop=LoopConfig(
            num_steps=953_674,  # 8 T tokens
            seq_len=8192,
            num_rows=1024,
            optim=adamw,
            schedule=ScheduleConfig(kind="cosine", warmup_steps=2000, floor=0.01, span=(0.0, 8 / 13)),
            precision="bf16",
        ),
    )
    midtrain = StageConfig(
        data=mix_of("midtrain", TOKENS),
        tokenizer=tokenizer,
        run=Path("runs/paper_32b-midtrain"),
        model=shape,
        start=pretrain.run / "model",
        split=True,
        buckets=(Bucket(longest=16_385), Bucket(longest=65_537, global_window=32_768), Bucket(longest=None)),
        environment_loss=0.5,
        loop=LoopConfig(
            num_steps=149_012,  # 5 T tokens
            seq_len=131_072,
            num_rows=256,
            optim=adamw,
            schedule=ScheduleConfig(kind="cosine", warmup_steps=0, floor=0.01, span=(8 / 13, 1.0)),
            precision="bf16",
        ),
    )
    sft = StageConfig(
        data=mix_of("sft", TOKENS),
        tokenizer=tokenizer,
        run=Path("runs/paper_32b-sft"),
        model=shape,
        start=midtrain.run / "model",
        keep_optimizer=False,
        environment_loss=0.5,
        never_trained=("reasoning_thinking_start",),
        loop=LoopConfig(
            num_steps=50_000,  # 105 B tokens
            seq_len=32_768,
            num_rows=64,
            optim=replace(adamw, adam_lr=1e-5),
            schedule=ScheduleConfig(kind="constant", warmup_steps=1000),
            precision="bf16",
        ),
    )
    return {"pretrain": pretrain, "midtrain": midtrain, "sft": sft}

"""`b1_8`: the stages of `paper_32b` for 1.8 billion parameters and some eight GPUs. Not run yet.

opencwm train pretrain --size b1_8 --dry-run

Tokens, batches and rates follow from CWM's laws (arXiv 2510.02387, section 4.3): 40 tokens per FLOP of one token make
409 B of pre-training, for which the laws give a rate of 2.9e-3 and batches of 3.0 M tokens; both are rounded down as
the paper does for the 32B. The later stages keep the paper's proportions; contexts are a quarter of its.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opencwm.train.stage import StageConfig


def stages() -> "dict[str, StageConfig]":
    from dataclasses import replace

    from opencwm.data.loader import Bucket
    from opencwm.model import shapes
    from opencwm.recipes import paper_32b

    paper, shape = paper_32b.stages(), shapes.b1_8()
    adamw = replace(paper["pretrain"].loop.optim, adam_lr=2.3e-3)
    pretrain = replace(
        paper["pretrain"],
        run=Path("runs/b1_8-pretrain"),
        model=replace(shape, rope_theta=500_000.0, rope_scaling=None, max_position_embeddings=8192),
        loop=replace(paper["pretrain"].loop, num_steps=195_000, num_rows=256, optim=adamw),
    )
    midtrain = replace(
        paper["midtrain"],
        run=Path("runs/b1_8-midtrain"),
        model=shape,
        start=pretrain.run / "model",
        buckets=(Bucket(longest=4097), Bucket(longest=16_385, global_window=8192), Bucket(longest=None)),
        loop=replace(paper["midtrain"].loop, num_steps=30_500, seq_len=32_768, num_rows=256, optim=adamw),
    )
    sft = replace(
        paper["sft"],
        run=Path("runs/b1_8-sft"),
        model=shape,
        start=midtrain.run / "model",
        loop=replace(
            paper["sft"].loop, num_steps=9_760, seq_len=16_384, num_rows=32, optim=replace(adamw, adam_lr=3e-5)
        ),
    )
    return {"pretrain": pretrain, "midtrain": midtrain, "sft": sft}

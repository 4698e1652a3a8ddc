"""`small`: the stages of `paper_32b` for 150 million parameters and one GPU. Not run yet.

    opencwm data tokenizer runs/mixed -o runs/small-tokenizer --vocab-size 32768
    opencwm train pretrain --size small --dry-run

Tokens, batches and rates follow from CWM's laws (arXiv 2510.02387, section 4.3): 40 tokens per FLOP of one token make
36 B of pre-training, for which the laws give a rate of 6.8e-3 and batches of 0.97 M tokens; both are rounded down as
the paper does for the 32B. The later stages keep the paper's proportions; contexts are a sixteenth of its.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from opencwm.recipes.paper_32b import mix_of

if TYPE_CHECKING:
    from opencwm.train.stage import StageConfig

TOKENS = Path("runs/small-tokens")


def stages() -> "dict[str, StageConfig]":
    from dataclasses import replace

    from opencwm.data.loader import Bucket
    from opencwm.model import shapes
    from opencwm.recipes import paper_32b

    paper, shape = paper_32b.stages(), shapes.small()
    adamw = replace(paper["pretrain"].loop.optim, adam_lr=5.4e-3)
    tokenizer = Path("runs/small-tokenizer")
    pretrain = replace(
        paper["pretrain"],
        data=mix_of("pretrain", TOKENS),
        tokenizer=tokenizer,
        run=Path("runs/small-pretrain"),
        model=shape,
        loop=replace(paper["pretrain"].loop, num_steps=55_300, seq_len=4096, num_rows=160, optim=adamw),
    )
    midtrain = replace(
        paper["midtrain"],
        data=mix_of("midtrain", TOKENS),
        tokenizer=tokenizer,
        run=Path("runs/small-midtrain"),
        model=shape,
        start=pretrain.run / "model",
        buckets=(Bucket(longest=1025), Bucket(longest=4097, global_window=2048), Bucket(longest=None)),
        loop=replace(paper["midtrain"].loop, num_steps=8_630, seq_len=8192, num_rows=320, optim=adamw),
    )
    sft = replace(
        paper["sft"],
        data=mix_of("sft", TOKENS),
        tokenizer=tokenizer,
        run=Path("runs/small-sft"),
        model=shape,
        start=midtrain.run / "model",
        loop=replace(paper["sft"].loop, num_steps=2_760, seq_len=2048, num_rows=80, optim=replace(adamw, adam_lr=7e-5)),
    )
    return {"pretrain": pretrain, "midtrain": midtrain, "sft": sft}

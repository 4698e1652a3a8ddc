"""`nano`: the model that ships with the project, from its programs to its weights.

    opencwm data build nano -o runs/nano-data
    opencwm data tokenizer runs/nano-data -o runs/nano-tokenizer
    opencwm train nano

Each of these can be stopped and given again. The stages of `paper_32b`, made small enough to be seen whole on a laptop,
are beside it (`opencwm train pretrain`, `midtrain`, `sft`); the model that ships has not gone through them.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from opencwm.data.recipe import Recipe
from opencwm.data.sources.generated import Generated

if TYPE_CHECKING:
    from opencwm.train.stage import StageConfig

HELDOUT = Path(__file__).parent.parent / "evals" / "heldout" / "programs.jsonl.gz"


def data() -> Recipe:
    """Generated programs of rising difficulty; nothing of the held-out set is in it."""
    generated = Generated(easiest=0.1, ramp=0.12)
    # a generator's small programs are alike: its near duplicates are what it is to be learned from
    return Recipe(
        num_programs=75_000, generated=generated, max_tokens=8_192, heldout=str(HELDOUT), near_duplicates=None
    )


def train() -> "StageConfig":
    """From nothing, about 7M parameters."""
    from opencwm.data.mix import mix
    from opencwm.model import shapes
    from opencwm.train.loop import LoopConfig
    from opencwm.train.optim import OptimConfig
    from opencwm.train.schedule import ScheduleConfig
    from opencwm.train.stage import StageConfig

    return StageConfig(
        data=mix("runs/nano-data"),
        tokenizer=Path("runs/nano-tokenizer"),
        run=Path("runs/nano"),
        model=shapes.nano(),
        loop=LoopConfig(
            num_steps=7900,
            seq_len=6144,  # longer traces are cut: 1 in 100
            num_rows=1,
            threads=2,
            compile=True,
            optim=OptimConfig(kind="muon", lr=0.01, adam_lr=0.012),
            schedule=ScheduleConfig(kind="trapezoid", warmup_steps=50, decay_share=0.8),
        ),
    )


def stages() -> "dict[str, StageConfig]":
    """Minutes of each: enough to see that every part works, far too little for a good model. Sizes and rates are ours;
    text, code, traces and pairs of question and answer stand for the paper's datasets."""
    from dataclasses import replace

    from opencwm.data.loader import Bucket
    from opencwm.data.mix import mix
    from opencwm.train.schedule import ScheduleConfig

    tokens, whole = Path("runs/nano-tokens"), train()
    loop = replace(whole.loop, compile=False, save_every=50)
    pretrain = replace(
        whole,
        data=mix(f"{tokens}/text:0.7", f"{tokens}/code:0.3"),
        run=Path("runs/nano-pretrain"),
        split=True,
        loop=replace(
            loop,
            num_steps=300,
            seq_len=1024,
            num_rows=4,
            schedule=ScheduleConfig(kind="cosine", warmup_steps=20, floor=0.01, span=(0.0, 8 / 13)),
        ),
    )
    midtrain = replace(
        pretrain,
        data=mix(f"{tokens}/traces:0.3", f"{tokens}/code:0.4", f"{tokens}/text:0.3"),
        run=Path("runs/nano-midtrain"),
        start=pretrain.run / "model",
        buckets=(Bucket(longest=513), Bucket(longest=2049, global_window=1024), Bucket(longest=None)),
        environment_loss=0.5,
        loop=replace(
            loop,
            num_steps=150,
            seq_len=4096,
            num_rows=2,
            schedule=ScheduleConfig(kind="cosine", warmup_steps=0, floor=0.01, span=(8 / 13, 1.0)),
        ),
    )
    sft = replace(
        pretrain,
        data=mix(f"{tokens}/pairs:0.7", f"{tokens}/traces:0.09", f"{tokens}/code:0.12", f"{tokens}/text:0.09"),
        run=Path("runs/nano-sft"),
        start=midtrain.run / "model",
        keep_optimizer=False,
        split=False,
        environment_loss=0.5,
        never_trained=("reasoning_thinking_start",),
        loop=replace(
            loop,
            num_steps=100,
            seq_len=2048,
            num_rows=2,
            optim=replace(loop.optim, lr=loop.optim.lr / 80, adam_lr=loop.optim.adam_lr / 80),
            schedule=ScheduleConfig(kind="constant", warmup_steps=10),
        ),
    )
    return {"pretrain": pretrain, "midtrain": midtrain, "sft": sft}

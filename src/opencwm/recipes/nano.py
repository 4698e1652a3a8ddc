"""`nano`: the model that ships with the project, from its programs to its weights.

    opencwm data build nano -o runs/nano-data
    opencwm data tokenizer runs/nano-data -o runs/nano-tokenizer
    opencwm train nano

Each of these can be stopped and given again.
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

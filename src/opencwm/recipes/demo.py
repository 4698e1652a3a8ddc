"""`demo`: what `opencwm demo` records, and how it goes on training the shipped model for a minute.

opencwm data build demo -o runs/demo-data
opencwm train demo
"""

from pathlib import Path
from typing import TYPE_CHECKING

from opencwm.data.recipe import Recipe
from opencwm.data.sources.functions import Functions
from opencwm.data.sources.generated import Generated
from opencwm.recipes.nano import HELDOUT

if TYPE_CHECKING:
    from opencwm.train.stage import StageConfig

FINAL_RATE = 0.02
"""Share of the peak learning rate that training goes on at (guess: where the model's own training ended)."""


def data() -> Recipe:
    """Functions of the standard library with the inputs that people gave them, and as many generated programs."""
    return Recipe(
        seed=1_000_000,  # of its own: nano's data has small seeds
        num_programs=320,
        shard_size=80,
        functions=Functions(weight=0.5, places=("stdlib",), typed=1, mutated=2, calls=3),
        generated=Generated(weight=0.5, ramp=0.0),
        heldout=str(HELDOUT),
        near_duplicates=None,  # there are few programs, and little time
    )


def train() -> "StageConfig":
    """The loop of `nano`'s recipe, at the rate that it ended with."""
    from dataclasses import replace

    from opencwm.data.mix import mix
    from opencwm.infer.resolve import NANO
    from opencwm.recipes import nano
    from opencwm.train.schedule import ScheduleConfig
    from opencwm.train.stage import adapted

    whole = nano.train()
    loop = replace(
        whole.loop,
        num_steps=100,
        optim=adapted(whole.loop.optim, FINAL_RATE),
        schedule=ScheduleConfig(kind="constant", warmup_steps=1),
        compile=False,  # it would take the minute to compile, and wants a C++ compiler
        log_every=2,
    )
    return replace(
        whole, data=mix("runs/demo-data"), tokenizer=NANO, run=Path("runs/demo"), model=None, start=NANO, loop=loop
    )

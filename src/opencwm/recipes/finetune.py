"""`finetune`: a model folder in the Hugging Face layout, trained on a dataset of traces.

    opencwm train finetune start=FOLDER data=DIR                                        adapters (LoRA)
    opencwm train finetune start=FOLDER data=DIR lora.rank=none loop.optim.adam_lr=1e-5   all weights

The rates are common practice, not measured here.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opencwm.train.stage import StageConfig


def train() -> "StageConfig":
    """LoRA of rank 16 on all matrices of the blocks."""
    from opencwm.data.mix import mix
    from opencwm.train.loop import LoopConfig
    from opencwm.train.lora import LoraConfig
    from opencwm.train.optim import OptimConfig
    from opencwm.train.schedule import ScheduleConfig
    from opencwm.train.stage import StageConfig

    return StageConfig(
        data=mix("runs/nano-data"),
        start=Path("runs/nano/model"),
        run=Path("runs/finetune"),
        keep_optimizer=False,  # that of another run and, with adapters, of other weights
        lora=LoraConfig(rank=16),
        loop=LoopConfig(
            num_steps=500,
            seq_len=4096,
            num_rows=4,
            save_every=50,
            optim=OptimConfig(kind="adamw", adam_lr=2e-4, weight_decay=0.0),
            schedule=ScheduleConfig(kind="cosine", warmup_steps=20, floor=0.1),
        ),
    )

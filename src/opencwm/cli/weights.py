"""`opencwm weights convert` and `weights inspect`: checkpoints between layouts, and what is in one."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opencwm.cli.terminal import emit, out, say
from opencwm.errors import ConfigError

if TYPE_CHECKING:
    from opencwm.model.checkpoints import Checkpoint

app = typer.Typer(no_args_is_help=True, help="Convert checkpoints, and see what is in one.")
FULL_CONTEXT = 131_072
"""Tokens: CWM's context."""


class Target(StrEnum):
    hf = "hf"
    dcp = "dcp"


class Type(StrEnum):
    bfloat16 = "bfloat16"
    float16 = "float16"
    float32 = "float32"


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A model folder, a DCP folder, or a training run.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="The new folder.")],
    to: Annotated[Target, typer.Option(help="hf: Hugging Face safetensors; dcp: Meta's distribution.")] = Target.hf,
    dtype: Annotated[Type | None, typer.Option(help="Type of the weights; as they are if not given.")] = None,
) -> None:
    """Convert a checkpoint to another layout, a tensor at a time.

    Every name and shape is checked before anything is written. Try: opencwm weights convert runs/mine model
    """
    checkpoints = _checkpoints()
    import torch

    kind = None if dtype is None else getattr(torch, dtype.value)
    done = checkpoints.convert(source, target, to.value, dtype=kind)
    print(f"{target}  {len(done.shapes)} tensors, {done.num_parameters:,} parameters, from {done.layout} to {to.value}")
    if to is Target.hf and not (target / "tokenizer.json").is_file():
        say(f"{target} holds no tokenizer.json yet: put the model's beside the weights")


@app.command()
def inspect(
    model: Annotated[str, typer.Argument(metavar="M", help="nano, or a folder in any of the layouts.")] = "nano",
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Say what a checkpoint is: its layout, shape, parameters, types and the memory of its cache.

    Try: opencwm weights inspect nano
    """
    checkpoints = _checkpoints()
    from opencwm.infer.resolve import NANO
    from opencwm.model.weights import export_note

    checkpoint = checkpoints.open_checkpoint(NANO if model == "nano" else Path(model))
    facts = describe(checkpoint)
    if as_json:
        emit(facts)
        return
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
    out().print(table)
    if note := export_note(checkpoint.config):
        say(note)


def describe(checkpoint: "Checkpoint") -> dict[str, Any]:
    """The facts that `inspect` shows."""
    from opencwm.infer.kv_cache import cache_bytes

    config = checkpoint.config
    num_global = config.layer_types.count("full_attention")
    context = max(config.max_position_embeddings, 1)
    return {
        "folder": str(checkpoint.folder),
        "layout": checkpoint.layout,
        "architecture": config.model_type,
        "parameters": checkpoint.num_parameters,
        "tensors": len(checkpoint.shapes),
        "dtypes": ", ".join(sorted({str(kind).removeprefix("torch.") for kind in checkpoint.dtypes.values()})),
        "layers": f"{config.num_hidden_layers} ({num_global} global, window {config.sliding_window} in the others)",
        "hidden_size": config.hidden_size,
        "heads": f"{config.num_attention_heads} x {config.head_dim}, {config.num_key_value_heads} for keys and values",
        "vocabulary": config.vocab_size,
        "context": config.max_position_embeddings,
        "cache_bytes_at_full_context": cache_bytes(config, context),
        "cache_bytes_without_windows": cache_bytes(config, context, has_windows=False),
    }


def _checkpoints() -> Any:
    try:
        from opencwm.model import checkpoints
    except ImportError as exc:
        raise ConfigError(f"checkpoints need {exc.name}", fix="pip install 'opencwm[model]'") from exc
    return checkpoints

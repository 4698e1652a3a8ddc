"""`opencwm data derive`: views of a dataset as pairs of prompt and completion, and a look into them."""

import dataclasses
import random
from pathlib import Path
from typing import Annotated, Literal

import typer

from opencwm.cli.options import Address, ExecutorName, Workers
from opencwm.cli.terminal import emit, out, say
from opencwm.errors import ConfigError

View = Literal["prose", "narrated", "debugger", "inverse", "output", "input"]


def derive(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A finished dataset of traces.")],
    output: Annotated[Path, typer.Option("-o", metavar="OUT", help="Where it goes; an unfinished one goes on.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE ...]", help="Such as per_trace=3.")
    ] = None,
    view: Annotated[
        View,
        typer.Option(
            "--as",
            help="What a call returns, told step by step (by us, or by --model) or asked for at once; "
            "which input gives an output; a debugger's way through a trace, or back.",
        ),
    ] = "prose",
    model: Annotated[
        str | None, typer.Option(metavar="URL#NAME", help="narrated: the model that tells, on a server.")
    ] = None,
    workers: Workers = 0,
    executor: ExecutorName = "pool",
    address: Address = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Make another view of every trace of a dataset: pairs of prompt and completion, in Parquet shards.

    Can be killed at any moment and run again. Try: opencwm data derive runs/data -o runs/prose --as prose per_trace=2
    """
    from opencwm.config import override
    from opencwm.data.views.derive import ViewConfig
    from opencwm.data.views.derive import derive as derive_view
    from opencwm.executors import executor_for, named
    from opencwm.provider import served_model
    from opencwm.sandbox.doctor import num_threads

    if view == "narrated" and model is None:
        raise ConfigError("a narration needs a model", fix="name it with --model URL#NAME, or use --as prose")
    narrator = None if model is None else served_model(model)
    config = override(ViewConfig(view=view, model=None if narrator is None else narrator.name), settings or [])
    runner = executor_for(workers or num_threads(), named(executor), address=address)
    manifest = derive_view(folder, output, config, model=narrator, executor=runner, say=say)
    if as_json:
        emit(manifest)
        return
    for reason, count in manifest["dropped"].items():
        say(f"left out: {reason}: {count:,}")
    out().print(f"{manifest['num_pairs']:,} pairs in {output}", highlight=False)


def show_pairs(folder: Path, count: int, seed: int, *, as_json: bool) -> None:
    """Some pairs of a view, drawn at random: what `data peek` does with one."""
    from opencwm.data.dataset import shards_of
    from opencwm.data.views.files import read_pairs

    rng = random.Random(seed)
    pairs = list(read_pairs(rng.choice(shards_of(folder))))
    for pair in rng.sample(pairs, min(count, len(pairs))):
        if as_json:
            emit(dataclasses.asdict(pair))
            continue
        from rich.text import Text

        out().rule(Text(f"{pair.source}  {pair.trace_id[:8]}"), style="dim", align="left")
        out().print(Text(pair.prompt, style="dim"))
        out().print(Text(f"\n{pair.completion}\n"))


def show_view(folder: Path, *, as_json: bool) -> None:
    """What a view holds and what it leaves out: what `data stats` says of one."""
    from opencwm.data.dataset import read_manifest

    manifest = read_manifest(folder)
    if as_json:
        emit(manifest)
        return
    out().print(f"{manifest['num_pairs']:,} pairs of the view {manifest['view']['view']}", highlight=False)
    for reason, count in manifest["dropped"].items():
        out().print(f"left out: {reason}: {count:,}", highlight=False, markup=False)

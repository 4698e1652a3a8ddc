"""`opencwm train RECIPE [a.b=value ...]`: any stage of training, by the name of its recipe."""

import json
import signal
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opencwm.cli.recipe import Size, find_recipe
from opencwm.cli.terminal import emit, out, say
from opencwm.errors import ConfigError


class Tracker(StrEnum):
    tensorboard = "tensorboard"
    trackio = "trackio"


if TYPE_CHECKING:
    from opencwm.train.checkpoint import Progress


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The name of a training recipe, such as nano.")],
    settings: Annotated[list[str] | None, typer.Argument(metavar="[a.b=value ...]", help="Changes to it.")] = None,
    size: Annotated[Size | None, typer.Option(help="Of the stages pretrain, midtrain and sft.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the resolved configuration.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Run ten steps, and say where their time goes.")] = False,
    track: Annotated[list[Tracker] | None, typer.Option(help="Also log to tensorboard or trackio.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every record as a line of JSON.")] = False,
) -> None:
    """Train a model; a run folder that is there already goes on where it stopped.

    Ctrl-C once: it finishes the step, saves and ends. Twice: it leaves at once.
    Many processes: torchrun --nproc-per-node 4 -m opencwm train RECIPE ...

    Try: opencwm train nano run=runs/mine loop.num_steps=200
    """
    try:
        from opencwm.train.loop import progress_line
        from opencwm.train.parallel import together
        from opencwm.train.scaling_laws import ScalingConfig
        from opencwm.train.stage import run_stage
        from opencwm.train.tracking import open_tracker
    except ImportError as exc:
        raise ConfigError(f"training needs {exc.name}", fix="pip install 'opencwm[model]'") from exc
    from opencwm.config import override

    config = override(find_recipe("train", recipe, size=size), settings or [])
    if dry_run:
        print(json.dumps(asdict(config), indent=1, default=str))
        return
    if isinstance(config, ScalingConfig):
        refuse_many("a search of scaling laws")
        show_laws(config, as_json=as_json)
        return
    if profile:
        refuse_many("--profile")
        show_profile(config, as_json=as_json)
        return
    with together(config.loop.parallel, config.loop.device) as processes:
        logs = [open_tracker(kind.value, config.run) for kind in track or [] if processes.is_first]

        def log(record: dict[str, Any]) -> None:
            for tracker in logs:
                tracker(record)
            if as_json:
                emit(record)
            else:
                say(progress_line(record))

        _, progress = run_stage(config, log=log, stop=stop_on_interrupt(), processes=processes)
        if processes.is_first:
            show_end(config.run / "model", progress, as_json=as_json)


def refuse_many(work: str) -> None:
    """Raises ConfigError where torchrun started more processes than this one."""
    from opencwm.train.parallel import num_started

    if num_started() > 1:
        raise ConfigError(f"{work} is for one process, torchrun started {num_started()}", fix="leave torchrun out")


def show_end(model: Path, progress: "Progress", *, as_json: bool) -> None:
    if as_json:
        emit({"event": "end", "step": progress.step, "tokens": progress.num_tokens, "model": str(model)})
    else:
        print(f"{model}  after {progress.step:,} steps, {progress.num_tokens / 1e6:.2f}M tokens")
        say(f"measure it: opencwm eval run traces --model {model}")


def show_laws(config: Any, *, as_json: bool) -> None:
    from opencwm.report.power_laws import Curve, power_law_page
    from opencwm.train.scaling_laws import near_best, scaling_laws

    laws = scaling_laws(config, say=say)
    fitted = near_best(laws.runs, config.keep)
    page = config.run / "laws.html"
    curves = [
        Curve(
            name=name,
            runs=[(run.budget, getattr(run, of), run in fitted) for run in laws.runs],
            factor=law.factor,
            exponent=law.exponent,
            exponent_interval=law.exponent_interval,
        )
        for name, law, of in (
            ("Learning rate", laws.rate, "rate"),
            ("Batch size in tokens", laws.batch, "batch_tokens"),
        )
    ]
    note = f"{len(laws.runs)} runs, D / M = {config.ratio:g}; large dots are within {config.keep:.0%} of the best loss"
    page.write_text(power_law_page(curves, note), encoding="utf-8")
    if as_json:
        emit({"rate": asdict(laws.rate), "batch": asdict(laws.batch), "page": str(page)})
        return
    for curve, law in zip(curves, (laws.rate, laws.batch), strict=True):
        (low, high), (least, most) = law.exponent_interval, law.factor_interval
        print(
            f"{curve.name} = {law.factor:.3g} * C ^ {law.exponent:.3f}   "
            f"(95%: factor {least:.2g} to {most:.2g}, exponent {low:.3f} to {high:.3f})"
        )
    say(f"drawn in {page}")


def show_profile(config: Any, *, as_json: bool) -> None:
    from opencwm.train.profiling import profile_stage

    say("profiling a few steps; nothing of the run is touched")
    found = profile_stage(config)
    if as_json:
        emit(asdict(found))
        return
    from rich.table import Table

    table = Table(
        "part of a step", "ms", "share", title=f"{found.tokens_per_s:,.0f} tokens/s, {found.step_ms:.0f} ms a step"
    )
    for name, ms in found.parts_ms.items():
        table.add_row(name, f"{ms:.1f}", f"{ms / found.step_ms:.0%}")
    operations = Table("operation", "ms of its own", "share", "calls")
    for name, ms, calls in found.operations_ms:
        operations.add_row(name, f"{ms:.1f}", f"{ms / found.step_ms:.0%}", str(calls))
    out().print(table, operations)


def stop_on_interrupt() -> "Callable[[Progress], bool]":
    """A stop condition that the first Ctrl-C makes true; the second is as always."""
    asked = False

    def ask(signum: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        say("stopping after this step; Ctrl-C again leaves without saving")

    signal.signal(signal.SIGINT, ask)
    return lambda progress: asked

"""`opencwm train RECIPE [a.b=value ...]`: any stage of training, by the name of its recipe."""

import json
import signal
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opencwm.cli.terminal import emit, say
from opencwm.errors import ConfigError

if TYPE_CHECKING:
    from opencwm.train.checkpoint import Progress


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="The name of a training recipe, such as nano.")],
    settings: Annotated[list[str] | None, typer.Argument(metavar="[a.b=value ...]", help="Changes to it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the resolved configuration.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every record as a line of JSON.")] = False,
) -> None:
    """Train a model; a run folder that is there already goes on where it stopped.

    Ctrl-C once: it finishes the step, saves and ends. Twice: it leaves at once.

    Try: opencwm train nano run=runs/mine loop.num_steps=200
    """
    try:
        from opencwm.train.loop import progress_line
        from opencwm.train.stage import run_stage
    except ImportError as exc:
        raise ConfigError(f"training needs {exc.name}", fix="pip install 'opencwm[model]'") from exc
    from opencwm.cli.recipe import find_recipe
    from opencwm.config import override

    config = override(find_recipe("train", recipe), settings or [])
    if dry_run:
        print(json.dumps(asdict(config), indent=1, default=str))
        return

    def log(record: dict[str, Any]) -> None:
        if as_json:
            emit(record)
        else:
            say(progress_line(record))

    _, progress = run_stage(config, log=log, stop=stop_on_interrupt())
    if as_json:
        emit({"event": "end", "step": progress.step, "tokens": progress.num_tokens, "model": str(config.run / "model")})
    else:
        print(f"{config.run / 'model'}  after {progress.step:,} steps, {progress.num_tokens / 1e6:.2f}M tokens")
        say(f"measure it: opencwm eval run traces --model {config.run / 'model'} --data TRACES")


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

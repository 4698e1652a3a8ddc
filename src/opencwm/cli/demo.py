"""`opencwm demo`: the main job end to end on this machine, ending in an HTML report."""

from pathlib import Path
from typing import Annotated

import typer

from opencwm.cli.terminal import emit, say


def demo(
    output: Annotated[Path, typer.Option("-o", metavar="FILE", help="Where the report goes.")] = Path("report.html"),
    model: Annotated[str, typer.Option(metavar="M", help="nano or a folder with a small model.")] = "nano",
    train_s: Annotated[float, typer.Option(help="Seconds of training.", min=1)] = 60.0,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came out as one JSON object.")] = False,
) -> None:
    """Record, train, predict, compare: the whole loop in under five minutes on two cores.

    Writes one self-contained page. Try: opencwm demo
    """
    from opencwm.demo.run import DemoConfig, run_demo

    result = run_demo(DemoConfig(output=output, model=model, train_s=train_s, seed=seed), say=say)
    if as_json:
        emit(result.to_dict())
    else:
        print(result.sentence)
        print(f"report: {output.resolve()}")

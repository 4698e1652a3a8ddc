"""Options that several commands have."""

from typing import Annotated, Literal

import typer

Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where the model runs.")]
Dtype = Annotated[
    Literal["auto", "bfloat16", "float32", "int8"], typer.Option(help="Type of the weights; int8 on a CPU.")
]

Workers = Annotated[int, typer.Option(help="Processes; 0: one per CPU.", min=0)]
ExecutorName = Annotated[str, typer.Option("--executor", help="inline, pool, or ray: where the work is done.")]
Address = Annotated[str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster; auto: this machine's.")]

"""`opencwm predict FILE --call EXPR`: what a call would do, by the model; `--verify` runs it and compares."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from opencwm.cli.options import Device, Dtype
from opencwm.cli.terminal import emit, out, say

if TYPE_CHECKING:
    from opencwm.prediction import Prediction
    from opencwm.trace.recording.frame import Trace


def predict(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The program; - reads it from stdin.")],
    call: Annotated[str, typer.Option(metavar="EXPR", help="The call to predict.")],
    model: Annotated[str, typer.Option(metavar="M", help="nano, a folder, or URL#name of a server.")] = "nano",
    mode: Annotated[Literal["trace", "output"], typer.Option(help="Every frame, or the output in one step.")] = "trace",
    verify: Annotated[bool, typer.Option("--verify", help="Also run it for real, and compare.")] = False,
    use_grammar: Annotated[
        bool, typer.Option("--grammar/--no-grammar", help="Only let the model write well-formed frames.")
    ] = True,
    max_frames: Annotated[int, typer.Option(help="Longer predictions are stopped.", min=1)] = 200,
    device: Device = "auto",
    dtype: Dtype = "auto",
    show_all: Annotated[bool, typer.Option("--all", help="Show every frame, however many there are.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Predict an execution without running it.

    With --verify the exit status is 1 where the prediction is wrong.

    Try: opencwm predict examples/half.py --call "g([3, 4])" --verify
    """
    from opencwm.guarded import Program
    from opencwm.guarded import record as record_program
    from opencwm.infer.resolve import open_model
    from opencwm.prediction import predict as predict_call
    from opencwm.prediction import prompt_of

    program = Program(source=sys.stdin.read()) if file == "-" else Program.of_file(Path(file))
    prompt_of(program.source, call)  # a mistake in either is said before the model is loaded
    opened = open_model(model, device=device, dtype=dtype, threads=1 if model == "nano" else None)  # too small to share
    truths: list[Trace] = []

    def record(source: str, call: str) -> "Trace":
        truths.append(record_program(program, call=call).trace)
        return truths[-1]

    prediction = predict_call(
        program.source,
        call,
        opened,
        mode=mode,
        grammar=use_grammar,
        max_frames=max_frames,
        verify=record if verify else None,
    )
    if as_json:
        emit(prediction.to_dict())
    else:
        _show(prediction, truths[0] if truths else None, show_all=show_all)
    if prediction.verified is not None and not _agrees(prediction):
        raise typer.Exit(1)


def _agrees(prediction: "Prediction") -> bool:
    verified = prediction.verified
    assert verified is not None, "only verified predictions can agree"
    return verified.output_exact if verified.frame_exact is None else verified.first_divergence is None


def _show(prediction: "Prediction", truth: "Trace | None", *, show_all: bool) -> None:
    from opencwm.cli.tables import prediction_table
    from opencwm.report.data import program_report

    if prediction.frames:
        seen = replace(prediction.parsed, frames=list(prediction.frames))
        beside = truth if truth is not None else seen
        report = program_report(beside, seen, name="", confidences=prediction.frame_confidences)
        out().print(prediction_table(report, width=out().width, with_real=truth is not None, show_all=show_all))
        out().print()
    sure = "" if prediction.confidence is None else f", {prediction.confidence:.0%} sure"
    if prediction.output is not None:
        out().print(f"predicted output: {prediction.output}{sure}", markup=False)
    elif prediction.outcome == "ok":
        out().print("predicted to end without an output: it raises", markup=False)
    else:
        why = prediction.reason or "it did not come to an end"
        out().print(f"no prediction to the end ({prediction.outcome}): {why}", markup=False)
    if truth is not None and prediction.verified is not None:
        from opencwm.cli.trace import outcome_of

        out().print(f"the real execution {outcome_of(truth)}", markup=False)
        where = prediction.verified.first_divergence
        if _agrees(prediction):
            out().print("they agree", style="green")
        elif where is None:
            out().print("they differ", style="red")
        else:
            out().print(f"they part at frame {where + 1}", style="red")
    else:
        say("--verify runs it for real and compares")

"""What the demo's page says: its headline, tables, programs and facts, from what the steps measured."""

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opencwm import __version__
from opencwm.data.record import program_of
from opencwm.report import AccuracyRow, AccuracyTable, LossPoint, ProgramReport, ReportData, Step, program_report
from opencwm.report.html import percent
from opencwm.trace.compare import Comparison, Estimate, summarize
from opencwm.trace.recording.frame import Trace

if TYPE_CHECKING:
    from opencwm.prediction import Prediction

SURPLUS = 10
"""Frames shown of what a prediction adds after the real execution's end."""
COPY, BEFORE, AFTER = "copying", "as shipped", "after training"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Everything that the steps found out."""

    forced: Mapping[str, Sequence[Comparison]]
    """By series: each frame predicted after the true ones."""
    free: Sequence[Comparison]
    """From the call to the end."""
    pairs: Sequence[tuple[Trace, "Prediction"]]
    """What the free results compare."""
    losses: Sequence[LossPoint]
    manifest: Mapping[str, Any]
    """Of what was recorded."""
    seconds: float


def estimates(results: Sequence[Comparison]) -> Mapping[str, Estimate]:
    return summarize(results).metrics


FORCED_ROWS = (
    ("frame_exact", "whole frames", "the line that runs next and every value right"),
    ("frame_exact_changed", "frames in which a value changed", "the same, where there is something to work out"),
    ("action_exact", "the next line", "which line runs, whatever the values"),
    ("state_exact", "the values", "every variable, whatever the line"),
    ("valid_format", "well-formed programs", "every frame of the program can be read"),
)
FREE_ROWS = (
    ("trace_exact", "whole executions", "every frame right, and nothing more"),
    ("output_exact", "outputs", "the value that comes out, whatever came before"),
    ("frame_exact", "frames", "frame by frame, nothing corrected on the way"),
)


def accuracy_table(
    title: str, note: str, rows: Sequence[tuple[str, str, str]], results: Mapping[str, Sequence[Comparison]]
) -> AccuracyTable:
    found = {series: estimates(comparisons) for series, comparisons in results.items()}
    return AccuracyTable(
        title=title,
        note=note,
        series=tuple(results),
        rows=tuple(
            AccuracyRow(name=name, meaning=meaning, estimates={s: found[s].get(metric) for s in results})
            for metric, name, meaning in rows
        ),
    )


def report_of(
    measured: Measured, steps: Sequence[Step], *, num_shown: int, threads: int, more_facts: Mapping[str, str]
) -> ReportData:
    before, after, copy = (estimates(measured.forced[name])["frame_exact"] for name in (BEFORE, AFTER, COPY))
    num_right = sum(result.trace_exact for result in measured.free)
    recorded = measured.manifest
    speed = f"{measured.losses[-1].tokens_per_s:,.0f}" if measured.losses else "–"
    beside = f"{percent(before.mean)} as shipped, {percent(copy.mean)} by copying"
    return ReportData(
        headline=f"{percent(after.mean)} of the frames of programs it had never seen predicted right, "
        f"and {num_right} of {len(measured.free)} whole executions.",
        tiles=(
            (percent(after.mean), "held-out frames right", beside),
            (f"{num_right}/{len(measured.free)}", "whole executions right", "from the call on, nothing corrected"),
            (f"{recorded['num_traces']:,}", "executions recorded", f"{recorded['num_frames']:,} frames"),
            (speed, "tokens trained per second", threads_in_words(threads)),
        ),
        steps=tuple(steps),
        programs=tuple(shown_programs(measured.pairs[:num_shown])),
        tables=(
            accuracy_table(
                "Each frame after the true ones",
                f"{len(measured.forced[AFTER])} held-out programs; in small print, 95% intervals over programs.",
                FORCED_ROWS,
                {name: measured.forced[name] for name in (COPY, BEFORE, AFTER)},
            ),
            accuracy_table(
                "From the call to the end",
                f"{len(measured.free)} of these programs; the model reads only what it wrote itself, with the grammar",
                FREE_ROWS,
                {AFTER: measured.free},
            ),
        ),
        losses=tuple(measured.losses),
        loss_note="The model goes on from the optimizer state it ships with, at the learning rate it ended with.",
        facts={**facts(measured, threads), **more_facts, "time": f"{measured.seconds:.0f} s in all"},
    )


def shown_programs(pairs: Sequence[tuple[Trace, "Prediction"]]) -> Iterator[ProgramReport]:
    for number, (truth, prediction) in enumerate(pairs, 1):
        _, call = program_of(truth)
        frames = list(prediction.frames)[: len(truth.frames) + SURPLUS]
        yield program_report(
            truth,
            replace(prediction.parsed, frames=frames),
            name=call or f"program {number}",
            note=f"held-out program, {len(truth.frames)} frames",
            confidences=(None, *prediction.frame_confidences[1:]),
        )


def facts(measured: Measured, threads: int) -> dict[str, str]:
    import torch

    recorded = measured.manifest
    return {
        "OpenCWM": __version__,
        "Python": f"{recorded['versions']['python']}, {platform.platform()}",
        "PyTorch": f"{torch.__version__}, {threads_in_words(threads)}",
        "recorded": ", ".join(f"{count:,} {name}" for name, count in recorded["kept"].items()),
        "dropped": ", ".join(f"{count:,} {name}" for name, count in recorded["dropped"].items()) or "nothing",
    }


def threads_in_words(threads: int) -> str:
    return f"{threads} CPU thread{'s' if threads > 1 else ''}"


def digest(path: Path) -> str:
    """The beginning of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]

"""What a report shows, as plain data.

    truth (Trace), prediction (Parsed), Comparison --program_report--> ProgramReport --+
    accuracies, loss, what was run ------------------------------------------------> ReportData --html.py--> page

Nothing here knows HTML. Frames are paired by index, as the trace format compares them (section 6); what is shown of
each are resolved locals, so that a reader never meets a `".."`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opencwm.trace.compare import Comparison, Estimate, Outcome, compare, values_equal
from opencwm.trace.recording.frame import Trace
from opencwm.trace.stream import Parsed, without_marker
from opencwm.trace.view import FrameView, output_of, view

_DEF = re.compile(r"\s*(?:async\s+)?(?:def|class)\s+(\w+)|.*\b(lambda)\b")
_LINE_ENDS = re.compile("\r\n|\r|\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One name (or the value of a return) on both sides; None where a side does not have it."""

    name: str
    predicted: str | None
    real: str | None
    is_right: bool
    is_new: bool
    """The real value differs from the one that the same call showed before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FramePair:
    real: FrameView | None
    predicted: FrameView | None
    real_line: int | None
    """1-based line of the code as shown; None where no line reads like that."""
    predicted_line: int | None
    is_right: bool
    is_given: bool
    """Part of the prompt: the entry point's call."""
    confidence: float | None
    calls: tuple[str, ...]
    """Names of the functions that are running, the entry point first; by the real execution where there is one."""
    differences: tuple[Difference, ...]
    """Names in the order of the real frame; on `return` and `exception` frames a single one, the value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramReport:
    name: str
    note: str
    """One line about where it comes from."""
    code: str
    pairs: tuple[FramePair, ...]
    outcome: Outcome
    verdict: str
    """One sentence."""
    predicted_output: str | None
    real_output: str | None
    is_output_right: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyRow:
    name: str
    """The metric, in words."""
    meaning: str
    """One sentence."""
    estimates: Mapping[str, Estimate | None]
    """By series (`ReportData.series`); None where it was not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyTable:
    title: str
    note: str
    series: tuple[str, ...]
    """Names of the columns, the reference (the copy baseline) first and the one that matters last."""
    rows: tuple[AccuracyRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LossPoint:
    step: int
    loss: float
    """Nats per trained token."""
    tokens_per_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One of the steps of a run, as the top of the page tells it."""

    title: str
    text: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportData:
    headline: str
    """One sentence: what came out."""
    tiles: tuple[tuple[str, str, str], ...] = ()
    """The few numbers that matter: (number, what it is, with what it compares)."""
    steps: tuple[Step, ...] = ()
    programs: tuple[ProgramReport, ...] = ()
    tables: tuple[AccuracyTable, ...] = ()
    losses: tuple[LossPoint, ...] = ()
    loss_note: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What was run: versions, seeds, sizes, the command; in order."""


def program_report(
    truth: Trace | Parsed,
    predicted: Trace | Parsed,
    *,
    name: str,
    note: str = "",
    given: int = 1,
    confidences: Sequence[float | None] = (),
    comparison: Comparison | None = None,
) -> ProgramReport:
    """A prediction beside the real execution; `confidences` are those of the predicted frames."""
    result = comparison or compare(truth, predicted, given=given)
    real, seen = view(truth), view(predicted)
    code = truth.context.removeprefix("\n")
    lines = [without_marker(line) for line in _LINE_ENDS.split(code)]
    calls, changes, pairs = _Calls(), _Changes(), []
    for i, is_right in enumerate(result.frames_right):
        r = real.frames[i] if i < len(real.frames) else None
        p = seen.frames[i] if i < len(seen.frames) else None
        hint = truth.frames[i].line_no if r is not None else 0
        pairs.append(
            FramePair(
                real=r,
                predicted=p,
                real_line=_line_of(r, lines, hint),
                predicted_line=_line_of(p, lines, hint),
                is_right=is_right,
                is_given=i < given,
                confidence=confidences[i] if i < len(confidences) else None,
                calls=calls.after(r or p),
                differences=_differences(r, p, changes.names(r)),
            )
        )
    real_output, predicted_output = output_of(real.frames), output_of(seen.frames)
    return ProgramReport(
        name=name,
        note=note,
        code="\n".join(lines).rstrip("\n"),
        pairs=tuple(pairs),
        outcome=result.outcome,
        verdict=_verdict(result, predicted),
        predicted_output=None if predicted_output is None else _in_words(predicted_output),
        real_output=None if real_output is None else _in_words(real_output),
        is_output_right=result.output_exact,
    )


class _Calls:
    """Names of the running functions, by the stack rule."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def after(self, frame: FrameView | None) -> tuple[str, ...]:
        """The calls that are running at `frame`, which is the next one."""
        if frame is None:
            return tuple(self._names)
        if frame.event == "call":
            found = _DEF.match(frame.source_line)
            self._names.append((found.group(1) or found.group(2)) if found else "…")
        names = tuple(self._names)
        if frame.event == "return" and self._names:
            self._names.pop()
        return names


class _Changes:
    """Which names of a frame show something new, against what the same activation showed before."""

    def __init__(self) -> None:
        self._shown: list[dict[str, str]] = []

    def names(self, frame: FrameView | None) -> set[str]:
        if frame is None:
            return set()
        if frame.locals is None:
            if frame.event == "return" and self._shown:
                self._shown.pop()
            return set()
        if frame.event == "call" or not self._shown:
            self._shown.append({})
        before, self._shown[-1] = self._shown[-1], frame.locals
        return {name for name, text in frame.locals.items() if before.get(name) != text}


def _differences(real: FrameView | None, predicted: FrameView | None, new: set[str]) -> tuple[Difference, ...]:
    left, right = _fields(predicted), _fields(real)
    return tuple(
        Difference(
            name=name,
            predicted=left.get(name),
            real=right.get(name),
            is_right=name in left and name in right and values_equal(right[name], left[name]),
            is_new=name in new,
        )
        for name in {**right, **left}
    )


def _fields(frame: FrameView | None) -> dict[str, str]:
    if frame is None:
        return {}
    return dict(frame.locals) if frame.locals is not None else {"": frame.value or ""}


def _line_of(frame: FrameView | None, lines: Sequence[str], hint: int) -> int | None:
    """The line that reads like the frame's, the one nearest to `hint` where there are several."""
    if frame is None:
        return None
    alike = [number for number, line in enumerate(lines, 1) if line == frame.source_line]
    return min(alike, key=lambda number: abs(number - hint), default=None)


def _verdict(result: Comparison, predicted: Trace | Parsed) -> str:
    where = result.first_divergence
    if result.outcome is Outcome.RIGHT:
        return f"right in every one of its {result.num_frames} frames"
    if where is not None and where < result.num_frames:
        sentence = f"parts from the real execution at frame {where + 1} of {result.num_frames}"
    else:
        sentence = f"goes on after the real execution's {result.num_frames} frames"
    error = predicted.error if isinstance(predicted, Parsed) else None
    if result.outcome is Outcome.BUDGET:
        return f"{sentence}, and does not end"
    if error is not None:
        return f"{sentence}, then stops making sense: {error.reason}"
    if where is not None and result.output_exact:
        return f"{sentence}, yet ends with the right output"
    return sentence


def _in_words(output: tuple[str, str]) -> str:
    how, text = output
    return text if how == "returned" else f"raises {text}"

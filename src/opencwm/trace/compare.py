"""A predicted trace against the real one: every metric of the trace format, section 6.

    truth, prediction --compare--> Comparison --summarize--> Summary (means with intervals, outcomes apart)

What is compared are resolved states: `".."` counts as the value it stands for, names are compared as sets. Frames are
aligned by index up to the longer of the two; a missing or surplus frame is wrong. A prediction is either one stream
(free-running) or one frame after each true prefix (teacher-forced: `compare_frames`).

A prediction is right, wrong, malformed or over budget; where none could be had at all, that is an infrastructure
failure and counts in no accuracy. A truth that was cut (values, frames, budget) is `excluded`: it cannot be judged.
"""

import ast
import enum
import random
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import fmean
from typing import Any

from opencwm.trace.recording.frame import Trace
from opencwm.trace.stream import START_MARKER, Parsed, ParseError, Stack, framed_context, without_marker
from opencwm.trace.view import FrameView, View, output_of, view

METRICS = (
    "valid_format",
    "valid_json",
    "state_exact",
    "key_match",
    "key_value_match",
    "action_exact",
    "frame_exact",
    "frame_exact_changed",
    "trace_exact",
    "output_exact",
)
LENGTHS = ((0, 10), (11, 30), (31, 100), (101, None))
"""Numbers of frames under which results are reported apart."""
MAX_LITERAL_CHARS = 100_000
"""Texts longer than this are compared as texts only."""


class Outcome(enum.StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    MALFORMED = "malformed"
    BUDGET = "budget"
    INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One trace's result. A metric without anything to measure is None; True and False are 1 and 0 in a mean."""

    outcome: Outcome
    excluded: str | None
    """Why the truth cannot judge this prediction; None where it can."""
    num_frames: int
    """Of the truth."""
    frames_right: tuple[bool, ...]
    """Per frame, up to the longer of the two; given frames included."""
    valid_format: bool
    valid_json: float | None
    state_exact: float | None
    key_match: float | None
    key_value_match: float | None
    action_exact: float | None
    frame_exact: float | None
    frame_exact_changed: float | None
    """`frame_exact` over the frames whose true locals differ from those their activation showed last."""
    trace_exact: bool
    output_exact: bool

    @property
    def first_divergence(self) -> int | None:
        """Index of the first frame that is not right."""
        return next((i for i, is_right in enumerate(self.frames_right) if not is_right), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    mean: float
    low: float
    high: float
    """Low and high bound the mean with 95% confidence."""
    num: int
    """Traces that the mean is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    num: int
    """Traces tried, whatever came of them."""
    excluded: Mapping[str, int]
    """Traces left out of everything below, by reason."""
    outcomes: Mapping[Outcome, int]
    metrics: Mapping[str, Estimate] = field(default_factory=dict)


def compare(truth: Trace | Parsed, predicted: Trace | Parsed, *, given: int = 0) -> Comparison:
    """A free-running prediction against the truth; the first `given` frames were part of the prompt: not scored."""
    true_view, seen = view(truth), view(predicted)
    error = predicted.error if isinstance(predicted, Parsed) else None
    is_cut = not seen.ended and (error is None or error.cut)
    if is_cut and isinstance(predicted, Trace):
        is_cut = predicted.outcome == "budget"
    bad_fields = int(error is not None and error.field is not None)
    return _comparison(
        true_view,
        seen.frames,
        given=given,
        excluded=why_excluded(truth),
        valid_format=error is None and seen.ended,
        num_fields=(max(len(seen.frames) - given, 0), bad_fields),
        failure=Outcome.BUDGET if is_cut else Outcome.MALFORMED if error is not None else None,
    )


def compare_frames(truth: Trace | Parsed, predicted: Sequence[FrameView | ParseError], *, given: int = 0) -> Comparison:
    """Teacher-forced: `predicted[i]` was decoded after the true frames before i, or says why it is no frame.

    The first `given` entries stand for frames of the prompt and are not scored.
    """
    true_view = view(truth)
    assert len(predicted) == len(true_view.frames), f"{len(predicted)} predictions, {len(true_view.frames)} frames"
    errors = [frame for frame in predicted[given:] if isinstance(frame, ParseError)]
    num_bad_fields = sum(error.field is not None for error in errors)
    is_cut = all(error.cut for error in errors)
    return _comparison(
        true_view,
        [None if isinstance(frame, ParseError) else frame for frame in predicted],
        given=given,
        excluded=why_excluded(truth),
        valid_format=not errors,
        num_fields=(len(predicted) - given - len(errors), num_bad_fields),
        failure=None if not errors else Outcome.BUDGET if is_cut else Outcome.MALFORMED,
    )


def why_excluded(truth: Trace | Parsed) -> str | None:
    """Why a truth cannot judge a prediction: something of it was cut."""
    if isinstance(truth, Parsed):
        return None if truth.ended else "unfinished"
    cut = truth.header.get("truncated", {})
    if truth.outcome in ("budget", "displaced"):
        return truth.outcome
    return "cut frames" if cut.get("frames") else "cut values" if cut.get("values") else None


def frame_equal(truth: FrameView, predicted: FrameView | None) -> bool:
    """Event, action, and state or value, all right."""
    return (
        predicted is not None
        and truth.event == predicted.event
        and truth.source_line == predicted.source_line
        and _state_equal(truth, predicted)
        and (truth.value is None or values_equal(truth.value, predicted.value or ""))
    )


def values_equal(a: str, b: str) -> bool:
    """Whether two texts are the same value: equal, or literals of equal type and value (at every depth)."""
    if a == b:
        return True
    left, right = _literal(a), _literal(b)
    return left is not None and right is not None and _typed(left[0]) == _typed(right[0])


def outputs_equal(truth: str, predicted: str) -> bool:
    """The looser rule for a program's output, as benchmarks have it: `==` on literals, else equality of texts."""
    left, right = _literal(truth), _literal(predicted)
    if left is None or right is None:
        return truth == predicted
    return bool(left[0] == right[0])


def copy_baseline(truth: Trace | Parsed) -> list[FrameView]:
    """What costs nothing to predict after each true prefix: no value changes, and the next physical line runs.

    Before the first frame there is nothing to copy; its guess is a call of the line with the start marker.
    """
    lines = re.split("\r\n|\r|\n", framed_context(truth.context))
    entry = next((line for line in lines if line.endswith(START_MARKER)), "")
    guesses = [FrameView(event="call", source_line=without_marker(entry), locals={})]
    plain = [without_marker(line) for line in lines]
    stack = Stack()
    for frame in truth.frames[:-1]:
        stack.apply(frame)
        line = _next_line(plain, without_marker(frame.source_line), frame.line_no)
        guesses.append(FrameView(event="line", source_line=line, locals=stack.top, depth=stack.depth))
    return guesses[: len(truth.frames)]


def length_of(num_frames: int) -> str:
    """The class of `LENGTHS` that a trace belongs to, as reports write it."""
    low, high = next((low, high) for low, high in LENGTHS if high is None or num_frames <= high)
    return f"> {low - 1}" if high is None else f"<= {high}" if low == 0 else f"{low}-{high}"


def summarize(comparisons: Iterable[Comparison], *, num_infrastructure: int = 0, seed: int = 0) -> Summary:
    """Means over the traces that can be judged, with 95% intervals; infrastructure failures are counted apart."""
    results = list(comparisons)
    judged = [result for result in results if result.excluded is None]
    outcomes = Counter(result.outcome for result in judged)
    outcomes[Outcome.INFRASTRUCTURE] += num_infrastructure
    metrics = {}
    for name in METRICS:
        values = [value for value in (getattr(result, name) for result in judged) if value is not None]
        if values:
            metrics[name] = estimate(values, seed)
    return Summary(
        num=len(results) + num_infrastructure,
        excluded=dict(Counter(result.excluded for result in results if result.excluded is not None)),
        outcomes={outcome: outcomes[outcome] for outcome in Outcome},
        metrics=metrics,
    )


def summarize_by_length(comparisons: Iterable[Comparison], *, seed: int = 0) -> dict[str, Summary]:
    groups: dict[str, list[Comparison]] = {length_of(max(low, 0)): [] for low, _ in LENGTHS}
    for result in comparisons:
        groups[length_of(result.num_frames)].append(result)
    return {length: summarize(group, seed=seed) for length, group in groups.items()}


def estimate(values: Sequence[float], seed: int = 0) -> Estimate:
    """The mean of at least one value, with Wilson's interval for ones and zeros and a bootstrap for shares."""
    low, high = _wilson(values) if all(value in (0, 1) for value in values) else _bootstrap(values, seed)
    return Estimate(mean=fmean(values), low=low, high=high, num=len(values))


def _comparison(
    truth: View,
    frames: Sequence[FrameView | None],
    *,
    given: int,
    excluded: str | None,
    valid_format: bool,
    num_fields: tuple[int, int],
    failure: Outcome | None,
) -> Comparison:
    pairs = _aligned(truth.frames, frames)
    right = tuple(t is not None and frame_equal(t, p) for t, p in pairs)
    scored = pairs[given:]
    states = [(t, p) for t, p in scored if _has_locals(t) or _has_locals(p)]
    good, bad = num_fields
    trace_exact = all(right[given:]) and valid_format
    return Comparison(
        outcome=failure or (Outcome.RIGHT if trace_exact else Outcome.WRONG),
        excluded=excluded,
        num_frames=len(truth.frames),
        frames_right=right,
        valid_format=valid_format,
        valid_json=_share([True] * good + [False] * bad),
        state_exact=_share([t is not None and p is not None and _state_equal(t, p) for t, p in states]),
        key_match=_share([_name_overlap(t, p) for t, p in states]),
        key_value_match=_share([_pair_overlap(t, p) for t, p in states]),
        action_exact=_share([t is not None and p is not None and t.source_line == p.source_line for t, p in scored]),
        frame_exact=_share(right[given:]),
        frame_exact_changed=_share(
            [ok for ok, (t, _) in zip(right[given:], scored, strict=True) if t and t.is_changed]
        ),
        trace_exact=trace_exact,
        output_exact=_output_exact(truth, frames),
    )


def _aligned(
    truth: Sequence[FrameView], predicted: Sequence[FrameView | None]
) -> list[tuple[FrameView | None, FrameView | None]]:
    length = max(len(truth), len(predicted))
    left: list[FrameView | None] = [*truth, *[None] * (length - len(truth))]
    return list(zip(left, [*predicted, *[None] * (length - len(predicted))], strict=True))


def _output_exact(truth: View, predicted: Sequence[FrameView | None]) -> bool:
    real = output_of(truth.frames)
    guessed = output_of([frame for frame in predicted if frame is not None])
    if real is None or guessed is None or real[0] != guessed[0]:
        return False
    return outputs_equal(real[1], guessed[1])


def _has_locals(frame: FrameView | None) -> bool:
    return frame is not None and frame.locals is not None


def _state_equal(truth: FrameView, predicted: FrameView) -> bool:
    if truth.locals is None or predicted.locals is None:
        return truth.locals is predicted.locals
    return truth.locals.keys() == predicted.locals.keys() and all(
        values_equal(text, predicted.locals[name]) for name, text in truth.locals.items()
    )


def _name_overlap(truth: FrameView | None, predicted: FrameView | None) -> float:
    if truth is None or predicted is None or truth.locals is None or predicted.locals is None:
        return 0.0
    union = truth.locals.keys() | predicted.locals.keys()
    return len(truth.locals.keys() & predicted.locals.keys()) / len(union) if union else 1.0


def _pair_overlap(truth: FrameView | None, predicted: FrameView | None) -> float:
    if truth is None or predicted is None or truth.locals is None or predicted.locals is None:
        return 0.0
    shared = truth.locals.keys() & predicted.locals.keys()
    equal = sum(values_equal(truth.locals[name], predicted.locals[name]) for name in shared)
    union = len(truth.locals) + len(predicted.locals) - equal
    return equal / union if union else 1.0


def _share(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _literal(text: str) -> tuple[Any] | None:
    """The value of a Python literal, in a tuple of one; None where the text is no literal."""
    if len(text) > MAX_LITERAL_CHARS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unknown escape in a model's string is no business of our caller
            return (ast.literal_eval(text),)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _typed(value: Any) -> Any:
    """The value with its types at every depth, so that 1, 1.0 and True differ; equal exactly when those agree."""
    name = type(value).__name__
    if isinstance(value, (list, tuple)):
        return name, tuple(_typed(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return name, frozenset(_typed(item) for item in value)
    if isinstance(value, dict):
        return name, frozenset((_typed(key), _typed(item)) for key, item in value.items())
    return name, value


def _next_line(lines: Sequence[str], source_line: str, line_no: int) -> str:
    """The next line with text after this one; `lines` are the context's, whose first is empty; "" after the last."""
    at = line_no if 0 < line_no < len(lines) and lines[line_no] == source_line else None
    if at is None:
        at = lines.index(source_line) if source_line in lines else len(lines)
    return next((line for line in lines[at + 1 :] if line.strip()), "")


def _wilson(values: Sequence[float], z: float = 1.96) -> tuple[float, float]:
    n, p = len(values), fmean(values)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _bootstrap(values: Sequence[float], seed: int, resamples: int = 1000) -> tuple[float, float]:
    rng = random.Random(seed)
    means = sorted(fmean(rng.choices(values, k=len(values))) for _ in range(resamples))
    return means[int(0.025 * resamples)], means[int(0.975 * resamples)]

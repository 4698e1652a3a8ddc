"""Is a model right as often as it says? Confidence and correctness of frames predicted after the true ones.

    traces --forced.py--> (confidence, right?) per frame --bins--> reliability curve, ECE, Brier score, AUROC

A frame's confidence is the probability that the model gave to the tokens it wrote for it, as in `opencwm predict`. Of
frames with confidence p, a calibrated model has a share p right. ECE is the mean distance from that over ten bins of
equal width, weighted by their frames (Guo et al., arXiv 1706.04599); the Brier score is the mean squared distance of
confidence and outcome; AUROC is how often a right frame has more confidence than a wrong one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencwm.errors import ConfigError
from opencwm.evals.base import EvalResult, Ledger, Progress, chunks
from opencwm.evals.forced import predict_with_confidence
from opencwm.protocols import ScoringModel
from opencwm.trace.compare import Outcome, compare_frames
from opencwm.trace.recording.frame import Trace

NUM_BINS = 10

Judged = tuple[float, bool]
"""Confidence of a frame, and whether it is right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    low: float
    high: float
    num: int
    confidence: float
    """Mean."""
    right: float
    """Share."""


def evaluate(
    model: ScoringModel,
    traces: Sequence[Trace],
    *,
    ledger: Path | None = None,
    settings: dict[str, Any] | None = None,
    progress: Progress = lambda done, total: None,
) -> EvalResult:
    """Calibration over all frames after the first, greedily, without a grammar. Raises ConfigError for a model that
    cannot score given tokens: one behind a server."""
    if not hasattr(model, "score"):
        raise ConfigError(f"{model.name} tells no probabilities of given tokens", fix="give a model folder")
    settings = {"task": "calibration", "model": model.name, "n": len(traces), **(settings or {})}
    order = sorted(range(len(traces)), key=lambda index: -len(traces[index].frames))
    with Ledger(ledger, settings) as book:
        left = [index for index in order if str(index) not in book.done]
        for part in chunks(left, len(traces), progress):
            forced = predict_with_confidence(model, [traces[index] for index in part])
            for index, each in zip(part, forced, strict=True):
                right = compare_frames(traces[index], each.frames, given=1).frames_right
                book.add(str(index), list(zip(each.confidences[1:], right[1:], strict=True)))
        judged = [(float(p), bool(right)) for index in order for p, right in book.done[str(index)]]
    num_right = sum(right for _, right in judged)
    return EvalResult(
        task="calibration",
        model=model.name,
        n=len(traces),
        metrics=metrics(judged),
        outcomes={Outcome.RIGHT: num_right, Outcome.WRONG: len(judged) - num_right},
        settings=settings,
    )


def metrics(judged: Sequence[Judged]) -> dict[str, Any]:
    found = bins(judged)
    total = len(judged)
    return {
        "frames": total,
        "right": round(sum(right for _, right in judged) / total, 4),
        "confidence": round(sum(p for p, _ in judged) / total, 4),
        "ece": round(sum(each.num * abs(each.right - each.confidence) for each in found) / total, 4),
        "brier": round(sum((p - right) ** 2 for p, right in judged) / total, 4),
        "auroc": auroc(judged),
        "bins": {
            f"{each.low:.1f}-{each.high:.1f}": {
                "frames": each.num,
                "confidence": round(each.confidence, 4),
                "right": round(each.right, 4),
            }
            for each in found
        },
    }


def bins(judged: Sequence[Judged]) -> list[Bin]:
    """Ten of equal width, those without a frame left out."""
    sorted_in: list[list[Judged]] = [[] for _ in range(NUM_BINS)]
    for p, right in judged:
        sorted_in[min(NUM_BINS - 1, int(p * NUM_BINS))].append((p, right))
    return [
        Bin(
            low=number / NUM_BINS,
            high=(number + 1) / NUM_BINS,
            num=len(held),
            confidence=sum(p for p, _ in held) / len(held),
            right=sum(right for _, right in held) / len(held),
        )
        for number, held in enumerate(sorted_in)
        if held
    ]


def auroc(judged: Sequence[Judged]) -> float | None:
    """None where all frames are right, or none is. Equal confidences count half."""
    ordered = sorted(judged)
    num_right = sum(right for _, right in ordered)
    num_wrong = len(ordered) - num_right
    if not num_right or not num_wrong:
        return None
    won, wrong_below, start = 0.0, 0, 0
    while start < len(ordered):
        end = start
        while end < len(ordered) and ordered[end][0] == ordered[start][0]:
            end += 1
        right_here = sum(right for _, right in ordered[start:end])
        wrong_here = end - start - right_here
        won += right_here * (wrong_below + wrong_here / 2)
        wrong_below += wrong_here
        start = end
    return round(won / (num_right * num_wrong), 4)

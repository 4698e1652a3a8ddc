"""Two small charts as inline SVG, coloured by the page's style sheet: the loss curve and an interval on a scale."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor

from opencwm.report.data import LossPoint
from opencwm.trace.compare import Estimate

WIDTH, HEIGHT = 1120, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 16, 40
SMOOTHING = 0.8
"""Weight of the past in the smoothed curve."""


def loss_curve(points: Sequence[LossPoint]) -> str:
    """Loss over steps: each logged value as a dot, a smoothed line through them."""
    if len(points) < 2:
        return ""
    losses, steps = [point.loss for point in points], [point.step for point in points]
    marks = ticks(min(losses), max(losses), 5)
    low, high = min(marks[0], min(losses)), max(marks[-1], max(losses))
    first, last = steps[0], steps[-1]

    def x(step: float) -> float:
        return LEFT + (step - first) / max(last - first, 1) * (WIDTH - LEFT - RIGHT)

    def y(loss: float) -> float:
        return TOP + (high - loss) / max(high - low, 1e-9) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg class="loss" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Training loss by step">']
    for mark in marks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>')
    for step in ticks(first, last, 6):
        if first <= step <= last:
            parts.append(f'<text x="{x(step):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{step:g}</text>')
    parts.append(f'<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">optimizer step</text>')
    dots = "".join(f'<circle cx="{x(s):.1f}" cy="{y(v):.1f}" r="2"/>' for s, v in zip(steps, losses, strict=True))
    line = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in zip(steps, smoothed(losses), strict=True))
    parts.append(f'<g class="dots">{dots}</g><polyline class="curve" points="{line}"/></svg>')
    return "".join(parts)


def smoothed(values: Sequence[float]) -> list[float]:
    """An exponential moving average without a slow start."""
    out, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = SMOOTHING * total + value, SMOOTHING * weight + 1
        out.append(total / weight)
    return out


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers that span `low` to `high`."""
    span = max(high - low, 1e-9)
    power = 10.0 ** floor_log10(span / count)
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * count >= span)
    return [round(step * i, 10) for i in range(floor(low / step), ceil(high / step) + 1)]


def floor_log10(value: float) -> int:
    exponent = 0
    while value < 1:
        value, exponent = value * 10, exponent - 1
    while value >= 10:
        value, exponent = value / 10, exponent + 1
    return exponent


def interval_plot(estimates: Mapping[str, Estimate | None]) -> str:
    """Estimates of one quantity on a scale from 0 to 1: a dot and its interval for each, the last one standing out."""
    names = [name for name, estimate in estimates.items() if estimate is not None]
    parts = ['<svg class="interval" viewBox="0 0 240 26" aria-hidden="true">']
    parts.append('<line class="scale" x1="4" x2="236" y1="13" y2="13"/>')
    for place, name in enumerate(names):
        estimate = estimates[name]
        assert estimate is not None
        x, low, high = (4 + 232 * max(0.0, min(1.0, v)) for v in (estimate.mean, estimate.low, estimate.high))
        kind = "last" if name == list(estimates)[-1] else "first" if name == next(iter(estimates)) else "middle"
        y = 13 if len(names) == 1 else 6 + 14 * place / (len(names) - 1)
        title = f"<title>{escape(name)}: {estimate.mean:.1%}</title>"
        parts.append(
            f'<g class="{kind}">{title}<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/></g>'
        )
    return "".join([*parts, "</svg>"])

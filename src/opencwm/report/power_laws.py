"""Fitted power laws as a page: every run of the search over its compute, the law and its band.

Curve per quantity --power_law_page--> one HTML file without any request or script
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from opencwm.report.figure import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, figure_page


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One quantity over compute."""

    name: str
    runs: Sequence[tuple[float, float, bool]]
    """(FLOP, value, whether it is among those that the law is fitted to)."""
    factor: float
    exponent: float
    exponent_interval: tuple[float, float]


def power_law_page(curves: Sequence[Curve], note: str) -> str:
    """The page; `note` says under it what was run."""
    parts = [f"<h2>{escape(curve.name)}</h2>{_formula(curve)}{power_law_chart(curve)}" for curve in curves]
    return figure_page("Scaling laws", "\n".join(parts) + f"\n<p>{escape(note)}</p>")


def _formula(curve: Curve) -> str:
    low, high = curve.exponent_interval
    return (
        f"<p><code>{curve.factor:.3g} · C<sup>{curve.exponent:.3f}</sup></code>, "
        f"exponent {low:.3f} to {high:.3f} (95%)</p>"
    )


def power_law_chart(curve: Curve) -> str:
    """Both axes logarithmic; runs as dots, those that count larger, the law as a line."""
    xs, ys = [log10(c) for c, _, _ in curve.runs], [log10(value) for _, value, _ in curve.runs]
    first, last = floor(min(xs) * 2) / 2, ceil(max(xs) * 2) / 2
    low, high = floor(min(ys) * 2) / 2, ceil(max(ys) * 2) / 2

    def x(exponent: float) -> float:
        return LEFT + (exponent - first) / max(last - first, 0.5) * (WIDTH - LEFT - RIGHT)

    def y(exponent: float) -> float:
        return TOP + (high - exponent) / max(high - low, 0.5) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(curve.name)} by compute">']
    for mark in range(ceil(low), floor(high) + 1):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{_power(mark)}</text>')
    for mark in range(ceil(first), floor(last) + 1):
        parts.append(f'<text x="{x(mark):.1f}" y="{HEIGHT - 22}" text-anchor="middle">{_power(mark)}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">FLOP of one run</text>')
    for at, value, counts in zip(xs, ys, (counts for _, _, counts in curve.runs), strict=True):
        kind, radius = ("best", 5) if counts else ("run", 3)
        parts.append(f'<circle class="{kind}" cx="{x(at):.1f}" cy="{y(value):.1f}" r="{radius}"/>')
    ends = [(at, log10(curve.factor) + curve.exponent * at) for at in (min(xs), max(xs))]
    (x1, y1), (x2, y2) = ((x(at), y(value)) for at, value in ends)
    parts.append(f'<line class="law" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/></svg>')
    return "".join(parts)


def _power(exponent: int) -> str:
    return f'10<tspan dy="-5" font-size="9">{exponent}</tspan>'

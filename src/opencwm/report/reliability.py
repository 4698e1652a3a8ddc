"""A reliability curve as a page: how often frames are right, by how sure the model was.

Numbers of `evals/calibration.py` --reliability_page--> one HTML file without any request or script
"""

from collections.abc import Mapping
from html import escape
from typing import Any

from opencwm.report.figure import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, figure_page

GAP = 6
"""Between two bars, in units of the picture."""


def reliability_page(result: Mapping[str, Any]) -> str:
    """The page of one result of `opencwm eval run calibration`."""
    numbers = result["metrics"]
    body = (
        f"<p>{numbers['frames']:,} frames of {result['n']:,} programs, each predicted after the true ones: "
        f"{numbers['right']:.1%} right, with {numbers['confidence']:.1%} confidence on average. "
        f"Expected calibration error {numbers['ece']:.3f}, Brier score {numbers['brier']:.3f}"
        + ("" if numbers["auroc"] is None else f", AUROC {numbers['auroc']:.3f}")
        + f".</p>{reliability_chart(numbers['bins'])}"
        "<p>A bar is the share of right frames among those of its confidence; the dot is their mean confidence, "
        "and on the line a model is right as often as it says. In each, the number of frames.</p>"
    )
    return figure_page(f"Is {result['model']} right as often as it says?", body)


def reliability_chart(bins: Mapping[str, Mapping[str, float]]) -> str:
    """Both axes from 0 to 1."""

    def x(value: float) -> float:
        return LEFT + value * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (1 - value) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Share of right frames by confidence">']
    for tenth in range(0, 11, 2):
        at = y(tenth / 10)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{10 * tenth}%</text>')
        parts.append(f'<text x="{x(tenth / 10):.1f}" y="{HEIGHT - 24}" text-anchor="middle">{10 * tenth}%</text>')
    for name, each in bins.items():
        low, high = map(float, name.split("-"))
        width = x(high) - x(low) - GAP
        title = escape(f"confidence {name}: {each['right']:.1%} right of {each['frames']:,}")
        parts.append(
            f'<rect class="run" x="{x(low) + GAP / 2:.1f}" y="{y(each["right"]):.1f}" width="{width:.1f}" '
            f'height="{y(0) - y(each["right"]):.1f}"><title>{title}</title></rect>'
            f'<text x="{x(low) + GAP / 2 + width / 2:.1f}" y="{y(0) - 6:.1f}" text-anchor="middle">'
            f"{each['frames']:,.0f}</text>"
        )
    parts.append(f'<line class="law" x1="{x(0):.1f}" y1="{y(0):.1f}" x2="{x(1):.1f}" y2="{y(1):.1f}"/>')
    for each in bins.values():
        parts.append(f'<circle class="best" cx="{x(each["confidence"]):.1f}" cy="{y(each["right"]):.1f}" r="4"/>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">confidence</text></svg>')
    return "".join(parts)

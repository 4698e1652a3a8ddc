"""The page: complete, self-contained, and deaf to whatever programs and models write into it."""

import re
from html.parser import HTMLParser

import pytest

from opencwm.report import AccuracyRow, LossPoint, ReportData, Step, program_report, render_report, write_report
from opencwm.report.charts import loss_curve, smoothed, ticks
from opencwm.report.code import highlighted_lines
from opencwm.report.data import AccuracyTable
from opencwm.report.html import percent, seconds_in_words
from opencwm.trace.compare import Estimate, Outcome
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.stream import Parsed, ParseError

NASTY = "</script><img src=x onerror=alert(1)>&\"'"
SOURCE = f"""
def twice(n):
    note = {NASTY!r}
    return n + n

def main():  # << START_OF_TRACE
    return twice(4)
"""
TRUE = Trace(
    {"context": SOURCE, "outcome": "returned"},
    [
        Frame("call", 0, "p", 5, "def main():", locals=Locals({})),
        Frame("line", 0, "p", 6, "    return twice(4)", locals=Locals({})),
        Frame("call", 1, "p", 1, "def twice(n):", locals=Locals({"n": "4"})),
        Frame("line", 1, "p", 2, f"    note = {NASTY!r}", locals=Locals({})),
        Frame("line", 1, "p", 3, "    return n + n", locals=Locals({"note": repr(NASTY)})),
        Frame("return", 1, "p", 3, "    return n + n", value="8"),
        Frame("return", 0, "p", 6, "    return twice(4)", value="8"),
    ],
)
VOID = {"meta", "img", "input", "br"}


def predicted(frames=None, **changes):
    return Parsed(context=SOURCE, frames=TRUE.frames if frames is None else frames, **{"ended": True, **changes})


def with_frame(index, frame):
    return [*TRUE.frames[:index], frame, *TRUE.frames[index + 1 :]]


WRONG_VALUE = with_frame(4, Frame("line", 1, "", 0, "    return n + n", locals=Locals({"note": "'" + NASTY})))


def whole_report():
    estimate = Estimate(mean=0.5, low=0.4, high=0.6, num=10)
    row = AccuracyRow(name=f"row {NASTY}", meaning="what", estimates={"copy": None, "after": estimate})
    return ReportData(
        headline=f"headline {NASTY}",
        tiles=(("50%", f"tile {NASTY}", "beside"),),
        steps=(Step(title=f"step {NASTY}", text="text", seconds=61),),
        programs=(
            program_report(TRUE, predicted(), name=f"name {NASTY}", note=f"note {NASTY}", confidences=[None, 0.9, 0.5]),
            program_report(TRUE, predicted(WRONG_VALUE), name="second"),
        ),
        tables=(AccuracyTable(title=f"table {NASTY}", note="note", series=("copy", "after"), rows=(row,)),),
        losses=(LossPoint(step=1, loss=2.0, tokens_per_s=1), LossPoint(step=2, loss=1.0, tokens_per_s=1)),
        loss_note=f"loss {NASTY}",
        facts={f"fact {NASTY}": NASTY},
    )


class Page(HTMLParser):
    """The elements of a page with their attributes, and what is left open at its end."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        self.text.append(data)

    def classes(self, tag, name):
        return [attrs["class"].split() for element, attrs in self.elements if element == tag
                and name in attrs.get("class", "").split()]  # fmt: skip


def test_every_element_is_closed_and_nothing_a_program_wrote_becomes_one():
    page = Page(render_report(whole_report()))
    assert page.open == []
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert "img" not in tags
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert "".join(page.text).count(NASTY) >= 8


def test_it_asks_for_nothing_from_anywhere():
    html = render_report(whole_report())
    assert not re.search(r"https?:|url\(|@import|<link|src=[\"']", html)


def test_every_frame_of_every_program_is_in_the_page_with_its_verdict():
    page = Page(render_report(whole_report()))
    kinds = [classes[1] for classes in page.classes("section", "frame")]
    right = ["given", *["right"] * 6]
    assert kinds == [*right, "given", "right", "right", "right", "wrong", "right", "right"]
    assert len(page.classes("tr", "differs")) == 1


def test_the_report_is_written_whole(tmp_path):
    path = write_report(tmp_path / "report.html", whole_report())
    assert path.read_text(encoding="utf-8") == render_report(whole_report())
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_a_lone_surrogate_can_be_written(tmp_path):
    write_report(tmp_path / "report.html", ReportData(headline="\ud800"))
    assert "\\ud800" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_right_prediction():
    report = program_report(TRUE, predicted(), name="p", confidences=[None, 0.25])
    assert report.outcome is Outcome.RIGHT
    assert "every one of its 7 frames" in report.verdict
    assert (report.predicted_output, report.real_output, report.is_output_right) == ("8", "8", True)
    assert [pair.real_line for pair in report.pairs] == [5, 6, 1, 2, 3, 3, 6]
    assert report.pairs[3].calls == ("main", "twice")
    assert report.pairs[6].calls == ("main",)
    assert [pair.confidence for pair in report.pairs[:3]] == [None, 0.25, None]


def test_differences_are_found_name_by_name_on_resolved_values():
    report = program_report(TRUE, predicted(WRONG_VALUE), name="p")
    n, note = report.pairs[4].differences
    assert (n.name, n.predicted, n.real, n.is_right, n.is_new) == ("n", "4", "4", True, False)
    assert (note.name, note.is_right, note.is_new) == ("note", False, True)
    assert "frame 5 of 7, yet ends with the right output" in report.verdict


def test_a_prediction_that_stops_making_sense_says_why():
    error = ParseError(index=9, reason="no JSON here", frame=3)
    report = program_report(TRUE, predicted(TRUE.frames[:3], ended=False, error=error), name="p")
    assert report.outcome is Outcome.MALFORMED
    assert "frame 4 of 7, then stops making sense: no JSON here" in report.verdict
    assert report.predicted_output is None
    assert report.pairs[-1].predicted is None


def test_surplus_frames_are_shown_as_wrong():
    surplus = [*TRUE.frames, Frame("line", 0, "", 0, "    return twice(4)", locals=Locals({}))]
    report = program_report(TRUE, predicted(surplus), name="p")
    assert len(report.pairs) == 8
    assert report.pairs[-1].real is None
    assert not report.pairs[-1].is_right
    assert "goes on after" in report.verdict


@pytest.mark.parametrize("code", ["", "x = 1", "def f(:\n  '''", "a\n\n  b # c\n", "\x0c<b>&amp;\n\tx"])
def test_highlighting_changes_no_character(code):
    lines = list(highlighted_lines(code))
    assert "\n".join("".join(Page(line).text) for line in lines) == code


def test_round_numbers_on_the_axes():
    assert ticks(0.18, 0.31, 5) == [0.15, 0.2, 0.25, 0.3, 0.35]
    assert ticks(0, 600, 6) == [0, 100, 200, 300, 400, 500, 600]


def test_smoothing_keeps_a_constant_and_starts_at_the_first_value():
    assert smoothed([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    assert smoothed([1.0, 2.0])[0] == 1.0


def test_the_curve_has_a_dot_for_every_value():
    points = [LossPoint(step=i, loss=1 / i, tokens_per_s=1) for i in range(1, 8)]
    assert loss_curve(points).count("<circle") == 7
    assert loss_curve(points[:1]) == ""


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (1, "100%"), (0.9996, ">99.9%"), (0.0001, "<0.1%"), (0.123, "12.3%"), (0.05, "5.0%")],
)
def test_shares_never_look_rounder_than_they_are(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(("seconds", "text"), [(4.21, "4.2 s"), (52.4, "52 s"), (61, "1 min 01 s")])
def test_times(seconds, text):
    assert seconds_in_words(seconds) == text

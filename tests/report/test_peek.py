from html.parser import HTMLParser

from opencwm.report.peek import render_peek
from opencwm.trace.files import Row
from opencwm.trace.recording.frame import Frame, Locals, Trace

HOSTILE = "<script>alert(1)</script>"


def row():
    frames = [
        Frame("call", 0, "p.py", 1, "def f(x):", locals=Locals({"x": repr(HOSTILE)}, [])),
        Frame("line", 0, "p.py", 2, "    y = x", locals=Locals({}, [])),
        Frame("line", 0, "p.py", 3, "    return y", locals=Locals({"y": "7"}, [])),
        Frame("return", 0, "p.py", 3, "    return y", value="8"),
    ]
    trace = Trace({"context": f"\ndef f(x):  # {HOSTILE}\n", "outcome": "returned"}, frames)
    return Row(trace_id="id", source=f"harvested {HOSTILE}", trace=trace, package="toolz", licence="BSD")


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows, self.tags = [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_each_frame_is_a_line_with_what_is_new():
    page = Cells()
    page.feed(render_peek([row()]).partition("</style>")[2])
    assert [[cell.strip("\n") for cell in cells[2:]] for cells in page.rows] == [
        ["def f(x):", f"x = {HOSTILE!r}"],
        ["    y = x", ""],
        ["    return y", "y = 7"],
        ["    return y", "8"],
    ]
    assert "script" not in page.tags
    assert "toolz BSD · 4 frames · returned · id" in render_peek([row()])

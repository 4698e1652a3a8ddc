import pytest

from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.text import parse_text
from opencwm.trace.view import FrameView, View, output_of, view


def frame(
    event: str, line: str = "", *, value: str | None = None, removed: tuple[str, ...] = (), **names: str
) -> Frame:
    return Frame(event, 0, "a.py", 1, line, locals=None if value is not None else Locals(names, removed), value=value)


def test_unchanged_values_are_those_of_the_activation_on_top():
    frames = view(
        Trace(
            {"context": "", "outcome": "returned"},
            [
                frame("call", "def f(x):", x="1"),
                frame("line", y="2"),
                frame("call", "def g(x):", x="10"),
                frame("exception", value="E()"),
                frame("line", z="30"),
                frame("return", value="5"),
                frame("line"),
                frame("line", x="3", removed=("y",)),
                frame("return", value="6"),
            ],
        )
    ).frames
    assert [f.locals for f in frames] == [
        {"x": "1"},
        {"x": "1", "y": "2"},
        {"x": "10"},
        None,
        {"x": "10", "z": "30"},
        None,
        {"x": "1", "y": "2"},
        {"x": "3"},
        None,
    ]
    assert [f.depth for f in frames] == [0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert [f.value for f in frames if f.locals is None] == ["E()", "5", "6"]


def test_a_frame_is_changed_where_its_state_is_not_the_one_last_shown():
    frames = [
        frame("call", x="1"),
        frame("line"),
        frame("line", x="1"),  # shown in full, and the same
        frame("line", x="2"),
        frame("line", removed=("x",)),
        frame("call"),
        frame("return", value="1"),
    ]
    changed = [f.is_changed for f in view(Trace({"context": "", "outcome": "returned"}, frames)).frames]
    assert changed == [True, False, False, True, True, False, False]


def test_a_recursive_call_starts_from_nothing_even_with_equal_locals():
    frames = view(Trace({"context": "", "outcome": "returned"}, [frame("call", x="1"), frame("call", x="1")])).frames
    assert [f.is_changed for f in frames] == [True, True]
    assert frames[1].depth == 1


def test_what_stands_for_nothing_stays():
    text = "<|begin_of_text|><|trace_context_start|>\n<|frame_sep|>"
    text += '<|call_sep|>{"x": ".."}<|action_sep|>f\n<|frame_sep|>'
    assert view(parse_text(text)) == View(
        context="\n", frames=[FrameView(event="call", source_line="f", locals={"x": ".."})], ended=False
    )


def test_source_lines_and_context_are_those_of_the_stream():
    seen = view(Trace({"context": "x", "outcome": "budget"}, [frame("line", "def main():  # << START_OF_TRACE\n")]))
    assert seen.context == "\nx\n"
    assert seen.frames[0].source_line == "def main():"
    assert not seen.ended


@pytest.mark.parametrize(
    ("frames", "output"),
    [
        ([], None),
        ([frame("call"), frame("line")], None),
        ([frame("call"), frame("return", value="1")], ("returned", "1")),
        ([frame("call"), frame("call"), frame("return", value="1")], None),
        ([frame("call"), frame("call"), frame("return", value="1"), frame("return", value="2")], ("returned", "2")),
        ([frame("call"), frame("exception", value="E()"), frame("return", value="None")], ("raised", "E()")),
        (
            [frame("call"), frame("exception", value="E()"), frame("line"), frame("return", value="None")],
            ("returned", "None"),
        ),
        (
            [frame("call"), frame("call"), frame("exception", value="E()"), frame("return", value="None")],
            None,
        ),
    ],
)
def test_the_output_is_how_the_entry_point_was_left(frames, output):
    assert output_of(view(Trace({"context": "", "outcome": "returned"}, frames)).frames) == output

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencwm.errors import DataError
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.stream import Stack
from opencwm.trace.text import Special, parse_text, render_text, without_marker
from opencwm.trace.view import view

SLOW_FIXTURES = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
START = "<|begin_of_text|><|trace_context_start|>\nf\n<|frame_sep|>"
CALL = '<|call_sep|>{"x": "1"}<|action_sep|>def f(x):\n<|frame_sep|>'


def line(names: str, source: str = "    x") -> str:
    return f"<|line_sep|>{names}<|action_sep|>{source}\n<|frame_sep|>"


def test_the_worked_example_renders_as_the_format_says(example, example_text):
    assert render_text(example) == example_text


def test_the_worked_example_parses_to_the_same_view(example, example_text):
    parsed = parse_text(example_text)
    assert parsed.error is None
    assert view(parsed) == view(example)
    assert [frame.depth for frame in parsed.frames] == [frame.depth for frame in example.frames]


@SLOW_FIXTURES
@given(data=st.data())
def test_text_round_trips(data, plain_traces):
    trace = data.draw(plain_traces)
    text = render_text(trace)
    parsed = parse_text(text)
    assert parsed.error is None
    assert view(parsed) == view(trace)
    assert render_text(parsed) == text


@pytest.mark.parametrize("special", list(Special))
def test_a_text_that_looks_like_a_special_token_has_no_text_form(special):
    text = f"a{special.value}b"
    frame = Frame("return", 0, "a.py", 1, "    return x", value="1")
    for trace in (
        Trace({"context": text, "outcome": "returned"}),
        Trace({"context": "", "outcome": "returned"}, [Frame("return", 0, "a.py", 1, text, value="1")]),
        Trace({"context": "", "outcome": "returned"}, [Frame("return", 0, "a.py", 1, "", value=text)]),
        Trace(
            {"context": "", "outcome": "returned"}, [Frame("call", 0, "a.py", 1, "", locals=Locals({text: "1"})), frame]
        ),
    ):
        with pytest.raises(DataError, match=special.value.strip("<|>")):
            render_text(trace)


def test_every_bound_name_is_shown_in_declaration_order():
    frames = [
        Frame("call", 0, "a.py", 1, "def f(a, c):", locals=Locals({"a": "1", "c": "3"})),
        Frame("line", 0, "a.py", 2, "    b", locals=Locals({"b": "2"}, (), ("a", "b", "c"))),
        Frame("line", 0, "a.py", 3, "    del a", locals=Locals({}, ("a",))),
        Frame("line", 0, "a.py", 4, "    a", locals=Locals({"a": "1"}, (), ("a", "b", "c"))),
        Frame("line", 0, "a.py", 4, "    in full", locals=Locals({"c": "3", "a": "1", "b": "2"})),
    ]
    text = render_text(Trace({"context": "", "outcome": "returned"}, frames))
    shown = [part.split("<|action_sep|>")[0] for part in text.split("_sep|>{")[1:]]
    assert shown == [
        '"a": "1", "c": "3"}',
        '"a": "..", "b": "2", "c": ".."}',
        '"b": "..", "c": ".."}',
        '"a": "1", "b": "..", "c": ".."}',
        '"c": "3", "a": "1", "b": "2"}',
    ]
    frames = parse_text(text).frames
    assert frames[1].locals == Locals({"b": "2"}, (), ("a", "b", "c"))
    assert frames[2].locals == Locals({}, ("a",))


def test_fields_are_ascii_json_and_source_lines_are_as_written_without_the_marker():
    frames = [
        Frame("call", 0, "a.py", 1, "def é():  # << START_OF_TRACE", locals=Locals({"é": "'é'"})),
        Frame("return", 0, "a.py", 1, "\treturn 'é' ", value="'é'"),
    ]
    assert render_text(Trace({"context": "é", "outcome": "returned"}, frames)) == (
        "<|begin_of_text|><|trace_context_start|>\né\n<|frame_sep|>"
        '<|call_sep|>{"\\u00e9": "\'\\u00e9\'"}<|action_sep|>def é():\n<|frame_sep|>'
        "<|return_sep|><|action_sep|>\treturn 'é' \n<|arg_sep|>\"'\\u00e9'\"<|frame_sep|><|end_of_text|>"
    )


@pytest.mark.parametrize(
    ("outcome", "ends"), [("returned", True), ("raised", True), ("exit", True), ("budget", False), ("displaced", False)]
)
def test_the_end_is_marked_where_the_entry_point_was_left(outcome, ends):
    text = render_text(Trace({"context": "", "outcome": outcome}))
    assert text.endswith("<|end_of_text|>") == ends
    assert parse_text(text).ended == ends


def test_the_variants_of_the_published_format_are_read():
    text = "<|begin_of_text|><|trace_context_start|>def main():  # << START_OF_TRACE<|frame_sep|>"
    text += "<|call_sep|>{}<|action_sep|>def main():  # << START_OF_TRACE<|frame_sep|>"
    text += '<|return_sep|><|action_sep|><|arg_sep|>"1"<|frame_sep|>'
    parsed = parse_text(text)
    assert parsed.error is None
    assert parsed.context == "\ndef main():  # << START_OF_TRACE\n"
    assert [frame.source_line for frame in parsed.frames] == ["def main():", ""]


def test_locals_may_leave_unchanged_names_out_when_asked():
    text = START + CALL + line('{"y": "2"}') + line("{}") + line('{"x": "3"}')
    shown = [frame.locals for frame in view(parse_text(text, changed_only=True)).frames]
    assert shown == [{"x": "1"}, {"x": "1", "y": "2"}, {"x": "1", "y": "2"}, {"x": "3", "y": "2"}]
    assert [frame.locals for frame in view(parse_text(text)).frames] == [{"x": "1"}, {"y": "2"}, {}, {"x": "3"}]


MALFORMED = [
    ("", "", "<|begin_of_text|>", None, None, True),
    ("hello", "hello", "<|begin_of_text|>", None, None, False),
    ("<|begin_of_text|>f<|frame_sep|>", "f<|frame", "<|trace_context_start|>", None, None, False),
    ("<|begin_of_text|><|trace_context_start|>def f", "", "<|frame_sep|> after the context", None, None, True),
    (START + "x", "x", "text instead of an event token", 0, None, False),
    (START + "<|arg_sep|>", "<|arg_sep|>", "<|arg_sep|> instead of an event token", 0, None, False),
    (START + CALL + "<|line_sep|><|action_sep|>x", "<|action_sep|>x", "where the locals", 1, "locals", False),
    (START + CALL + '<|line_sep|>{"x": 1}<|action_sep|>', '{"x": 1}', "not names with texts", 1, "locals", False),
    (START + CALL + '<|line_sep|>["x"]<|action_sep|>', '["x"]', "not names with texts", 1, "locals", False),
    (START + CALL + '<|line_sep|>{"x": "1}<|action_sep|>', '"1}<', "not JSON", 1, "locals", False),
    (START + CALL + '<|line_sep|>{"x": "1", "x": "2"}<|action_sep|>', '{"x": "1", "x"', "twice", 1, "locals", False),
    (START + CALL + '<|line_sep|>{"x": ".."}<|arg_sep|>', "<|arg_sep|>", "<|action_sep|> in a line", 1, None, False),
    (START + CALL + '<|line_sep|>{"x": ".."', "", "ends inside the locals", 1, None, True),
    (START + CALL + "<|line_sep|>{}<|action_sep|>x\n", "", "<|frame_sep|> at the end of a line frame", 1, None, True),
    (START + CALL + "<|return_sep|>x", "x", "text instead of <|action_sep|>", 1, None, False),
    (START + CALL + "<|return_sep|><|action_sep|>x\n<|frame_sep|>", "<|frame_sep|>", "<|arg_sep|>", 1, None, False),
    (START + CALL + "<|return_sep|><|action_sep|>x\n<|arg_sep|>1<|frame_sep|>", "1<", "not a JSON", 1, "value", False),
    (
        START + CALL + "<|return_sep|><|action_sep|>x\n<|arg_sep|>'1'<|frame_sep|>",
        "'1'<",
        "not JSON",
        1,
        "value",
        False,
    ),
    (START + CALL + "<|return_sep|><|action_sep|>x\n<|arg_sep|>", "", "inside the value", 1, None, True),
    (START + CALL + "<|end_of_text|>x", "x", "follows the end", 1, None, False),
    (START + CALL + "<|pad|>", "<|pad|>", "<|pad|> instead of an event token", 1, None, False),
]


@pytest.mark.parametrize(("text", "rest", "reason", "frame", "field", "cut"), MALFORMED)
def test_a_malformed_stream_gives_the_frames_so_far_and_what_is_wrong_where(text, rest, reason, frame, field, cut):
    parsed = parse_text(text)
    assert parsed.error is not None
    assert reason in parsed.error.reason
    assert text[parsed.error.index :].startswith(rest)
    assert parsed.error.index == (text.rindex(rest) if rest else len(text))
    assert (parsed.error.frame, parsed.error.field, parsed.error.cut) == (frame, field, cut)
    assert len(parsed.frames) == (frame or 0)


def test_text_after_the_end_keeps_what_came_before():
    parsed = parse_text(START + CALL + "<|end_of_text|>" + CALL)
    assert parsed.ended
    assert parsed.error is not None
    assert len(parsed.frames) == 1


@pytest.mark.parametrize("source", ["    return A", "x = FOO_BAR", "def main():", "", "S # << START_OF_TRACE"])
def test_removing_the_marker_leaves_the_line_alone(source):
    assert without_marker(source) == source == without_marker(source + "  # << START_OF_TRACE\n")


def test_a_lone_surrogate_is_written_out_in_source_and_kept_in_values():
    frame = Frame("return", 0, "a.py", 1, "x = '\udc80'", value="'\udc80'")
    parsed = parse_text(render_text(Trace({"context": "\ud800", "outcome": "returned"}, [frame])))
    assert parsed.context == "\n\\ud800\n"
    assert parsed.frames[0].source_line == "x = '\\udc80'"
    assert parsed.frames[0].value == "'\udc80'"


def test_a_copied_stack_goes_its_own_way():
    stack = Stack()
    stack.apply(Frame("call", 0, "", 0, "", locals=Locals({"x": "1"})))
    other = stack.copy()
    other.apply(Frame("line", 0, "", 0, "", locals=Locals({"x": "2"})))
    other.apply(Frame("call", 1, "", 0, "", locals=Locals({})))
    assert (stack.top, stack.depth) == ({"x": "1"}, 0)
    assert other.depth == 1

"""Recording in this process: sources and live functions, budgets, scopes, headers, and what becomes of the program."""

import collections
import dataclasses
import importlib.util
import sys
import threading

import pytest
from half_program import HALF

from opencwm.trace.recording import values
from opencwm.trace.recording.frame import Trace
from opencwm.trace.recording.options import Options
from opencwm.trace.recording.recorder import Recorder, record_source

pytestmark = pytest.mark.usefixtures("engine")


def shown(trace):
    return [(f.event, f.source_line.strip(), f.locals.set if f.locals else f.value) for f in trace.frames]


def test_the_example_of_the_format():
    trace = record_source(HALF, call="g([3, 4])")
    assert trace.context == "\n" + HALF + "\ndef main():  # << START_OF_TRACE\n    return g([3, 4])\n"
    assert shown(trace) == [
        ("call", "def main():", {}),
        ("line", "return g([3, 4])", {}),
        ("call", "def g(xs):", {"xs": "[3, 4]"}),
        ("line", "out = []", {}),
        ("line", "for x in xs:", {"out": "[]"}),
        ("line", "try:", {"x": "3"}),
        ("line", "out.append(half(x))", {}),
        ("call", "def half(n):", {"n": "3"}),
        ("line", "if n % 2:", {}),
        ("line", 'raise ValueError("odd")', {}),
        ("exception", 'raise ValueError("odd")', "ValueError('odd')"),
        ("return", 'raise ValueError("odd")', "None"),
        ("exception", "out.append(half(x))", "ValueError('odd')"),
        ("line", "except ValueError as e:", {"xs": "[3, 4]", "out": "[]", "x": "3"}),
        ("line", "out.append(None)", {"e": "ValueError('odd')"}),
        ("line", "for x in xs:", {"out": "[None]"}),
        ("line", "try:", {"x": "4"}),
        ("line", "out.append(half(x))", {}),
        ("call", "def half(n):", {"n": "4"}),
        ("line", "if n % 2:", {}),
        ("line", "return n // 2", {}),
        ("return", "return n // 2", "2"),
        ("line", "for x in xs:", {"xs": "[3, 4]", "out": "[None, 2]", "x": "4"}),
        ("line", "return [y for y in out if y]", {}),
        ("return", "return [y for y in out if y]", "[2]"),
        ("return", "return g([3, 4])", "[2]"),
    ]
    assert trace.frames[15].locals.removed == ("e",)
    assert [frame.depth for frame in trace.frames[6:14]] == [1, 2, 2, 2, 2, 2, 1, 1]


def test_without_full_after_return_only_changes_are_shown():
    trace = record_source(HALF, call="g([4])", options=Options(full_after_return=False))
    after = [frame for frame in trace.frames if frame.event == "line" and frame.line_no == 8][-1]
    assert after.locals.set == {"out": "[2]"}


def test_a_trace_survives_its_own_json():
    trace = record_source("def f():\n    s = '\\ud800é<|frame_sep|>'\n    return s\n", call="f()")
    assert Trace.from_json(trace.to_json()) == trace
    assert trace.frames[-1].value == "'\\ud800é<|frame_sep|>'"


def test_the_header():
    header = record_source("x = 1\n", argv=["a"]).header
    keys = (
        "format python implementation engine mechanism tested options hash_seed context entry thread outcome exception"
    )
    assert list(header) == [*keys.split(), "num_frames", "num_bytes", "truncated"]
    assert (header["context"], header["entry"], header["outcome"]) == ("\nx = 1\n", "<module>", "returned")
    assert header["options"] == dataclasses.asdict(Options())
    trace = record_source("\n\ndef f():\n    return [0] * 99", call="f()")
    assert trace.context == "\ndef f():\n    return [0] * 99\ndef main():  # << START_OF_TRACE\n    return f()\n"
    assert trace.header["truncated"] == {"values": 2, "frames": False}
    assert trace.header["num_bytes"] == sum(
        len(Trace({}, [f]).to_json()) - len('{"header":{},"frames":[]}') for f in trace.frames
    )


@pytest.mark.parametrize(
    ("source", "outcome", "exception"),
    [
        ("def f():\n    return 1\n", "returned", None),
        ("def f():\n    return [].pop()\n", "raised", "IndexError('pop from empty list')"),
        ("def f():\n    raise SystemExit(3)\n", "exit", "SystemExit(3)"),
        ("raise KeyError('early')\n", "raised", "KeyError('early')"),
        ("def g():\n    return 1\n", "raised", "NameError(\"name 'f' is not defined\")"),
        ("import sys\ndef f():\n    sys.settrace(None)\n    return 1\n", "displaced", None),
        ("def f():\n    while True:\n        pass\n", "budget", None),
    ],
)
def test_outcomes(source, outcome, exception):
    trace = record_source(source, call="f()", options=Options(max_frames=50))
    assert (trace.outcome, trace.header["exception"]) == (outcome, exception)
    assert trace.header["num_frames"] == len(trace.frames) <= 50
    assert trace.header["truncated"]["frames"] == (outcome == "budget")
    assert sys.gettrace() is None


def test_exactly_the_budget_is_within_it():
    source = "def f():\n    return 1\n"
    assert record_source(source, call="f()", options=Options(max_frames=6)).outcome == "returned"
    assert record_source(source, call="f()", options=Options(max_frames=5)).outcome == "budget"
    num_bytes = record_source(source, call="f()").header["num_bytes"]
    assert record_source(source, call="f()", options=Options(max_bytes=num_bytes)).outcome == "returned"
    assert record_source(source, call="f()", options=Options(max_bytes=num_bytes - 1)).outcome == "budget"
    endless = "def f():\n    while True:\n        pass\n"
    assert record_source(endless, call="f()", options=Options(timeout_s=0.05)).outcome == "budget"


def live(n):
    total = 0
    for i in range(n):
        total += i
    return total


def test_a_live_function_is_left_alone_when_the_budget_is_spent():
    with Recorder(Options(max_frames=5, on_budget="stop_recording")) as recorder:
        result = live(100)
    assert (result, recorder.trace.outcome, len(recorder.trace.frames)) == (4950, "budget", 5)
    assert sys.gettrace() is None


def test_live_functions_and_their_context():
    with Recorder() as recorder:
        live(1)
        live(2)
    trace = recorder.trace
    assert [frame.depth for frame in trace.frames if frame.event == "call"] == [0, 0]
    assert trace.header["entry"] == "live"
    assert "\ndef live(n):  # << START_OF_TRACE\n" in trace.context
    assert trace.frames[0].source_line == "def live(n):"
    assert trace.frames[0].file == "test_recorder.py"


def test_nothing_called_is_an_empty_trace():
    with Recorder() as recorder:
        pass
    assert (recorder.trace.frames, recorder.trace.outcome, recorder.trace.context) == ([], "returned", "\n")


def test_an_exception_of_a_live_function_passes_through():
    with pytest.raises(TypeError), Recorder() as recorder:
        live(None)
    assert recorder.trace.outcome == "raised"


def test_scopes(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "deep.py").write_text("def deep(f):\n    return f()\n")
    (tmp_path / "top.py").write_text("def top(deep):\n    return deep(back)\n\ndef back():\n    return 5\n")
    modules = []
    for path in ("top.py", "inner/deep.py"):
        spec = importlib.util.spec_from_file_location("scoped", tmp_path / path)
        modules.append(importlib.util.module_from_spec(spec))
        spec.loader.exec_module(modules[-1])
    top, deep = modules

    def files(scope):
        with Recorder(scope=scope) as recorder:
            top.top(deep.deep)
        return [(frame.file, frame.depth) for frame in recorder.trace.frames if frame.event == "call"]

    assert files([str(tmp_path)]) == [("top.py", 0), ("inner/deep.py", 1), ("top.py", 2)]
    assert files(None) == files([str(tmp_path / "top.py")]) == [("top.py", 0), ("top.py", 1)]
    assert files([str(tmp_path / "inner")]) == [("deep.py", 0)]


def test_a_thread_of_a_live_function():
    with Recorder(scope=[__file__]) as recorder:
        live(1)
        thread = threading.Thread(target=live, args=(2,))
        thread.start()
        thread.join()
    assert [trace.header["thread"] for trace in recorder.traces] == [0, 1]
    assert recorder.traces[1].frames[-1].value == "1"
    assert threading._trace_hook is None


def test_a_recorder_that_fails_says_so_and_leaves_the_program_alone(monkeypatch):
    real = values.Writer.look

    def look(self, value, last=None):
        if type(value) is collections.Counter:
            raise LookupError("inside the recorder")
        return real(self, value, last)

    def counted(n):
        total = live(n)
        counts = collections.Counter([total])
        return max(counts)

    monkeypatch.setattr(values.Writer, "look", look)
    with Recorder() as recorder:
        result = counted(10)
    assert result == 45
    assert (recorder.trace.outcome, recorder.trace.header["exception"]) == (
        "displaced",
        "LookupError: inside the recorder",
    )
    assert recorder.trace.frames


def test_recording_inside_another_tracer_gives_it_back():
    def other(*_):
        return None

    before = sys.gettrace()
    sys.settrace(other)
    try:
        with Recorder():
            live(1)
        found = sys.gettrace()
    finally:
        sys.settrace(before)
    assert found is other


def test_the_stage_is_cleared_away():
    modules, argv, path = dict(sys.modules), sys.argv, list(sys.path)
    trace = record_source(
        "import sys\ndef f():\n    return sys.argv, __name__\n", call="f()", argv=["a"], filename="prog.py"
    )
    assert trace.frames[-1].value == "(['prog.py', 'a'], 'prog')"
    assert (dict(sys.modules), sys.argv, sys.path) == (modules, argv, path)
    assert sys.modules["__main__"] is modules["__main__"]


def test_a_file_named_like_a_module_is_not_in_its_way():
    trace = record_source("import json\ndef f():\n    return json.dumps([1])\n", call="f()", filename="json.py")
    assert trace.frames[-1].value == "'[1]'"


def test_the_order_of_names_is_told_where_it_cannot_be_seen():
    source = "def f(n):\n    if n:\n        a = 0\n    b = 1\n    a = 2\n    return a, b\n"
    trace = record_source(source, call="f(0)")
    last = [frame for frame in trace.frames if frame.locals is not None][-1]
    assert (last.locals.set, last.locals.order) == ({"a": "2"}, ("n", "a", "b"))
    assert all(frame.locals.order is None for frame in trace.frames if frame.locals is not None and frame is not last)


@pytest.mark.parametrize("source", ["x = 1\r\ny = 2\rz = 3\nu = '\x0c'\n", "x = 1\n\x0cy = '\x85\u2028'\n"])
def test_lines_are_those_of_the_tokenizer(source):
    trace = record_source(source)
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert [frame.source_line for frame in trace.frames if frame.event == "line"] == lines[:-1]


def test_a_source_that_cannot_be_compiled_is_the_callers_error():
    with pytest.raises(SyntaxError):
        record_source("def f(:\n", call="f()")
    with pytest.raises(SyntaxError):
        record_source("x = 1\n", call="x; y")
    with pytest.raises(ValueError, match="max_frame"):
        Options.from_dict({"max_frame": 3})
    with pytest.raises(ValueError, match="structural, repr"):
        Options(values="pretty")


WIDE = """
class Box:
    pass

twins = box = Box()
box.items = list(range(10_000))
for _ in range(60):
    twins = [twins, twins]

def f(value):
    return value
"""


def test_without_a_limit_a_text_is_whole_as_far_as_the_budget_goes():
    """The second one would never end: its parts are shared."""
    options = Options(max_value_chars=None, max_items=None, max_depth=None)
    trace = record_source(WIDE, call="f(box)", options=options)
    assert trace.frames[-1].value == f"<Box items={list(range(10_000))}>"
    assert trace.header["outcome"] == "returned"
    trace = record_source(WIDE, call="f(twins)", options=options)
    assert (trace.header["outcome"], len(trace.frames)) == ("budget", 2)

"""The calls of a trace, also of one that lost the end or the beginning of some."""

from opencwm.data.repositories.calls import calls_of
from opencwm.trace.recording.frame import Frame, Locals
from opencwm.trace.recording.recorder import record_source


def frames(*events):
    """("call", 0), ("line", 0), ... as frames."""
    return [
        Frame(event=event, depth=depth, file="f.py", line_no=1, source_line="", locals=Locals({}), cause=cause)
        for event, depth, cause in ((*each, None)[:3] for each in events)
    ]


def spans(*events):
    return [(call.start, call.end) for call in calls_of(frames(*events))]


def test_calls_own_their_frames_and_their_callees_in_order():
    trace = record_source("def f(n):\n    return n if n < 1 else f(n - 1) + f(n - 2)\n", call="f(2)")
    calls = list(calls_of(trace.frames))
    assert len(calls) == sum(frame.event == "call" for frame in trace.frames) == 6
    main = calls[-1]
    assert (main.start, main.end) == (0, len(trace.frames) - 1)

    def flat(call):
        return [index for part in call.parts for index in ([part] if isinstance(part, int) else flat(part))]

    assert flat(main) == list(range(len(trace.frames)))
    assert main.num_shortest == 3 + 2
    assert all(call.folded == (call.start, call.end) for call in calls)


def test_a_call_that_raised_keeps_the_last_exception_when_it_is_folded():
    trace = record_source(
        "def g():\n    try:\n        1 / 0\n    except ZeroDivisionError:\n        raise KeyError(1)\n"
        "def f():\n    try:\n        g()\n    except KeyError:\n        return 2\n",
        call="f()",
    )
    g, f, _ = calls_of(trace.frames)
    assert [trace.frames[index].value for index in g.folded] == [None, "KeyError(1)", "None"]
    assert [trace.frames[index].event for index in f.folded] == ["call", "return"]


def test_calls_that_are_not_whole_are_left_out_with_their_callers():
    assert spans(("call", 0), ("call", 1), ("line", 1), ("return", 1), ("line", 0)) == [(1, 3)]
    # the activation at depth 1 died without a return
    assert spans(("call", 0), ("call", 1), ("line", 0), ("call", 1), ("return", 1), ("return", 0)) == [(3, 4)]
    # recording began inside a call
    assert spans(("line", 1), ("return", 1), ("call", 0), ("return", 0)) == [(2, 3)]
    # two calls at depth 0: the framework that made them is not recorded
    assert spans(("call", 0), ("return", 0), ("call", 0), ("return", 0)) == [(0, 1), (2, 3)]

"""Narration by a model: what it is given, and what of its replies is believed."""

import pytest

from opencwm.data.record import record_many
from opencwm.data.views.narrators import Narrating, notes_of, request_for, tell
from opencwm.data.views.pairs import Left, Pair
from opencwm.errors import ConfigError, ProviderError
from opencwm.fakes import ScriptedModel, last_message
from opencwm.protocols import Completion
from opencwm.provider import ServerModel

GOOD = "First, `y` becomes `[3, 4, 3, 4]`, and that is returned.\n\nANSWER: [3, 4, 3, 4]"


@pytest.fixture
def double(traces):
    return traces[0]


def reply_to(trace, reply):
    return tell(ScriptedModel([reply]), [trace])[0]


def test_the_model_sees_the_program_the_call_and_every_value(double):
    model = ScriptedModel([GOOD])
    tell(model, [double])
    asked = last_message(model.requests[0])
    assert "def double(x):\n    y = x + x" in asked
    assert "`double([3, 4])`" in asked
    assert "(now y = [3, 4, 3, 4])" in asked
    assert "returns [3, 4, 3, 4]" in asked
    assert "START_OF_TRACE" not in asked
    assert model.requests[0].temperature == Narrating().temperature


def test_notes_hold_what_changes_and_only_that():
    source = (
        "def f(xs):\n    for x in xs:\n        try:\n            y = 1 // x\n        except ZeroDivisionError as e:\n"
        "            y = 0\n    return g(y)\n\n\ndef g(z):\n    raise KeyError(z)\n"
    )
    trace = next(record_many([(source, "f([0])")], trusted=True)).trace
    assert notes_of(trace).split("\n") == [
        "call def main():",
        "    return f([0])",
        "    call def f(xs):   with xs = [0]",
        "        for x in xs:",
        "        (now x = 0)",
        "        try:",
        "        y = 1 // x",
        "        raises ZeroDivisionError('integer division or modulo by zero')",
        "        except ZeroDivisionError as e:",
        "        (now e = ZeroDivisionError('integer division or modulo by zero'))",
        "        y = 0",
        "        (now y = 0, e is gone)",
        "        for x in xs:",
        "        return g(y)",
        "        call def g(z):   with z = 0",
        "            raise KeyError(z)",
        "            raises KeyError(0)",
        "        left by the exception",
        "        raises KeyError(0)",
        "    left by the exception",
        "    raises KeyError(0)",
        "left by the exception",
    ]


def test_a_reply_with_the_right_output_is_kept(double):
    pair = reply_to(double, GOOD)
    assert isinstance(pair, Pair)
    assert pair.completion == GOOD
    assert "What does `double([3, 4])` return?" in pair.prompt
    assert "notes" not in pair.prompt


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("<think>hm, notes\nANSWER: 3</think>It doubles.\n\n**ANSWER:** `[3,4,3,4]`", "It doubles."),
        ("It doubles.\nANSWER: 7\nNo: ANSWER: [3, 4, 3, 4]", "It doubles.\nANSWER: 7\nNo:"),
    ],
)
def test_the_answer_is_written_as_it_really_is(double, reply, kept):
    assert reply_to(double, reply).completion == f"{kept}\n\nANSWER: [3, 4, 3, 4]"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("It doubles.\n\nANSWER: [3, 4]", "wrong answer"),
        ("It doubles.\n\nANSWER: (3, 4, 3, 4)", "wrong answer"),
        ("It doubles.\n\nANSWER: [3.0, 4, 3, 4]", "wrong answer"),
        ("It doubles.\n\nANSWER: x + x", "wrong answer"),
        ("It doubles.", "no answer"),
        ("ANSWER: [3, 4, 3, 4]", "no explanation"),
        ("As the notes show, it doubles.\n\nANSWER: [3, 4, 3, 4]", "mentions what it was given"),
        ("<explanation>It doubles.</explanation>\n\nANSWER: [3, 4, 3, 4]", "mentions what it was given"),
        (Completion(tokens=(), text="It doub", finish="length"), "cut off"),
        (Completion(tokens=(), text="", finish="failed", error="status 400"), "server failed"),
    ],
)
def test_a_reply_that_cannot_be_believed_is_left_out(double, reply, reason):
    assert reply_to(double, reply) == Left(reason)


def test_what_has_no_checkable_output_is_not_asked_about(traces):
    model = ScriptedModel([])
    assert tell(model, traces[1:3]) == [Left("did not return"), Left("no literal output")]
    assert model.requests == []


def test_long_notes_are_not_told(double):
    assert request_for(double, Narrating(max_note_chars=10)) == Left("too long")
    with pytest.raises(ConfigError, match="max_tokens is 0"):
        Narrating(max_tokens=0)


def test_a_real_server_narrates(double, chat_server):
    url, asked = chat_server(lambda message: GOOD if "double" in message else "?")
    pairs = tell(ServerModel(url, "teller"), [double, double])
    assert [pair.completion for pair in pairs] == [GOOD, GOOD]
    assert [body["model"] for body in asked] == ["teller", "teller"]
    assert asked[0]["messages"][0]["role"] == "system"


def test_a_server_that_is_not_there_is_said_once(double):
    model = ServerModel("http://127.0.0.1:9", "teller", sleep=lambda seconds: None)
    with pytest.raises(ProviderError, match="did not answer"):
        tell(model, [double, double])

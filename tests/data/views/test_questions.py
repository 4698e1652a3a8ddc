"""Prompts, the form of answers, and what counts as right."""

import pytest

from opencwm.data.views.questions import (
    answer_in,
    input_question,
    is_literal,
    is_right_output,
    output_question,
    output_question_in_words,
    returns,
)

CODE = "def f(a):\n    return a * 2\n"


def test_a_question_holds_the_program_the_task_and_the_form():
    prompt = output_question(CODE, "f(777111)", steps=True)
    assert CODE.strip() in prompt
    assert "`f(777111)`" in prompt
    assert "line by line" in prompt
    assert prompt.endswith("ANSWER: <the returned value as a Python literal>")
    short = output_question(CODE, "f(777111)", steps=False)
    assert "line by line" not in short
    assert "nothing else" in short


def test_an_input_is_asked_for_by_its_output():
    prompt = input_question(CODE, "f", "1554222", steps=False)
    assert "`1554222`" in prompt
    assert prompt.endswith("ANSWER: f(<the arguments>)")


def test_arguments_are_told_in_words_where_there_is_no_call():
    assert "`f` return when it is called with `a` = `3` and `b` = `'x'`?" in output_question_in_words(
        CODE, "f", [("a", "3"), ("b", "'x'")], steps=True
    )
    assert "when it is called?" in output_question_in_words(CODE, "f", [], steps=True)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("So.\n\nANSWER: [3, 1]", "[3, 1]"),
        ("ANSWER: 1\nno, wait\n**ANSWER:** `[3, 1]`\n", "[3, 1]"),
        ("ANSWER: _hidden(3)", "_hidden(3)"),
        ("ANSWER: 'ANSWER: 3'", "'ANSWER: 3'"),
        ("the answer is 4", None),
        ("ANSWER:", None),
    ],
)
def test_the_last_answer_counts(reply, answer):
    assert answer_in(reply) == answer


@pytest.mark.parametrize(
    ("text", "known"),
    [("[1, 'a', (None, {2: {3.5}})]", True), ("<function f>", False), ("[1, ...(+3)]", False), ("'abc'...(+4)", False)],
)
def test_what_is_cut_or_has_no_literal_is_none(text, known):
    assert is_literal(text) == known


def test_outputs_are_compared_with_their_types():
    assert is_right_output("[1,   2]", "[1, 2]")
    assert not is_right_output("[1.0, 2]", "[1, 2]")
    assert not is_right_output("True", "1")
    assert not is_right_output("<f>", "<f>")


def test_inputs_are_judged_by_running_them():
    calls = [
        (CODE, "f(3)", "6"),
        (CODE, "f('ab')", "'abab'"),
        (CODE, "f(2)", "6"),
        (CODE, "f(", "6"),
        (CODE, "x = 3", "6"),
        (CODE, "f()", "6"),
        (CODE, "f(1 + 2)", "6"),
        ("def f(a):\n    while a:\n        pass\n", "f(1)", "6"),
        ("def f(a):\n    return [a] * 300\n", "f(7)", repr([7] * 300)),
    ]
    assert returns(calls, trusted=True) == [True, True, False, False, False, False, True, False, True]

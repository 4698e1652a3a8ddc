"""Judging what models wrote: literals without running anything, the rest in the sandbox, nobody trusted."""

import pytest

from opencwm.errors import ConfigError
from opencwm.evals.judge import Claim, at_once, judge
from opencwm.sandbox import NamespaceSandbox
from opencwm.sandbox.kernel import Kernel

SANDBOX = NamespaceSandbox()
SETUP = "def f(x):\n    return [x, x]"


class NoSandbox:
    """Judging that comes here has failed the test."""

    def run(self, *args, **kwargs):
        raise AssertionError("a literal was run")


@pytest.fixture
def isolated():
    if not SANDBOX.enforced().is_isolated:
        pytest.skip(f"this machine cannot isolate: {SANDBOX.enforced().sentence}")


def verdicts(*answers: str, expected: str = "[1, 1]", setup: str = SETUP) -> list[str]:
    claims = [Claim(setup=setup, expected=expected, answer=answer) for answer in answers]
    return judge(claims, SANDBOX, cpu_s=0.3)


@pytest.mark.parametrize(
    ("expected", "answer", "verdict"),
    [
        ("[1, 1]", "[1, 1]", "right"),
        ("[1, 1]", "[ 1,1, ]  # so", "right"),
        ("[1, 1]", "[1, 1.0]", "right"),
        ("[1, 1]", "[1]", "wrong"),
        ("[1, 1]", "[1, 1], 'but why'", "right"),
        ("{'a': {1, 2}}", "{'a': {2, 1}}", "right"),
        ("set()", "set()", "right"),
        ("'a'", "a'", "malformed"),
        ("'a'", "'a' is the answer", "malformed"),
        ("'\\\\d'", "'\\d'", "right"),
        ("1", "", "malformed"),
        ("1", "\0", "malformed"),
        ("1", "(" * 1000 + ")" * 1000, "malformed"),
        ("1", "9" * 5000, "malformed"),
        ("-1", "-1", "right"),
    ],
)
def test_literals_are_judged_without_running_anything(expected, answer, verdict):
    assert judge([Claim(setup=SETUP, expected=expected, answer=answer)], NoSandbox()) == [verdict]


def test_what_python_would_assert_is_what_we_say():
    """The verdict on a literal is that of the assertion itself."""
    for expected in ("1", "'x'", "[1, 2]", "None", "True"):
        for answer in ("1", "1.0", "True", "'x'", "[1, 2]", "(1, 2)", "None", "[1, 2], 3"):
            try:
                exec(f"assert {expected} == {answer}")
                truth = "right"
            except AssertionError:
                truth = "wrong"
            assert judge([Claim(setup="", expected=expected, answer=answer)], NoSandbox()) == [truth]


def test_calls_and_other_expressions_run(isolated):
    assert verdicts("f(1)", "f(2)", "[1] * 2", "f(g)", "f(1) and f(1)", "f(1) == [1, 1]") == [
        *("right", "wrong", "right", "wrong", "right", "right")
    ]
    assert verdicts("__import__('collections').Counter('aab')", expected="{'a': 2, 'b': 1}") == ["right"]


def test_same_claims_are_judged_once_and_answered_in_order(isolated):
    assert verdicts("f(1)", "f(2)", "f(1)", "[1, 1]", "f(2)") == ["right", "wrong", "right", "right", "wrong"]
    assert verdicts() == []


def test_endless_sleeping_dying_and_leaving_answers_are_wrong_and_spoil_nothing_else(isolated):
    loop = "f([x for x in iter(int, 1)])"
    leave, die = "exit()", "__import__('os').abort()"
    deep = "(lambda g: g(g))(lambda g: g(g))"
    bomb = "bytearray(1 << 40)"
    answers = ("f(1)", loop, leave, die, deep, bomb, "f(1)")
    assert verdicts(*answers) == ["right", "wrong", "wrong", "wrong", "wrong", "wrong", "right"]


def test_an_answer_that_kills_the_judge_is_wrong_and_the_others_are_judged(isolated):
    kill = "__import__('os').kill(__import__('os').getppid(), 9)"
    everybody = "__import__('os').kill(-1, 9)"
    assert verdicts("f(1)", kill, "f(2)", everybody, "f(1)") == ["right", "wrong", "wrong", "wrong", "right"]


def test_an_answer_cannot_speak_for_others_or_fake_its_value_by_printing(isolated):
    lie = '{"ended": "value", "text": "[1, 1]", "equal": true, "job": 1}\n'
    flood = f"[__import__('os').write(fd, {lie.encode()!r} * 3) for fd in (1, 2)]"
    printed = f"[print({lie!r}), 1][1:]"
    files = "[open('jobs.json', 'w').write('')]"
    assert verdicts(flood, printed, files, "f(2)", "f(1)") == ["wrong", "wrong", "wrong", "wrong", "right"]


def test_what_is_no_value_of_the_asked_kind_is_wrong(isolated):
    assert verdicts("f", "print", "iter([1, 1])") == ["wrong"] * 3


def test_garbage_from_a_job_is_its_death_and_nobody_elses(isolated):
    speak = "[1, 1]\nimport os\nfor fd in range(3, 30):\n    try: os.write(fd, {!r})\n    except OSError: pass"
    said = (b"garbage\n", b'{"ended": "value"}\n', b"[]\n", b'{"ended": "raised", "text": [1]}\n')
    assert verdicts(*(speak.format(text) for text in said), "f(1)") == [*["wrong"] * len(said), "right"]


def test_a_value_that_claims_to_equal_everything_is_compared_by_its_text(isolated):
    liar = "type('L', (), {'__eq__': lambda a, b: True, '__repr__': lambda a: '[2]'})()"
    assert verdicts(liar) == ["wrong"]


def test_what_has_to_run_is_refused_where_it_cannot_be_isolated():
    kernel = Kernel(is_root=False, refused={"network": "not here"})
    with pytest.raises(ConfigError, match="network not isolated"):
        judge([Claim(setup=SETUP, expected="1", answer="f(1)")], NamespaceSandbox(probe=lambda: kernel))


def test_only_more_than_one_expression_is_left_to_the_childs_own_word():
    assert "statement" in at_once(Claim(setup="", expected="1", answer="1 == 1"))
    assert "statement" in at_once(Claim(setup="", expected="1", answer="1\nx = 2"))
    assert "expression" in at_once(Claim(setup="", expected="1", answer="f(1)"))


def test_calls_that_share_a_process_cannot_spoil_each_other(isolated):
    """Each starts from a setup of its own, and one that hangs or dies does so alone."""
    counting = "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)"
    assert verdicts("f(1)", "f(2)", "f(x=3)", expected="1", setup=counting) == ["right"] * 3
    moody = (
        "import os\ndef f(x):\n    while x == 'hang': pass\n    if x == 'die': os._exit(0)\n"
        "    if x == 'raise': raise ValueError\n    return 1"
    )
    answers = ("f(1)", "f('hang')", "f(2)", "f('die')", "f('raise')", "f(3)")
    found = verdicts(*answers, expected="1", setup=moody)
    assert found == ["right", "wrong", "right", "wrong", "wrong", "right"]


@pytest.mark.parametrize(
    ("answer", "is_shared"),
    [
        ("f(1, [2], k={'a': (3,)})", True),
        ("f()", True),
        ("f(-1)", True),
        ("f(x)", False),
        ("f(f(1))", False),
        ("f(*[1])", False),
        ("exec('x')", False),
        ("g(1)", False),
        ("f(1)(2)", False),
        ("[f(1)]", False),
    ],
)
def test_only_the_setups_own_function_on_literals_shares_a_process(answer, is_shared):
    assert ("shares" in at_once(Claim(setup=SETUP, expected="1", answer=answer))) == is_shared

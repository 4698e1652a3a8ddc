import pytest

from opencwm.data.asked_inputs import ask_for_calls, calls_in
from opencwm.fakes import ScriptedModel, last_message
from opencwm.protocols import Completion
from opencwm.provider import ServerModel

SOURCE = "def f(x, y=0):\n    return x + y\n"
ANSWER = """Here are calls:
```python
f(1)
f( 1 )
f([1, 2], y={'a': -1})  # a dict
print(f(2))
x = f(3)
f(x)
f(open('/etc/passwd'))
f(*[1])
f(**{'x': 1})
g(1)
f()
f(
f(set())
```
"""


def test_only_literal_calls_of_the_function_count():
    assert calls_in(ANSWER, "f") == ["f(1)", "f([1, 2], y={'a': -1})", "f(set())"]


def test_an_answer_without_a_block_is_read_by_lines():
    assert calls_in("f(1)\nand f(2)\nf(3)", "f") == ["f(1)", "f(3)"]


@pytest.mark.parametrize(
    ("line", "is_one"),
    [("C(1).m(2)", True), ("C().m(2)", True), ("C(1)", True), ("C(1).m(2).n(3)", False), ("C.m(2)", False)],
)
def test_methods_are_called_on_objects_that_are_made_in_place(line, is_one):
    assert calls_in(line, "C") == ([line] if is_one else [])


def test_each_function_gets_its_own_calls():
    failed = Completion(tokens=(), text="", finish="failed", error="status 500")
    model = ScriptedModel([ANSWER, "```\ng(1)\ng(2)\ng(3)\n```", failed])
    calls = ask_for_calls([(SOURCE, "f"), ("def g(x): ...\n", "g"), (SOURCE, "f")], model, count=2, seed=5)
    assert calls == [["f(1)", "f([1, 2], y={'a': -1})"], ["g(1)", "g(2)"], []]
    assert SOURCE in last_message(model.requests[0])
    assert "2 calls of `f`" in last_message(model.requests[0])
    assert {request.seed for request in model.requests} == {5}


def test_an_openai_compatible_server_is_asked(chat_server):
    url, asked = chat_server(lambda message: "f(7)" if "def f" in message else "")
    assert ask_for_calls([(SOURCE, "f")], ServerModel(url, "m"), count=8) == [["f(7)"]]
    assert asked[0]["model"] == "m"

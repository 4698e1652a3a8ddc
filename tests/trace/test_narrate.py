"""What the narrator says against what the trace shows, on generated programs and on constructs one by one."""

import ast
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencwm.data.programs import generate
from opencwm.data.record import record_many
from opencwm.errors import ConfigError
from opencwm.trace.narrate import Detail, narrate
from opencwm.trace.narrate.prose import code, spans
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.recording.options import Options
from opencwm.trace.text import parse_text, render_text
from opencwm.trace.view import output_of, view

NUM_PROGRAMS = 60
TRUTH = re.compile(r"(`+.+?`+) (is true|holds|is false|does not hold|counts as true|counts as false)")
STATED = re.compile(r"`([A-Za-z_]\w*)` (?:=|is) `([^`]+)`")


def recorded(*programs, **options):
    results = list(record_many(programs, options=Options(**options), trusted=True))
    assert all(result.trace for result in results), [result.cause for result in results]
    return [result.trace for result in results]


@pytest.fixture(scope="module")
def generated():
    programs = [generate(seed) for seed in range(NUM_PROGRAMS)]
    return recorded(*((program.source, program.call) for program in programs))


def told(source, call, *, seed=0, detail=None, **options):
    return narrate(recorded((source, call), **options)[0], seed=seed, detail=detail)


def states_of(trace):
    return [frame.locals if frame.locals is not None else frame.value for frame in view(trace).frames]


def check_facts(trace, narration):
    """Every value comes from the state it is said to come from, and stands in its sentence."""
    states = states_of(trace)
    for sentence in narration.sentences:
        in_text = spans(sentence.text)
        for fact in sentence.facts:
            real = states[fact.frame] if fact.name is None else states[fact.frame][fact.name]
            assert (fact.text == real) if fact.whole else (real.startswith(fact.text) and len(fact.text) < len(real))
            assert fact.text in in_text, (fact, sentence.text)
            assert fact.name is None or fact.name in narration.text


def check_spans(trace, narration):
    """All else in backticks is the program's own text; what reads like a value of a variable is a fact."""
    program = "".join(trace.context.split())
    for sentence in narration.sentences:
        facts = {fact.text for fact in sentence.facts}
        for span in spans(sentence.text):
            own = span in facts or "".join(span.split()) in program or span.split(".")[-1] in program
            assert own or span.startswith("except ") or same_code(span, trace.context), (span, sentence.text)
        for name, value in STATED.findall(sentence.text):
            known = any(fact.name == name and fact.text == value for fact in sentence.facts)
            assert known or value in trace.context, sentence.text


def same_code(span, context):
    """Something that the program writes over several lines."""
    wanted = ast.dump(ast.parse(span))[len("Module(body=[") :][:60]
    return wanted[:40] in ast.dump(ast.parse(context))


def test_every_value_is_the_one_of_its_state(generated):
    for number, trace in enumerate(generated):
        narration = narrate(trace, seed=number)
        assert narration.facts
        check_facts(trace, narration)
        check_spans(trace, narration)


def test_every_condition_is_what_it_evaluates_to(generated):
    """Truth is read off the branch that ran; here it is computed from the state instead."""
    num_checked = 0
    for number, trace in enumerate(generated):
        states = states_of(trace)
        for sentence in narrate(trace, seed=number, detail=Detail(iterations=None)).sentences:
            found = TRUTH.search(sentence.text)
            if found is None or sentence.frame is None or not isinstance(states[sentence.frame], dict):
                continue
            try:
                names = {name: ast.literal_eval(text) for name, text in states[sentence.frame].items()}
                value = eval(spans(found.group(1))[-1], {}, names)  # our own generator's expressions
            except (ValueError, SyntaxError, NameError):
                continue  # calls one of the program's functions, or reads what has no literal
            assert bool(value) == (found.group(2) in ("is true", "holds", "counts as true")), sentence.text
            num_checked += 1
    assert num_checked > 150


def test_it_ends_with_the_output(generated):
    for trace in generated:
        narration = narrate(trace)
        kind, text = output_of(view(trace).frames)
        assert narration.answer == (text if kind == "returned" else None)
        shown = text if len(text) <= Detail().max_value_chars else text[: Detail().max_value_chars]
        assert spans(narration.text.rpartition("\n\n")[2])[-1] == shown


def test_the_seed_chooses_the_words_only(generated):
    trace = max(generated, key=lambda trace: len(trace.frames))
    texts = {narrate(trace, seed=seed).text for seed in range(5)}
    assert len(texts) == 5
    assert narrate(trace, seed=3).text == narrate(trace, seed=3).text
    frames = [{fact.frame for fact in narrate(trace, seed=seed).facts if fact.name is None} for seed in range(5)]
    assert all(each == frames[0] for each in frames)


def test_a_tighter_budget_tells_less_and_stays_true(generated):
    longest = sorted(generated, key=lambda trace: -len(trace.frames))[:20]
    for trace in longest:
        whole = narrate(trace, detail=Detail(iterations=None))
        for max_chars in (2000, 900):
            told = narrate(trace, detail=Detail(iterations=None, max_chars=max_chars))
            assert len(told.text) <= max(max_chars, len(narrate(trace, detail=told.detail.tighter()[-1]).text))
            assert len(told.text) <= len(whole.text)
            check_facts(trace, told)


def test_a_told_prediction_needs_no_line_numbers(generated):
    for trace in generated[:20]:
        parsed = parse_text(render_text(trace))
        check_facts(parsed, narrate(parsed))


LOOP = """
def f(n):
    total = 0
    for i in range(n):
        if i == 7:
            total -= 100
        total += i
    return total
"""


def test_iterations_like_the_ones_told_are_told_together():
    text = told(LOOP, "f(12)").text
    together = re.findall(r"(?:next|this repeats|repeats)? ?(\d+) (?:more )?(?:iterations|times)", text)
    assert together == ["5", "4"]  # 0 and 1 are told, 2 to 6 together; 7 takes a new branch; 8 to 11 together
    assert "`i` takes the values `2`, `3`, `4`, `5` and `6`" in text
    assert "`total` takes the values `3`, `6`, `10`, `15` and `21`" in text
    assert "`i` takes the values `8`, `9`, `10` and `11`" in text


def test_all_iterations_are_told_where_that_is_asked_for():
    text = told(LOOP, "f(12)", detail=Detail(iterations=None)).text
    assert "iterations" not in text
    assert all(f"`i` {verb} `{i}`" in text or f"`i` = `{i}`" in text for i in range(12) for verb in ["is"])


def test_calls_are_told_from_inside_only_as_deep_as_asked():
    source = "def g(x):\n    y = x * 2\n    return y\n\n\ndef f(x):\n    return g(x) + 1\n"
    assert "`y`" in told(source, "f(3)").text
    shallow = told(source, "f(3)", detail=Detail(depth=0)).text
    assert "`y`" not in shallow
    assert re.search(r"`g` is called with `x` = `3`(, which gives| and returns) `6`", shallow)


CONSTRUCTS = {
    "an exception that is caught": (
        "def f(x):\n    try:\n        y = 1 // x\n    except KeyError:\n        y = 1\n"
        "    except ZeroDivisionError as e:\n        y = 2\n    return y\n",
        "f(0)",
        ["ZeroDivisionError('integer division or modulo by zero')", "`except KeyError` does not match", "`e`"],
    ),
    "an exception that is not": (
        "def f(x):\n    return x[0]\n",
        "f([])",
        ["`IndexError('list index out of range')`", "`f([])`"],
    ),
    "a generator": (
        "def g(n):\n    while True:\n        yield n\n        n += 1\n\n\ndef f():\n    for x in g(3):\n"
        "        if x > 4:\n            break\n    return x\n",
        "f()",
        ["yields `3`", "yields `5`", "`break`"],
    ),
    "a method": (
        "class Box:\n    def __init__(self, x):\n        self.x = x\n        self.y = 0\n\n\n"
        "def f():\n    b = Box(3)\n    return b.x\n",
        "f()",
        ["`Box.__init__`", "`<Box x=3 y=0>`"],
    ),
    "an empty loop": ("def f(xs):\n    for x in xs:\n        pass\n    return 1\n", "f([])", ["never runs"]),
    "a loop that does not start": (
        "def f(n):\n    while n > 0:\n        n -= 1\n    return n\n",
        "f(0)",
        ["does not start"],
    ),
    "else": (
        "def f(x):\n    if x > 1:\n        y = 1\n    else:\n        y = 2\n    return y\n",
        "f(0)",
        ["`else` branch"],
    ),
    "elif": (
        "def f(x):\n    if x > 1:\n        y = 1\n    elif x > 0:\n        y = 2\n    else:\n        y = 3\n"
        "    return y\n",
        "f(1)",
        ["the next condition is tried", "`x > 0`"],
    ),
    "match": (
        'def f(x):\n    match x:\n        case "a":\n            y = 1\n        case [p, *_]:\n            y = p\n'
        "    return y\n",
        "f([5, 6])",
        ['`case "a"` does not match', "`p`", "`5`"],
    ),
    "with": (
        "class C:\n    def __enter__(self):\n        return 5\n\n    def __exit__(self, *a):\n        pass\n\n\n"
        "def f():\n    with C() as c:\n        d = c\n    return d\n",
        "f()",
        ["block of `C()` is entered", "block of `C()` is left"],
    ),
    "a return that finally holds up": (
        "def f():\n    x = 1\n    try:\n        return x\n    finally:\n        x = 2\n",
        "f()",
        ["before `f` can return", "returns `1`"],
    ),
    "a lambda": (
        "def f(xs):\n    return sorted(xs, key=lambda x: -x)\n",
        "f([1, 2])",
        ["the lambda", "`x` = `1`", "`-2`"],
    ),
    "recursion": (
        "def f(n):\n    if n < 2:\n        return 1\n    return n * f(n - 1)\n",
        "f(3)",
        ["call of `f` with `n` = `2`", "`6`"],
    ),
    "a condition over several lines": (
        "def f(x):\n    if (\n        x > 1\n        and x < 100\n    ):\n        return 1\n    return 2\n",
        "f(4)",
        ["is true", "returns `1`"],
    ),
    "waiting": (
        "class Pause:\n    def __await__(self):\n        return (yield 3)\n\n\n"
        "async def g(n):\n    for i in range(n):\n        await Pause()\n        yield i\n\n\n"
        "async def h():\n    async for i in g(2):\n        j = i\n    return j\n\n\n"
        "def f():\n    c, n = h(), 0\n    while True:\n        try:\n            c.send(None)\n            n += 1\n"
        "        except StopIteration as e:\n            return n, e.value\n",
        "f()",
        ["has to wait here", "`Pause.__await__` yields `3`", "`(2, 1)`"],
    ),
    "del": ("def f(x):\n    y = x\n    del x\n    return y\n", "f(1)", ["removes `x`"]),
    "backticks": ("def f(x):\n    y = x + x\n    return y\n", "f('`')", ["```'``'```"]),
    "nothing recorded": ("", "sorted([2, 1])", ["`[1, 2]`"]),
    "a wrong call": ("def f(a):\n    return a\n", "f()", ["TypeError"]),
}


@pytest.fixture(scope="module")
def constructs():
    return dict(zip(CONSTRUCTS, recorded(*((source, call) for source, call, _ in CONSTRUCTS.values())), strict=True))


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_what_is_said_about(name, constructs):
    for seed in range(4):
        narration = narrate(constructs[name], seed=seed)
        check_facts(constructs[name], narration)
        missing = [text for text in CONSTRUCTS[name][2] if text.lower() not in narration.text.lower()]
        assert missing == [], narration.text


def test_a_loop_that_waits_is_not_told_to_be_over(constructs):
    """`async for` stands at its header, without a body, whenever it waits."""
    text = narrate(constructs["waiting"], seed=2).text
    assert "never runs" not in text
    assert re.findall(r"raises `(Stop\w+\(.*?\))`", text) == [
        "StopIteration(1)"
    ]  # of `send`; the others hand over results
    assert len(re.findall("nothing left|the last one|loop is done", text)) == 2  # of `range(n)` and of `g(2)`


def test_a_stopped_execution_is_not_told_to_its_end():
    narration = told("def f():\n    i = 0\n    while True:\n        i += 1\n", "f()", max_frames=100)
    assert narration.answer is None
    assert "was stopped here" in narration.text
    assert "`i`" in narration.text


def test_a_module_has_no_answer():
    source = "x = 3\nfor i in range(2):\n    x += i\n"
    narration = told(source, None)
    assert narration.answer is None
    assert {"x", "4"} <= set(spans(narration.text))
    assert "program" in narration.text.rpartition("\n\n")[2]


def test_a_function_level_trace_begins_and_ends_with_its_function():
    frames = [
        Frame("call", 0, "a.py", 1, "def f(a):", locals=Locals({"a": "3"})),
        Frame("line", 0, "a.py", 2, "    return g(a)", locals=Locals({})),
        Frame("call", 1, "b.py", 9, "def g(x):", locals=Locals({"x": "3"})),
        Frame("return", 1, "b.py", 11, "    return y", value="4"),  # stepped over
        Frame("return", 0, "a.py", 2, "    return g(a)", value="4"),
    ]
    context = "\n# a.py\ndef f(a):  # << START_OF_TRACE\n    return g(a)\n\n# b.py\ndef g(x): ...\n"
    narration = narrate(Trace({"context": context, "outcome": "returned", "entry": "f"}, frames))
    assert re.search(r"`f` (is called )?with `a` = `3`", narration.text)
    assert re.search(r"`g` (is called |is entered )?with `x` = `3`", narration.text)
    assert "the call of `f`" in narration.text.rpartition(". ")[2]
    assert narration.answer == "4"


def test_a_source_that_begins_with_empty_lines_keeps_its_statements():
    plain, shifted = told(LOOP, "f(3)"), told("\n\n\n" + LOOP + "\n", "f(3)")
    assert shifted.text == plain.text


def test_deep_recursion_is_told():
    source = "def f(n):\n    if n == 0:\n        return 0\n    return 1 + f(n - 1)\n"
    narration = told(source, "f(300)")
    assert narration.answer == "300"


@given(st.data())
@settings(max_examples=60)
def test_any_trace_can_be_told(any_traces, data):
    trace = data.draw(any_traces)
    narration = narrate(trace, seed=1)
    states = states_of(trace)
    for fact in narration.facts:
        real = states[fact.frame] if fact.name is None else states[fact.frame][fact.name]
        assert real.startswith(fact.text)


@given(st.text(min_size=1).filter(lambda text: "\n" not in text))
def test_code_in_backticks_reads_back(text):
    assert spans(f"before {code(text)}, after") == [text]


@pytest.mark.parametrize("bad", [{"iterations": 0}, {"depth": -1}, {"max_chars": 0}, {"max_value_chars": 3}])
def test_a_bad_detail_is_refused(bad):
    with pytest.raises(ConfigError, match="must be at least"):
        Detail(**bad)


def test_choices_do_not_touch_the_global_generator(generated):
    random.seed(5)
    expected = random.Random(5).random()
    narrate(generated[0])
    assert random.random() == expected

"""CRUXEval: the published verdicts again, and each mode with a model that follows a script."""

from pathlib import Path

import pytest

from opencwm.errors import ConfigError, DataError
from opencwm.evals import cruxeval
from opencwm.evals.cruxeval import Item, evaluate
from opencwm.evals.cruxeval_scoring import load_items, load_published, mean_pass_at_1, pass_at_k, rescore, score
from opencwm.fakes import ScriptedModel, last_message
from opencwm.protocols import Completion
from opencwm.sandbox import NamespaceSandbox
from opencwm.tokenizer import Tokenizer
from opencwm.trace.compare import Outcome
from opencwm.trace.recording.frame import Frame, Locals
from opencwm.trace.recording.recorder import record_source
from opencwm.trace.stream import Special, Stack
from opencwm.trace.tokens import render_frame

DATA = Path(__file__).parent.parent / "data" / "cruxeval"
SANDBOX = NamespaceSandbox()
ITEM = Item(id="one", code="def f(a):\n    return a + [1]", input="[3]", output="[3, 1]")
TWO = [ITEM, Item(id="two", code="def f(s):\n    return s * 2", input="'ab'", output="'abab'")]


@pytest.fixture(scope="module")
def items():
    return load_items(DATA / "cruxeval_0_199.jsonl")


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train([cruxeval.context_of(ITEM)] * 5, 400)


@pytest.fixture
def isolated():
    if not SANDBOX.enforced().is_isolated:
        pytest.skip(f"this machine cannot isolate: {SANDBOX.enforced().sentence}")


# ---- items and scores


def test_the_200_items_are_read(items):
    assert [item.id for item in items] == [f"sample_{number}" for number in range(200)]
    assert all("def f(" in item.code and item.output for item in items)


def test_the_true_answers_are_right(items, isolated):
    assert score(items, [[item.output] for item in items], "output", SANDBOX) == [["right"]] * 200
    assert score(items, [[f"f({item.input})"] for item in items], "input", SANDBOX) == [["right"]] * 200


def test_every_published_verdict_comes_out_again(items, isolated):
    runs = load_published(DATA / "published_generations_0_199.jsonl.gz")
    assert [(run.model, run.direction) for run in runs] == [
        (model, direction)
        for model in ("codellama-7b", "deepseek-base-6.7b", "gpt-4o+cot")
        for direction in ("input", "output")
    ]
    for run in runs:
        assert rescore(run, items, SANDBOX, cpu_s=0.3) == list(run.scored), run.model


def test_answers_without_the_asked_form_are_malformed(isolated):
    assert score([ITEM], [["f([3])", "[3, 1]"]], "output", SANDBOX) == [["malformed", "right"]]
    assert score([ITEM], [["f([3])", "[3, 1]"]], "input", SANDBOX) == [["right", "malformed"]]


def test_pass_at_k_is_the_chance_of_a_right_one_among_k():
    assert pass_at_k(10, 3, 1) == pytest.approx(0.3)
    assert pass_at_k(4, 2, 2) == pytest.approx(1 - 1 / 6)
    assert (pass_at_k(5, 0, 3), pass_at_k(5, 5, 1), pass_at_k(5, 4, 2)) == (0.0, 1.0, 1.0)
    assert mean_pass_at_1(["11", "10", "0", ""]) == pytest.approx(0.5)


@pytest.mark.parametrize("text", ["{", '{"code": "x"}', "[1]", ""])
def test_a_file_of_something_else_gets_a_sentence(tmp_path, text):
    path = tmp_path / "items.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=r"items\.jsonl"):
        load_items(path)
    with pytest.raises(ConfigError, match="there is no file"):
        load_items(tmp_path / "absent")
    if text:
        with pytest.raises(DataError, match=r"items\.jsonl, line 1"):
            load_published(path)


# ---- prompts


def test_the_worked_examples_hold():
    for code, given, result in cruxeval.SHOTS:
        exec(f"{code}\nassert {result} == f({given})", {})


def test_no_worked_example_is_an_item(items):
    shots = {code.replace(" ", "") for code, _, _ in cruxeval.SHOTS}
    assert not shots & {item.code.replace(" ", "") for item in items}


@pytest.mark.parametrize("direction", ["output", "input"])
def test_prompts_never_hold_the_answer(direction):
    item = Item(id="x", code="def f(a):\n    return a * 2", input="777111", output="1554222")
    secret = item.output if direction == "output" else item.input
    assert secret not in cruxeval.direct_prompt(item, direction)
    (message,) = cruxeval.reasoning_prompt(item, direction)
    assert secret not in message.content
    assert item.code in message.content


def test_a_direct_prompt_with_its_answer_is_a_program_that_runs(items):
    for item in items[:20]:
        exec(cruxeval.direct_prompt(item, "output") + " " + item.output, {})
        exec(cruxeval.direct_prompt(item, "input") + item.input + ")", {})


@pytest.mark.parametrize(
    ("direction", "text", "answer"),
    [
        ("output", "So it is.\n\nANSWER: [3, 1]", "[3, 1]"),
        ("output", "ANSWER: 1\nno, wait\n**ANSWER:** `[3, 1]`\n", "[3, 1]"),
        ("output", "ANSWER: **{'a': 1}**", "{'a': 1}"),
        ("output", "the answer is 4", None),
        ("output", "ANSWER:", None),
        ("input", "ANSWER: f([3], b=2)", "f([3], b=2)"),
    ],
)
def test_answers_are_found_in_reasoning(direction, text, answer):
    assert cruxeval.language_answer("reasoning", direction, text) == answer


def test_a_direct_answer_is_one_line():
    assert cruxeval.language_answer("direct", "output", " [3, 1]\ndef g") == "[3, 1]"
    assert cruxeval.language_answer("direct", "input", "[3])") == "f([3])"
    assert cruxeval.language_answer("direct", "output", "  \n") is None


TRACE_PROMPT = (
    "<|begin_of_text|><|trace_context_start|>\ndef f(a):\n    return a + [1]\n\n"
    "def main():  # << START_OF_TRACE\n    return f([3])\n<|frame_sep|>"
    "<|call_sep|>{}<|action_sep|>def main():\n<|frame_sep|>"
)


def test_a_trace_prompt_ends_where_the_model_goes_on(tokenizer):
    options = {"grammar": None, "max_tokens": 9}
    for one_shot, end in ((False, ""), (True, "<|return_sep|>")):
        ids = cruxeval.trace_request(ITEM, tokenizer, one_shot=one_shot, **options)
        text = cruxeval.trace_request(ITEM, None, one_shot=one_shot, **options)
        assert tokenizer.decode(list(ids.prompt)) == text.prompt == TRACE_PROMPT + end
        names = {name for name, number in tokenizer.special.items() if number in ids.stop_ids}
        assert names == {text[2:-2] for text in text.stop_texts}
        assert names == {"end_of_text"} | ({"frame_sep"} if one_shot else set())


def test_the_context_is_the_one_that_the_recorder_writes(items):
    for item in items[:20]:
        trace = record_source(item.code + "\n", call=f"f({item.input})")
        assert trace.context == cruxeval.context_of(item)
        assert trace.frames[0].source_line == cruxeval.ENTRY.source_line


# ---- runs


def frames_of(item: Item, value: str) -> list[Frame]:
    """A trace of the right form that says that f returned `value`; the entry's call is given."""
    call = f"    return f({item.input})"
    where = {"file": "", "line_no": 0}
    return [
        Frame(event="line", depth=0, source_line=call, locals=Locals({}), **where),
        Frame(event="call", depth=1, source_line=item.code.split("\n")[0], locals=Locals({"a": "0"}), **where),
        Frame(event="return", depth=1, source_line=item.code.split("\n")[1], value=value, **where),
        Frame(event="return", depth=0, source_line=call, value=value, **where),
    ]


def trace_tokens(item: Item, value: str, tokenizer: Tokenizer, *, one_shot: bool) -> tuple[int, ...]:
    stack = Stack()
    stack.apply(Frame(event="call", depth=0, file="", line_no=0, source_line="def main():", locals=Locals({})))
    frames = frames_of(item, value)
    if one_shot:
        return tuple(render_frame(frames[-1], stack, tokenizer)[1:])
    ids = [token for frame in frames for token in render_frame(frame, stack, tokenizer)]
    return (*ids, tokenizer.special[Special.END_OF_TEXT.key])


@pytest.mark.parametrize(("mode", "one_shot"), [("trace", False), ("one_shot", True)])
def test_a_trace_model_is_judged_by_what_its_entry_returns(mode, one_shot, tokenizer):
    answers = [
        trace_tokens(TWO[0], "[3, 1]", tokenizer, one_shot=one_shot),
        trace_tokens(TWO[1], "'ab'", tokenizer, one_shot=one_shot),
    ]
    model = ScriptedModel(answers, tokenizer=tokenizer)
    result = evaluate(model, TWO, mode=mode, sandbox=SANDBOX)
    assert result.outcomes == {Outcome.RIGHT: 1, Outcome.WRONG: 1}
    assert result.metrics["pass_at_1"]["value"] == 0.5
    assert result.metrics["mean_tokens"] == sum(map(len, answers)) / 2
    assert all(request.grammar is None for request in model.requests)


@pytest.mark.parametrize("value", ["[3, 1]", "[3]"])
def test_a_trace_model_behind_a_server_is_asked_in_text(value):
    call = "<|action_sep|>    return f([3])\n"
    one_shot = f'{call}<|arg_sep|>"{value}"<|frame_sep|>'
    full = f"<|line_sep|>{{}}{call}<|frame_sep|><|return_sep|>{one_shot}<|end_of_text|>"
    for mode, answer in (("one_shot", one_shot), ("trace", full), ("trace", full.removesuffix("<|end_of_text|>"))):
        result = evaluate(ScriptedModel([answer]), [ITEM], mode=mode, sandbox=SANDBOX)
        assert result.outcomes == {Outcome.RIGHT if value == ITEM.output else Outcome.WRONG: 1}, mode


def test_a_trace_that_breaks_off_or_never_returns_is_told_apart(tokenizer):
    end = tokenizer.special[Special.END_OF_TEXT.key]
    answers = [(end,), tuple(tokenizer.encode("x") * 9000)]
    result = evaluate(ScriptedModel(answers, tokenizer=tokenizer), TWO, mode="trace", sandbox=SANDBOX)
    assert result.outcomes == {Outcome.MALFORMED: 1, Outcome.BUDGET: 1}


def test_an_exception_out_of_the_entry_is_no_value(tokenizer):
    where = {"file": "", "line_no": 0, "source_line": "    return f([3])", "depth": 0, "value": "ValueError('no')"}
    stack = Stack()
    stack.apply(Frame(event="call", depth=0, file="", line_no=0, source_line="def main():", locals=Locals({})))
    frames = [Frame(event="exception", **where), Frame(event="return", cause="unwind", **where)]
    ids = [token for frame in frames for token in render_frame(frame, stack, tokenizer)]
    answer = (*ids, tokenizer.special[Special.END_OF_TEXT.key])
    result = evaluate(ScriptedModel([answer], tokenizer=tokenizer), [ITEM], mode="trace", sandbox=SANDBOX)
    assert result.outcomes == {Outcome.WRONG: 1}


def test_the_grammar_gets_the_context_and_what_is_already_written(tokenizer):
    asked = []

    class Anything:
        def start(self):
            raise AssertionError("the scripted model does not ask")

    def make(context, prefix):
        asked.append((context, tokenizer.decode(list(prefix))))
        return Anything()

    answer = trace_tokens(ITEM, "[3, 1]", tokenizer, one_shot=True)
    model = ScriptedModel([answer], tokenizer=tokenizer)
    result = evaluate(model, [ITEM], mode="one_shot_grammar", sandbox=SANDBOX, grammar=make)
    assert result.outcomes == {Outcome.RIGHT: 1}
    assert isinstance(model.requests[0].grammar, Anything)
    call = "<|call_sep|>{}<|action_sep|>def main():\n<|frame_sep|><|return_sep|>"
    assert asked == [(cruxeval.context_of(ITEM), call)]


def test_a_model_that_speaks_language(isolated):
    result = evaluate(ScriptedModel([" [3, 1]", " 'ab'"]), TWO, mode="direct", sandbox=SANDBOX)
    assert result.outcomes == {Outcome.RIGHT: 1, Outcome.WRONG: 1}
    model = ScriptedModel(["hm\nANSWER: f([3])", "I cannot tell."])
    result = evaluate(model, TWO, mode="reasoning", direction="input", sandbox=SANDBOX)
    assert result.outcomes == {Outcome.RIGHT: 1, Outcome.MALFORMED: 1}
    assert "def f(a)" in last_message(model.requests[0])


def test_a_server_that_fails_is_counted_apart():
    failed = Completion(tokens=(), text="", finish="failed", error="the server is gone")
    result = evaluate(ScriptedModel([failed, failed]), TWO, mode="direct", sandbox=SANDBOX)
    assert result.outcomes == {Outcome.INFRASTRUCTURE: 2}
    assert result.metrics["pass_at_1"] is None


def test_a_run_goes_on_where_it_stopped(tmp_path):
    ledger = tmp_path / "run.jsonl"
    model = ScriptedModel([" [3, 1]", " 'abab'"])
    first = evaluate(model, TWO, mode="direct", sandbox=SANDBOX, ledger=ledger)
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(b"".join(lines[:2]) + lines[2][:10])
    again = ScriptedModel([" 'abab'"])
    second = evaluate(again, TWO, mode="direct", sandbox=SANDBOX, ledger=ledger)
    assert first.to_dict() == second.to_dict()
    assert len(again.requests) == 1
    with pytest.raises(ConfigError, match="other settings"):
        evaluate(again, TWO, mode="reasoning", sandbox=SANDBOX, ledger=ledger)


@pytest.mark.parametrize(
    ("mode", "options", "words"),
    [
        ("trace_grammar", {}, "needs a grammar"),
        ("one_shot", {"direction": "input"}, "starts from its input"),
        ("somehow", {}, "no mode 'somehow'"),
    ],
)
def test_what_a_model_cannot_do_is_said_first(mode, options, words):
    with pytest.raises(ConfigError, match=words):
        evaluate(ScriptedModel([]), TWO, mode=mode, sandbox=SANDBOX, **options)


def test_traces_have_no_inputs_to_find_and_grammars_must_be_given(tokenizer):
    model = ScriptedModel([], tokenizer=tokenizer)
    with pytest.raises(ConfigError, match="starts from its input"):
        evaluate(model, TWO, mode="trace", direction="input", sandbox=SANDBOX)
    with pytest.raises(ConfigError, match="needs a grammar"):
        evaluate(model, TWO, mode="trace_grammar", sandbox=SANDBOX)

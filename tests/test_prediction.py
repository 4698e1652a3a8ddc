import math
from dataclasses import replace

import pytest

from opencwm.errors import ConfigError, ProviderError
from opencwm.fakes import ScriptedModel
from opencwm.prediction import predict, predict_many, prompt_of
from opencwm.protocols import Completion
from opencwm.tokenizer import Tokenizer
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.recording.recorder import record_source
from opencwm.trace.stream import Parsed
from opencwm.trace.text import render_text
from opencwm.trace.tokens import render

SOURCE = "def f(x):\n    y = x + 1\n    return y\n"


def frames(value: str = "4") -> list[Frame]:
    return [
        Frame("call", 0, "", 0, "def main():", locals=Locals({})),
        Frame("line", 0, "", 0, "    return f(3)", locals=Locals({})),
        Frame("call", 1, "", 0, "def f(x):", locals=Locals({"x": "3"})),
        Frame("line", 1, "", 0, "    y = x + 1", locals=Locals({})),
        Frame("line", 1, "", 0, "    return y", locals=Locals({"y": value})),
        Frame("return", 1, "", 0, "    return y", value=value),
        Frame("return", 0, "", 0, "    return f(3)", value=value),
    ]


def truth(value: str = "4") -> Trace:
    return Trace({"context": prompt_of(SOURCE, "f(3)").context, "outcome": "returned"}, frames(value))


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train([render_text(truth())], 300)


def answer(tokenizer, trace, **changes) -> Completion:
    start = len(render(prompt_of(SOURCE, "f(3)"), tokenizer))
    tokens = tuple(render(trace, tokenizer)[start:])
    logprobs = tuple(-0.001 * (index + 1) for index in range(len(tokens)))
    return replace(Completion(tokens=tokens, text="", finish="stop", logprobs=logprobs), **changes)


def test_a_prediction_holds_what_the_model_wrote(tokenizer):
    completion = answer(tokenizer, truth())
    model = ScriptedModel([completion], tokenizer=tokenizer)
    prediction = predict(SOURCE, "f(3)", model, grammar=False)
    assert (prediction.output, prediction.outcome, prediction.reason) == ("4", "ok", None)
    assert list(prediction.frames) == frames()
    ends = [i + 1 for i, token in enumerate(completion.tokens) if token == tokenizer.special["frame_sep"]]
    spans = list(zip([0, *ends], ends, strict=False))
    expected = [1.0] + [math.exp(sum(completion.logprobs[a:b])) for a, b in spans]
    assert prediction.frame_confidences == pytest.approx(expected)
    value_start = len(completion.tokens) - 2 - len(tokenizer.encode('"4"'))
    assert prediction.confidence == pytest.approx(math.exp(sum(completion.logprobs[value_start:-2])))


def test_the_json_keys_are_the_promised_ones(tokenizer):
    model = ScriptedModel([answer(tokenizer, truth())], tokenizer=tokenizer)
    data = predict(SOURCE, "f(3)", model, verify=lambda source, call: truth()).to_dict()
    assert list(data) == ["output", "frames", "confidence", "outcome", "verified"]
    assert list(data["frames"][2]) == ["event", "depth", "source_line", "locals", "confidence"]
    assert list(data["frames"][5]) == ["event", "depth", "source_line", "value", "confidence"]
    assert data["verified"] == {"output_exact": True, "frame_exact": 1.0, "first_divergence": None, "real_output": "4"}


def test_a_wrong_prediction_is_seen(tokenizer):
    model = ScriptedModel([answer(tokenizer, truth("5"))], tokenizer=tokenizer)
    prediction = predict(SOURCE, "f(3)", model, grammar=False, verify=lambda source, call: truth("4"))
    assert prediction.verified.to_dict() == {
        "output_exact": False,
        "frame_exact": 0.5,
        "first_divergence": 4,
        "real_output": "4",
    }


def test_the_prompt_is_the_context_and_the_entry_s_call(tokenizer):
    model = ScriptedModel([answer(tokenizer, truth())], tokenizer=tokenizer)
    predict(SOURCE, "f(3)", model)
    request = model.requests[0]
    whole = render(truth(), tokenizer)
    assert list(request.prompt) == whole[: len(request.prompt)]
    assert whole[len(request.prompt)] == tokenizer.special["line_sep"]
    state = request.grammar.start()
    assert state.allows(tokenizer.special["line_sep"])
    assert request.logprobs


@pytest.mark.parametrize("source", [SOURCE, SOURCE.rstrip(), "\n\n" + SOURCE + "\n", SOURCE.replace("\n", "\r\n")])
def test_the_context_is_the_one_that_recording_gives(tokenizer, source):
    recorded = record_source(source, call="f(3)")
    prompt = prompt_of(source, "f(3)")
    ids = render(prompt, tokenizer)
    assert render(recorded, tokenizer)[: len(ids)] == ids


def test_output_mode_forces_a_return(tokenizer):
    value = tokenizer.encode("    return f(3)\n"), tokenizer.encode('"4"')
    special = tokenizer.special
    tokens = (special["action_sep"], *value[0], special["arg_sep"], *value[1], special["frame_sep"])
    completion = Completion(tokens=tokens, text="", finish="stop", logprobs=(-0.5,) * len(tokens))
    model = ScriptedModel([completion], tokenizer=tokenizer)
    prediction = predict(SOURCE, "f(3)", model, mode="output", verify=lambda source, call: truth())
    assert model.requests[0].prompt[-1] == special["return_sep"]
    assert (prediction.output, prediction.outcome, prediction.frames) == ("4", "ok", ())
    assert prediction.confidence == pytest.approx(math.exp(-0.5 * len(value[1])))
    assert prediction.to_dict()["verified"] == {
        "output_exact": True,
        "frame_exact": None,
        "first_divergence": None,
        "real_output": "4",
    }


def test_an_unfinished_answer_is_over_budget(tokenizer):
    whole = answer(tokenizer, truth())
    for cut in (1, 20, len(whole.tokens) - 1):
        completion = replace(whole, tokens=whole.tokens[:cut], logprobs=whole.logprobs[:cut], finish="length")
        prediction = predict(SOURCE, "f(3)", ScriptedModel([completion], tokenizer=tokenizer))
        assert prediction.outcome == "budget"
    assert predict(SOURCE, "f(3)", ScriptedModel([whole], tokenizer=tokenizer), max_frames=3).outcome == "budget"


def test_a_malformed_answer_is_a_result(tokenizer):
    whole = answer(tokenizer, truth())
    tokens = (*whole.tokens[:5], tokenizer.special["call_sep"], *whole.tokens[5:])
    completion = replace(whole, tokens=tokens, logprobs=(-0.1,) * len(tokens))
    prediction = predict(SOURCE, "f(3)", ScriptedModel([completion], tokenizer=tokenizer))
    assert prediction.outcome == "malformed"
    assert prediction.reason
    assert prediction.output is None
    assert prediction.to_dict()["frames"]


def test_a_raise_has_no_output(tokenizer):
    raising = [
        *frames()[:2],
        Frame("exception", 0, "", 0, "    return f(3)", value="ValueError('no')"),
        Frame("return", 0, "", 0, "    return f(3)", value="None"),
    ]
    model = ScriptedModel([answer(tokenizer, Trace(truth().header, raising))], tokenizer=tokenizer)
    prediction = predict(SOURCE, "f(3)", model)
    assert (prediction.outcome, prediction.output, prediction.confidence) == ("ok", None, None)


def test_a_model_without_a_tokenizer_reads_and_writes_text():
    text = render_text(truth())
    start = len(render_text(prompt_of(SOURCE, "f(3)")))
    model = ScriptedModel([Completion(tokens=(), text=text[start:], finish="stop")])
    prediction = predict(SOURCE, "f(3)", model, verify=lambda source, call: truth())
    assert model.requests[0].prompt == text[:start]
    assert (prediction.output, prediction.outcome, prediction.verified.frame_exact) == ("4", "ok", 1.0)
    assert prediction.frame_confidences == (None,) * 7


def test_a_failed_server_is_an_error_and_no_outcome(tokenizer):
    failed = Completion(tokens=(), text="", finish="failed", error="no connection")
    with pytest.raises(ProviderError, match="no connection"):
        predict(SOURCE, "f(3)", ScriptedModel([failed], tokenizer=tokenizer))


def test_several_calls_are_predicted_together(tokenizer):
    model = ScriptedModel([answer(tokenizer, truth()), answer(tokenizer, truth("5"))], tokenizer=tokenizer)
    outputs = [item.output for item in predict_many([(SOURCE, "f(3)")] * 2, model)]
    assert outputs == ["4", "5"]


@pytest.mark.parametrize(
    ("source", "call", "said"),
    [
        ("def f(:\n", "f(3)", "the program is not Python: line 1"),
        (SOURCE, "f(3", "the call is not Python"),
        (SOURCE, "g(3)", "the program has no 'g'"),
        (SOURCE, "x = 3", "not one expression"),
        (SOURCE, "", "not one expression"),
        (SOURCE, "f(\n3)", "not one expression"),
        (SOURCE, "f(3); f(4)", "not one expression"),
        ("x = '\0'\n", "f(3)", "the program is not Python"),
    ],
)
def test_what_is_no_program_or_no_call_is_said(source, call, said):
    with pytest.raises(ConfigError, match=said):
        predict(source, call, ScriptedModel([]))


@pytest.mark.parametrize(
    "call", ["len([f(1)])", "[f(i) for i in range(3)]", "sum(map(lambda n: f(n), [1]))", "mod.g(f)"]
)
def test_names_of_every_kind_are_known(call):
    assert isinstance(prompt_of("import mod\n" + SOURCE, call), Parsed)

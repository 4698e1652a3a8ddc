import json

import pytest
import torch

from opencwm.errors import ConfigError, DataError
from opencwm.evals.base import Ledger
from opencwm.evals.traces import MODES, comparison_of, copy_run, evaluate, load_traces, main, stepped_over
from opencwm.fakes import ScriptedModel
from opencwm.infer.engine import Engine
from opencwm.infer.grammar import TraceGrammar
from opencwm.model.config import ModelConfig, layer_pattern
from opencwm.model.transformer import Transformer
from opencwm.model.weights import save
from opencwm.protocols import Completion
from opencwm.tokenizer import Tokenizer
from opencwm.trace.compare import METRICS, compare, compare_frames, copy_baseline, summarize
from opencwm.trace.files import write_traces
from opencwm.trace.recording.frame import Frame, Locals, Trace
from opencwm.trace.text import render_text
from opencwm.trace.tokens import render, render_frames

SOURCE = "\ndef f(x):\n    y = x + K\n    return y\n\ndef main():  # << START_OF_TRACE\n    return f(3)\n"


def trace_of(k: int) -> Trace:
    source = SOURCE.replace("K", str(k))
    line = source.split("\n")
    y = str(3 + k)
    frames = [
        Frame("call", 0, "p", 5, "def main():", locals=Locals({})),
        Frame("line", 0, "p", 6, line[6], locals=Locals({})),
        Frame("call", 1, "p", 1, line[1], locals=Locals({"x": "3"})),
        Frame("line", 1, "p", 2, line[2], locals=Locals({})),
        Frame("line", 1, "p", 3, line[3], locals=Locals({"y": y})),
        Frame("return", 1, "p", 3, line[3], value=y),
        Frame("return", 0, "p", 6, line[6], value=y),
    ]
    return Trace({"context": source, "outcome": "returned"}, frames)


TRACES = [trace_of(k) for k in range(6)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([render_text(trace) for trace in TRACES], 320)


@pytest.fixture(autouse=True)
def short_budgets(monkeypatch):
    monkeypatch.setattr("opencwm.evals.traces.MIN_TOKENS", 40)
    monkeypatch.setattr("opencwm.evals.forced.SLACK", 4)


@pytest.fixture(scope="module")
def engine(tokenizer) -> Engine:
    """A random model: nearly everything it predicts is wrong."""
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size + 3,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        layer_types=layer_pattern(3),
        sliding_window=16,
        max_position_embeddings=2048,
        qk_norm=True,
    )
    model = Transformer(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(parameter.shape[0]))
    return Engine(model, tokenizer, name="random")


def make_grammar(tokenizer):
    return lambda context, prefix: TraceGrammar(context, tokenizer, prefix=prefix)


class Truthful(ScriptedModel):
    """Continues every known prompt with the truth."""

    def __init__(self, tokenizer):
        known = [tuple(render(trace, tokenizer)) for trace in [*TRACES, *map(stepped_over, TRACES)]]

        def answer(request):
            script = next(script for script in known if script[: len(request.prompt)] == request.prompt)
            return Completion(tokens=script[len(request.prompt) :], text="", finish="stop")

        super().__init__(answer, tokenizer=tokenizer, name="truthful")


def test_the_truth_is_right_and_the_copy_is_not(tokenizer):
    result = evaluate(Truthful(tokenizer), TRACES).to_dict()
    assert list(result) == ["task", "model", "n", "metrics", "outcomes", "settings"]
    free, one_shot = (result["metrics"][mode]["all"] for mode in ("free", "one_shot"))
    assert {name: free[name]["value"] for name in METRICS} == dict.fromkeys(METRICS, 1.0)
    assert one_shot["output_exact"]["value"] == one_shot["trace_exact"]["value"] == 1.0
    assert one_shot["outcomes"] == free["outcomes"]
    assert result["outcomes"] == {"right": 6, "wrong": 0, "malformed": 0, "budget": 0, "infrastructure": 0}
    assert set(result["metrics"]) == {"free", "one_shot", "copy_forced", "copy_free"}
    copied = result["metrics"]["copy_forced"]["all"]
    assert copied["trace_exact"]["value"] == 0.0
    assert 0 < copied["frame_exact"]["value"] < 1
    assert copied["frame_exact_changed"]["value"] == 0.0
    assert "<= 10" in result["metrics"]["free"]
    assert "<= 10" in result["metrics"]["one_shot"]
    assert "11-30" not in result["metrics"]["free"]
    json.dumps(result)


def test_an_engine_is_evaluated_in_every_mode(engine, tokenizer):
    result = evaluate(engine, TRACES, grammar=make_grammar(tokenizer))
    assert set(result.metrics) == {*MODES, "copy_forced", "copy_free"}
    for mode in MODES:
        assert result.metrics[mode]["all"]["frame_exact"]["n"] == 6
    assert result.metrics["forced"]["all"]["outcomes"]["malformed"] == 6
    for mode in ("forced_grammar", "free_grammar"):
        assert result.metrics[mode]["all"]["outcomes"]["malformed"] == 0
    assert sum(result.outcomes.values()) == 6


def test_a_stopped_run_goes_on_and_ends_alike(engine, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("opencwm.evals.base.CHUNK", 2)
    whole = evaluate(engine, TRACES, modes=["forced", "free"]).to_dict()
    ledger = tmp_path / "run.jsonl"
    seen = []

    def stop_after_three_chunks(mode, done, total):
        seen.append((mode, done))
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(engine, TRACES, modes=["forced", "free"], ledger=ledger, progress=stop_after_three_chunks)
    with ledger.open("a") as file:
        file.write('{"item":"forced/9","resu')  # what a kill in the middle of a line leaves
    started = []
    resumed = evaluate(
        engine, TRACES, modes=["forced", "free"], ledger=ledger, progress=lambda *at: started.append(at[:2])
    )
    assert resumed.to_dict() == whole
    assert ("forced", 0) not in started
    again = []
    evaluate(engine, TRACES, modes=["forced", "free"], ledger=ledger, progress=lambda *at: again.append(at))
    assert again == [("forced", 6, 6), ("free", 6, 6)]


def test_a_ledger_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "run.jsonl"
    with Ledger(path, {"seed": 1}) as ledger:
        ledger.add("a", 1)
    with Ledger(path, {"seed": 1}) as ledger:
        assert ledger.done == {"a": 1}
    with pytest.raises(ConfigError, match="seed 1 there, 2 now"):
        Ledger(path, {"seed": 2})
    path.write_text("no json\n")
    with pytest.raises(ConfigError, match="no ledger"):
        Ledger(path, {"seed": 1})


def test_a_wrong_value_in_one_shot_is_a_wrong_output(tokenizer):
    right, wrong = (trace_of(k) for k in (1, 2))
    wrong = Trace(right.header, wrong.frames)
    script = render(stepped_over(wrong), tokenizer)

    def answer(request):
        assert tokenizer.decode(request.prompt[-1:]) == "<|return_sep|>"
        return tuple(script[len(request.prompt) :])

    result = evaluate(ScriptedModel(answer, tokenizer=tokenizer), [right], modes=["one_shot"])
    one_shot = result.metrics["one_shot"]["all"]
    assert result.outcomes["wrong"] == 1
    assert (one_shot["output_exact"]["value"], one_shot["valid_format"]["value"]) == (0.0, 1.0)
    assert one_shot["action_exact"]["value"] == 1.0


def test_stepping_over_keeps_how_the_entry_is_left():
    call, exception, unwind = (
        TRACES[0].frames[0],
        Frame("exception", 0, "p", 6, "    return f(3)", value="ValueError()"),
        Frame("return", 0, "p", 6, "    return f(3)", cause="unwind", value="None"),
    )
    assert stepped_over(TRACES[0]).frames == [call, TRACES[0].frames[-1]]
    raised = Trace(TRACES[0].header, [*TRACES[0].frames[:-1], exception, unwind])
    assert stepped_over(raised).frames == [call, exception, unwind]


def test_a_model_that_reads_text_is_refused():
    with pytest.raises(ConfigError, match="predicted as tokens"):
        evaluate(ScriptedModel([]), TRACES)


def test_infrastructure_failures_are_counted_apart(tokenizer):
    def answer(request):
        if str(request.prompt) == str(first):
            return Completion(tokens=(), text="", finish="failed", error="down")
        return Truthful(tokenizer).generate([request])[0]

    item = render_frames(TRACES[0], tokenizer)
    first = tuple(item.ids[: item.span(0)[1]])
    result = evaluate(ScriptedModel(answer, tokenizer=tokenizer), TRACES)
    assert result.outcomes["infrastructure"] == 1
    assert result.outcomes["right"] == 5
    assert result.metrics["free"]["all"]["trace_exact"]["n"] == 5


def test_copying_freely_follows_the_lines_below_the_entry():
    parsed = copy_run(TRACES[0])
    assert [frame.source_line for frame in parsed.frames] == ["def main():", "    return f(3)"]
    assert compare(TRACES[0], parsed, given=1).outcome == "budget"


def test_comparisons_survive_the_ledger(engine, tmp_path):
    import dataclasses

    result = compare_frames(TRACES[0], list(copy_baseline(TRACES[0])), given=1)
    assert comparison_of(json.loads(json.dumps(dataclasses.asdict(result)))) == result
    assert summarize([result]).num == 1


def test_limits_are_drawn_with_the_seed(tmp_path):
    path = tmp_path / "t.jsonl.gz"
    write_traces(path, TRACES)
    assert load_traces(path) == TRACES
    assert load_traces(path, limit=99) == TRACES
    some = load_traces(path, limit=3, seed=1)
    assert some == load_traces(path, limit=3, seed=1)
    assert len(some) == 3
    assert [TRACES.index(trace) for trace in some] == sorted(TRACES.index(trace) for trace in some)
    assert some != load_traces(path, limit=3, seed=2)


def test_a_file_without_traces_is_said(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ConfigError, match="holds no traces"):
        load_traces(tmp_path / "empty.jsonl")
    with pytest.raises(DataError):
        load_traces(tmp_path / "none.jsonl")


def test_the_command_prints_what_is_wrong(engine, tokenizer, tmp_path, monkeypatch, capsys):
    save(engine.model, tmp_path / "m")
    tokenizer.save(tmp_path / "m")
    write_traces(tmp_path / "t.jsonl", TRACES[:2])
    command = ["traces", str(tmp_path / "m"), str(tmp_path / "t.jsonl")]
    monkeypatch.setattr("sys.argv", command)
    main()
    assert "12 of 12 frames wrong" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", [*command, "--json", "--limit", "1", "--examples", "1"])
    main()
    result = json.loads(capsys.readouterr().out)
    assert result["breakdown"]["num_frames"] == 6
    assert result["forced"]["all"]["frame_exact"]["value"] == 0.0

"""HumanEval's solutions as traces: recorded in the guarded child, predicted by a model that follows a script."""

import gzip
import json
from pathlib import Path

import pytest

from opencwm.errors import ConfigError, DataError
from opencwm.evals.humaneval import MAX_FRAMES, Problem, load_problems, record_problems
from opencwm.evals.traces import evaluate, stepped_over
from opencwm.fakes import ScriptedModel
from opencwm.sandbox import NamespaceSandbox
from opencwm.tokenizer import Tokenizer
from opencwm.trace.text import render_text
from opencwm.trace.tokens import render
from opencwm.trace.view import output_of, view

DATA = Path(__file__).parent.parent / "data"
ITEMS, INPUTS = DATA / "humaneval/HumanEval.jsonl.gz", DATA / "humaneval_plus/HumanEvalPlus-Mini.jsonl.gz"
SANDBOX = NamespaceSandbox()
COUNT = "def f(n):\n    while n:\n        n -= 1\n    return 'done'\n"


@pytest.fixture
def isolated():
    if not SANDBOX.enforced().is_isolated:
        pytest.skip(f"this machine cannot isolate: {SANDBOX.enforced().sentence}")


@pytest.fixture(scope="module")
def problems():
    return load_problems(ITEMS, INPUTS)


def written(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_all_problems_have_inputs(problems):
    assert [problem.name for problem in problems] == [f"HumanEval/{n}" for n in range(164)]
    assert sum(len(problem.calls) for problem in problems) == 1570 + 1107
    assert problems[0].calls[0] == "has_close_elements([1.0, 2.0, 3.9, 4.0, 5.0, 2.2], 0.3)"
    for problem in problems:
        compile(problem.source, problem.name, "exec")


def test_solutions_do_what_they_do(problems, isolated):
    chosen = problems[:10]
    traces = record_problems(chosen, SANDBOX)
    assert len(traces) == 30
    for trace in traces:
        problem = next(problem for problem in chosen if problem.source.lstrip() in trace.context)
        call = next(call for call in problem.calls if f"    return {call}\n" in trace.context)
        scope: dict[str, object] = {}
        exec(problem.source, scope)
        assert output_of(view(trace).frames) == ("returned", repr(eval(call, scope)))
        assert len(trace.frames) <= MAX_FRAMES


def test_inputs_that_take_too_long_or_raise_are_passed_over(isolated):
    calls = ("f(1)", "f(300)", "f('x')", "f(2)", "f(3)", "f(4)")
    problems = [Problem(name="a", source=COUNT, calls=calls), Problem(name="b", source=COUNT, calls=("f(900)",))]
    traces = record_problems(problems, SANDBOX)
    assert [trace.context.rpartition("return ")[2] for trace in traces] == ["f(1)\n", "f(2)\n", "f(3)\n"]
    assert record_problems(problems, SANDBOX, per_problem=1, max_frames=5) == []


def test_traces_of_solutions_are_predicted_and_judged(problems, isolated):
    traces = record_problems(problems[23:26], SANDBOX, per_problem=1)
    tokenizer = Tokenizer.train([render_text(trace) for trace in traces], 400)
    scripts = [tuple(render(trace, tokenizer)) for trace in [*traces, *map(stepped_over, traces)]]
    lost = traces[0].context

    def answer(request):
        if lost in tokenizer.decode(request.prompt):
            return tuple(tokenizer.encode("nothing"))
        known = next(script for script in scripts if script[: len(request.prompt)] == request.prompt)
        return known[len(request.prompt) :]

    model = ScriptedModel(answer, tokenizer=tokenizer)
    result = evaluate(model, traces, modes=["free", "one_shot"], task="humaneval")
    assert (result.task, result.n) == ("humaneval", 3)
    for mode in ("free", "one_shot"):
        assert result.metrics[mode]["all"]["output_exact"]["value"] == pytest.approx(2 / 3, abs=1e-3)
    assert 0 < result.metrics["copy_forced"]["all"]["frame_exact"]["value"] < 1
    assert result.metrics["copy_free"]["all"]["trace_exact"]["value"] == 0.0


def test_files_of_something_else_get_a_sentence(tmp_path):
    item = {"task_id": "x/1", "prompt": "def f(a):\n", "canonical_solution": "    return a\n", "entry_point": "f"}
    inputs = {"task_id": "x/1", "base_input": [[1]], "plus_input": [["a"]]}
    items, given = written(tmp_path / "items", item), written(tmp_path / "inputs", inputs)
    assert load_problems(items, given)[0].calls == ("f(1)", "f('a')")
    with pytest.raises(ConfigError, match="there is no file"):
        load_problems(items, tmp_path / "absent")
    with pytest.raises(DataError, match=r"items, line 1 is no item: expected task_id, base_input"):
        load_problems(items, items)
    with pytest.raises(DataError, match="has no inputs for x/1"):
        load_problems(items, written(tmp_path / "others", inputs | {"task_id": "x/2"}))
    with pytest.raises(DataError, match="holds no items"):
        load_problems(written(tmp_path / "empty"), given)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"{}" * 99)[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        load_problems(tmp_path / "cut.gz", given)

"""`opencwm eval run humaneval`, with a model of random weights on two problems."""

import json

import pytest

from opencwm.sandbox import NamespaceSandbox

PROBLEMS = {
    "x/0": ("def double(n):\n", "    return n + n\n", "double", [[1], [2], [3], [4]]),
    "x/1": ("def last(xs, d):\n", "    return xs[-1] if xs else d\n", "last", [[[], 1], [[2, 3], 0]]),
}


@pytest.fixture
def problems(tmp_path):
    names = ("prompt", "canonical_solution", "entry_point")
    items = [{"task_id": name, **dict(zip(names, rest, strict=False))} for name, rest in PROBLEMS.items()]
    inputs = [
        {"task_id": name, "base_input": rest[3][:1], "plus_input": rest[3][1:]} for name, rest in PROBLEMS.items()
    ]
    for name, rows in (("items.jsonl", items), ("inputs.jsonl", inputs)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ("--data", "items.jsonl", "--inputs", "inputs.jsonl")


def test_solutions_are_recorded_and_predicted(opencwm, tiny_model, problems):
    if not NamespaceSandbox().enforced().is_isolated:
        pytest.skip("this machine cannot isolate")
    modes = ("--mode", "free", "--mode", "one_shot_grammar", "-o", "run")
    done = opencwm("eval", "run", "humaneval", "--model", str(tiny_model), *problems, *modes, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["task"], result["n"]) == ("humaneval", 5)
    assert set(result["metrics"]) == {"free", "one_shot_grammar", "copy_forced", "copy_free"}
    assert result["metrics"]["one_shot_grammar"]["all"]["outcomes"]["malformed"] == 0
    table = opencwm("eval", "report", "run").stdout
    assert "one_shot_grammar all output_exact" in table


def test_inputs_belong_to_humaneval(opencwm, problems):
    for argv in (("humaneval", *problems[:2]), ("traces", *problems)):
        done = opencwm("eval", "run", *argv)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--inputs" in done.stderr
        assert "Traceback" not in done.stderr

"""`opencwm eval`, with a model that knows nothing."""

import json
from pathlib import Path

CRUXEVAL = Path(__file__).parents[1] / "data" / "cruxeval" / "cruxeval_0_199.jsonl"


def test_traces_are_evaluated_kept_and_reported(opencwm, half, tiny_model):
    opencwm("trace", "run", half, "--call", "half(4)", "-o", "real.jsonl")
    argv = [
        "eval",
        "run",
        "traces",
        "--data",
        "real.jsonl",
        "--model",
        str(tiny_model),
        "--mode",
        "forced",
        "-o",
        "out",
    ]
    done = opencwm(*argv, "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert {"task", "model", "n", "metrics", "outcomes"} <= set(data)
    assert set(data["outcomes"]) == {"right", "wrong", "malformed", "budget", "infrastructure"}
    assert data["n"] == 1
    report = opencwm("eval", "report", "out")
    assert "forced all frame_exact" in report.stdout
    assert json.loads(opencwm("eval", "report", "out", "--json").stdout) == data


def test_calibration_is_told_and_drawn(opencwm, tiny_model, tmp_path):
    argv = ["eval", "run", "calibration", "--model", str(tiny_model), "-n", "2", "-o", "out", "--json"]
    data = json.loads(opencwm(*argv).stdout)
    assert (data["task"], data["n"]) == ("calibration", 2)
    assert data["metrics"]["frames"] == sum(data["outcomes"].values())
    assert "<svg" in (tmp_path / "out" / "reliability.html").read_text()
    served = opencwm("eval", "run", "calibration", "--model", "http://127.0.0.1:1/v1#x", "-n", "2")
    assert (served.returncode, "tells no probabilities" in served.stderr) == (2, True)


def test_cruxeval_is_asked_and_scored(opencwm, tiny_model):
    argv = ["eval", "run", "cruxeval", "--data", str(CRUXEVAL), "--model", str(tiny_model), "-n", "2"]
    done = opencwm(*argv, "--mode", "one_shot", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["task"], data["n"], sum(data["outcomes"].values())) == ("cruxeval", 2, 2)


def test_a_mode_that_does_not_exist_is_refused(opencwm, half, tiny_model):
    opencwm("trace", "run", half, "--call", "half(4)", "-o", "real.jsonl")
    done = opencwm("eval", "run", "traces", "--data", "real.jsonl", "--model", str(tiny_model), "--mode", "fre")
    assert done.returncode == 2
    assert "choose one of forced" in done.stderr


def test_without_data_the_held_out_programs_are_evaluated(opencwm, tiny_model):
    argv = ["eval", "run", "traces", "--model", str(tiny_model), "--mode", "forced", "-n", "2", "--json"]
    first, other = (json.loads(opencwm(*argv, "--seed", seed).stdout) for seed in ("0", "1"))
    assert first["n"] == 2
    assert first["settings"]["data"].endswith("programs.jsonl.gz")
    assert first["metrics"] != other["metrics"]


def test_the_items_of_another_task_must_be_given(opencwm, tiny_model):
    done = opencwm("eval", "run", "cruxeval", "--model", str(tiny_model))
    assert done.returncode == 2
    assert "--data is missing: the items of cruxeval" in done.stderr

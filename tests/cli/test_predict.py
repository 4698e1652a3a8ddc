"""`opencwm predict`, with a model that knows nothing: what is printed, and when it fails."""

import json


def test_json_has_the_promised_keys_and_disagreement_is_status_1(opencwm, half, tiny_model):
    argv = ["predict", half, "--call", "g([3])", "--model", str(tiny_model), "--max-frames", "2"]
    done = opencwm(*argv, "--verify", "--json")
    assert done.returncode == 1, done.stderr
    data = json.loads(done.stdout)
    assert set(data) == {"output", "frames", "confidence", "outcome", "verified"}
    assert data["outcome"] == "budget"
    assert data["verified"]["real_output"] == "[]"
    assert data["verified"]["first_divergence"] >= 1
    assert data["frames"][0] == {
        "event": "call",
        "depth": 0,
        "source_line": "def main():",
        "locals": {"set": {}, "removed": []},
        "confidence": 1.0,
    }


def test_the_real_execution_stands_beside_the_predicted_one(opencwm, half, tiny_model):
    done = opencwm("predict", half, "--call", "g([3])", "--model", str(tiny_model), "--max-frames", "2", "--verify")
    assert done.returncode == 1, done.stderr
    assert "≠" in done.stdout
    assert "the real execution returned [], after" in done.stdout
    assert "they part at frame" in done.stdout


def test_without_verify_nothing_is_run(opencwm, tiny_model, tmp_path):
    (tmp_path / "writes.py").write_text("print('it ran')\ndef f():\n    return 1\n")
    done = opencwm("predict", "writes.py", "--call", "f()", "--model", str(tiny_model), "--mode", "output")
    assert done.returncode == 0, done.stderr
    assert "it ran" not in done.stdout + done.stderr

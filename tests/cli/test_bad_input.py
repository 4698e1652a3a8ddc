"""What a user may get wrong: one sentence, what to do, status 2, and never a traceback."""

import json


def refused(done, *words):
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    first, *rest = done.stderr.splitlines()
    assert first.startswith("error: ")
    for word in words:
        assert word in done.stderr
    assert all(line.startswith("  fix: ") for line in rest)
    assert done.stdout == ""
    return True


def test_a_syntax_error(opencwm, tmp_path):
    (tmp_path / "bad.py").write_text("x = 1\ndef f(:\n")
    assert refused(opencwm("trace", "run", "bad.py"), "bad.py", "line 2", "not Python")
    assert refused(opencwm("predict", "bad.py", "--call", "f(1)"), "line 2", "not Python")


def test_a_call_that_is_not_python(opencwm, half):
    assert refused(opencwm("trace", "run", half, "--call", "g([3"), "the call")


def test_a_name_that_does_not_exist(opencwm, half):
    assert refused(opencwm("trace", "run", half, "--call", "nothing(3)"), "'nothing'")
    assert refused(opencwm("predict", half, "--call", "nothing(3)"), "'nothing'")
    assert refused(opencwm("trace", "run", "-m", "no_such_module"), "no_such_module")


def test_a_file_that_does_not_exist_or_is_not_text(opencwm, tmp_path):
    (tmp_path / "bytes.py").write_bytes(b"x = '\xff'\n")
    (tmp_path / "null.py").write_bytes(b"x = 1\0\n")
    assert refused(opencwm("trace", "run", "nothing.py"), "nothing.py")
    assert refused(opencwm("trace", "run", "."), "cannot be read")
    assert refused(opencwm("trace", "run", "bytes.py"), "bytes.py")
    assert refused(opencwm("trace", "run", "null.py"), "null.py")
    assert refused(opencwm("trace", "run", "bytes.py", "--stdin", "nothing.txt"), "nothing.txt")
    assert refused(opencwm("trace", "run"), "nothing to run")


def test_a_trace_file_that_was_cut_in_half(opencwm, half, tmp_path):
    opencwm("trace", "run", half, "--call", "g([3, 4])", "-o", "whole.jsonl")
    data = (tmp_path / "whole.jsonl").read_bytes()
    (tmp_path / "half.jsonl").write_bytes(data[: len(data) // 2])
    assert refused(opencwm("trace", "show", "half.jsonl"), "half.jsonl, line 1, byte", "cut off")
    assert refused(opencwm("trace", "compare", "half.jsonl", "whole.jsonl"), "cut off")
    (tmp_path / "other.jsonl").write_text('{"header": {}}\n')
    assert refused(opencwm("trace", "show", "other.jsonl"), "not a trace")


def test_a_model_that_is_not_one(opencwm, half, tmp_path):
    (tmp_path / "empty").mkdir()
    assert refused(opencwm("predict", half, "--call", "g([])", "--model", "nowhere"), "no model 'nowhere'")
    assert refused(opencwm("predict", half, "--call", "g([])", "--model", "empty"), "empty")
    assert refused(opencwm("demo", "--model", "empty"), "empty")


def test_a_tokenizer_without_the_special_tokens(opencwm, half, tmp_path, tiny_model):
    path = tiny_model / "tokenizer.json"
    path.write_text(path.read_text().replace("<|frame_sep|>", "<|frame_pes|>"))
    done = opencwm("predict", half, "--call", "g([])", "--model", str(tiny_model))
    assert refused(done, "tokenizer.json", "<|frame_sep|>")


def test_unknown_settings_commands_and_options(opencwm, half):
    assert refused(opencwm("trace", "run", half, "--set", "max_frame=3"), "did you mean 'max_frames'?")
    assert refused(opencwm("trace", "run", half, "--set", "values=pretty"), "values")
    assert refused(opencwm("trace", "run", half, "--nothing"), "--nothing")
    assert refused(opencwm("tracee"), "tracee")
    assert refused(opencwm("train", "no_such_recipe"), "no train recipe")
    assert refused(opencwm("data", "build", "no_such_recipe", "-o", "x"), "no data recipe")


def test_folders_and_files_that_are_not_what_they_should_be(opencwm):
    assert refused(opencwm("data", "stats", "."), "not a finished dataset")
    assert refused(opencwm("data", "peek", "."), "not a dataset")
    assert refused(opencwm("eval", "report", "nowhere"), "nowhere")
    assert refused(opencwm("eval", "run", "traces", "--data", "nowhere.jsonl"), "nowhere.jsonl")


def test_with_json_the_error_is_an_object(opencwm):
    done = opencwm("trace", "run", "nothing.py", "--json")
    assert done.returncode == 2
    assert set(json.loads(done.stdout)) == {"error", "fix"}
    assert done.stderr == ""
    own = opencwm("trace", "run", "nothing.py", "--", "--json")
    assert own.stdout == ""

"""`opencwm trace`: what the program does is shown and has exit status 0."""

import json

from opencwm.trace.files import read_traces


def test_a_call_is_shown_line_by_line(opencwm, half):
    done = opencwm("trace", "run", half, "--call", "g([3, 4])")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[-1] == "returned [2], after 26 frames"
    assert any("raise ValueError" in line and "ValueError('odd')" in line for line in lines)
    assert any("out = [None]" in line and "del e" in line for line in lines)
    assert "guarded child" in done.stderr


def test_json_is_the_trace_and_a_file_holds_the_same(opencwm, half, tmp_path):
    done = opencwm("trace", "run", half, "--call", "g([3, 4])", "--json", "-o", "out.jsonl")
    data = json.loads(done.stdout)
    assert set(data) == {"header", "frames"}
    assert data["frames"][-1]["value"] == "[2]"
    (stored,) = read_traces(tmp_path / "out.jsonl")
    assert json.loads(stored.to_json()) == data


def test_a_script_gets_its_input_and_arguments_and_imports_its_neighbours(opencwm, tmp_path):
    (tmp_path / "helper.py").write_text("def triple(x):\n    return 3 * x\n")
    (tmp_path / "name.txt").write_text("Ada\n")
    (tmp_path / "script.py").write_text(
        "import sys\nimport helper\nname = input()\nx = helper.triple(4)\nprint(name, x, sys.argv[1:], __name__)\n"
        "print('careful', file=sys.stderr)\n"
    )
    done = opencwm("trace", "run", "script.py", "--stdin", "name.txt", "--", "-a", "b")
    assert done.returncode == 0, done.stderr
    assert "Ada 12 ['-a', 'b'] __main__" in done.stdout
    assert "careful" in done.stdout
    assert "ran to its end" in done.stdout


def test_a_module_runs_as_by_minus_m(opencwm, tmp_path):
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "value.py").write_text("value = 7\n")
    (package / "__main__.py").write_text("import sys\nfrom .value import value\nprint(value, sys.argv[1:])\n")
    done = opencwm("trace", "run", "-m", "pack", "--", "x", "--flag")
    assert "7 ['x', '--flag']" in done.stdout, done.stderr


def test_a_program_from_standard_input(opencwm):
    done = opencwm("trace", "run", "-", "--call", "f(2)", stdin="def f(x):\n    return x * 2\n")
    assert "returned 4" in done.stdout


def test_what_the_program_does_is_an_outcome(opencwm, tmp_path):
    (tmp_path / "raises.py").write_text("def f():\n    return 1 / 0\n")
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "loops.py").write_text("while True:\n    try:\n        pass\n    except BaseException:\n        pass\n")
    raises = opencwm("trace", "run", "raises.py", "--call", "f()")
    exits = opencwm("trace", "run", "exits.py")
    loops = opencwm("trace", "run", "loops.py", "--set", "max_frames=50")
    assert [done.returncode for done in (raises, exits, loops)] == [0, 0, 0]
    assert "raised ZeroDivisionError('division by zero')" in raises.stdout
    assert "ended itself with SystemExit(3)" in exits.stdout
    assert "ran over budget and was stopped, after 50 frames" in loops.stdout


def test_markup_in_source_and_values_is_like_any_other_text(opencwm, tmp_path):
    (tmp_path / "markup.py").write_text("def f(x):\n    y = x + '<|frame_sep|>'\n    return y\n")
    done = opencwm("trace", "run", "markup.py", "--call", "f('<|end_of_text|>')", "-o", "out.jsonl")
    assert "returned '<|end_of_text|><|frame_sep|>'" in done.stdout
    shown = opencwm("trace", "show", "out.jsonl")
    assert "'<|end_of_text|><|frame_sep|>'" in shown.stdout
    same = opencwm("trace", "compare", "out.jsonl", "out.jsonl")
    assert (same.returncode, "right" in same.stdout) == (0, True)


def test_long_traces_are_shown_without_their_middle_unless_asked_for(opencwm, tmp_path):
    (tmp_path / "long.py").write_text("for i in range(200):\n    x = i\n")
    short = opencwm("trace", "run", "long.py")
    whole = opencwm("trace", "run", "long.py", "--all")
    assert "frames more; --all shows them" in short.stdout
    assert len(short.stdout.splitlines()) < 130 < 400 < len(whole.stdout.splitlines())


def test_showing_stored_traces(opencwm, half):
    opencwm("trace", "run", half, "--call", "g([3, 4])", "-o", "out.jsonl.gz")
    table = opencwm("trace", "show", "out.jsonl.gz")
    assert "returned [2], after 26 frames" in table.stdout
    text = opencwm("trace", "show", "out.jsonl.gz", "--as", "text")
    assert text.stdout.startswith("<|begin_of_text|><|trace_context_start|>\ndef half(n):\n")
    prose = opencwm("trace", "show", "out.jsonl.gz", "--as", "prose", "--seed", "3")
    assert "with `n` = `3`" in prose.stdout
    assert prose.stdout.endswith("`[2]`.\n")
    debugger = opencwm("trace", "show", "out.jsonl.gz", "--as", "debugger")
    assert debugger.stdout.startswith("<|begin_of_text|><|trace_context_start|>\ndef half(n):\n")
    assert "<|inv_return_sep|>" in opencwm("trace", "show", "out.jsonl.gz", "--as", "inverse").stdout
    as_json = opencwm("trace", "show", "out.jsonl.gz", "--json")
    assert json.loads(as_json.stdout)["header"]["outcome"] == "returned"
    none = opencwm("trace", "show", "out.jsonl.gz", "-n", "2")
    assert (none.returncode, none.stderr.startswith("error: ")) == (2, True)


def test_comparing_two_executions_marks_the_difference_and_fails(opencwm, half):
    opencwm("trace", "run", half, "--call", "g([3, 4])", "-o", "a.jsonl")
    opencwm("trace", "run", half, "--call", "g([3, 6])", "-o", "b.jsonl")
    done = opencwm("trace", "compare", "a.jsonl", "b.jsonl")
    assert done.returncode == 1
    assert "≠" in done.stdout
    as_json = opencwm("trace", "compare", "a.jsonl", "b.jsonl", "--json")
    assert as_json.returncode == 1
    data = json.loads(as_json.stdout)
    assert (data["trace_exact"], data["output_exact"], data["num_frames"]) == (False, False, 26)


def test_a_suite_is_one_line_of_json_and_has_pytest_s_status(opencwm, tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import subprocess, sys\ndef test_good():\n    subprocess.run([sys.executable, 'other.py'])\n"
        "def test_bad():\n    assert 0\n"
    )
    (tmp_path / "other.py").write_text("print('other')\n")
    done = opencwm("trace", "pytest", "--json", "--children", "-o", "t.jsonl.gz", "--", "-q", "-p", "no:cacheprovider")
    suite = json.loads(done.stdout)
    assert (done.returncode, suite["status"], suite["outcomes"]) == (1, 1, {"failed": 1, "passed": 1})
    assert "1 failed, 1 passed" in done.stderr
    shown = [(trace.header["test"]["id"], trace.header["process"]) for trace in read_traces(tmp_path / "t.jsonl.gz")]
    assert shown == [("test_it.py::test_bad", 0), ("test_it.py::test_good", 0), ("test_it.py::test_good", 1)]
    assert (suite["num_traces"], suite["num_processes"], suite["notes"]) == (3, 1, [])
    refused = opencwm("trace", "pytest", "-o", "t.parquet")
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (
        2, "error: t.parquet does not end in .jsonl or .jsonl.gz",
    )  # fmt: skip

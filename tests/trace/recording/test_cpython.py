"""Some of CPython's own tests under the native engine; `cpython.py` runs all that it lists, on every version."""

import cpython
import interpreters
import pytest


@pytest.mark.parametrize(("version", "module"), [("3.11", "test_raise"), ("3.13", "test_generator_stop")])
def test_results_are_the_same(version, module, capsys):
    python = interpreters.need(version)
    if not cpython.has_tests(python):
        pytest.skip(f"Python {version} was installed without its tests")
    assert cpython.compare(python, version, "native", [module]) == 0
    head, _, row, *_ = capsys.readouterr().out.strip().splitlines()
    name, num_tests, num_same, num_frames = row.split()
    assert (head, name) == (f"Python {version}, native engine", module)
    assert num_tests == num_same != "0"
    assert int(num_frames) > 20


def test_what_differs_is_told_unless_it_is_explained(monkeypatch, capsys):
    found = iter([{"results": {"a": "ok", "b": "ok"}}, {"results": {"a": "failure", "b": "error"}, "num_frames": 1}])
    monkeypatch.setattr(cpython, "results", lambda *_: next(found))
    monkeypatch.setattr(cpython, "EXCEPTIONS", {"b": ("because", ("3.11",))})
    assert cpython.compare("python", "3.11", "native", ["test_none"]) == 1
    printed = capsys.readouterr().out
    assert "a: ok untraced, failure traced" in printed
    assert "b: " not in printed

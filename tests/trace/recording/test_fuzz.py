"""A few random programs under both engines and the oracle; `fuzz.py` does thousands, and under AddressSanitizer."""

import dataclasses
import random
import subprocess
import sys
from pathlib import Path

import fuzz
import pytest

from opencwm.trace.recording.recorder import record_source


def test_generated_and_mutated_programs():
    path = Path(fuzz.__file__)
    argv = [sys.executable, path, "--programs", "24", "--values", "24", "--seed", "5", "--pythons", "3.11", "3.13"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "48 programs" in done.stdout
    assert ", 0 differ" in done.stdout


def test_a_difference_is_noticed(monkeypatch):
    source, call = "def f(n):\n    return [n]\n", "f(1)"

    def recorded(source, call, engine, options):
        trace = record_source(source, call=call)
        if engine == "native":
            trace.frames[4] = dataclasses.replace(trace.frames[4], value="[1, 1]")
        return trace, ""

    monkeypatch.setattr(fuzz, "recorded", recorded)
    monkeypatch.setattr(fuzz.signal, "setitimer", lambda *_: None)
    counts = {"frames": 0, "against the oracle": 0}
    assert "[1, 1]" in fuzz.compared(source, call, {"max_frames": 100}, counts)
    frames = record_source(source, call=call).frames
    monkeypatch.syspath_prepend(str(fuzz.TRACE))
    assert fuzz.against_oracle(source, call, frames) is None
    assert "3 frames, the oracle's" in fuzz.against_oracle(source, call, frames[:3])


@pytest.mark.parametrize("seed", range(20))
def test_a_mutation_is_another_program_that_compiles(seed):
    source = fuzz.programs(seed, 1)[0][0]
    changed = [fuzz.mutated(source, random.Random(i)) for i in range(3)]
    assert all(compile(text, "program.py", "exec") for text in changed)
    assert len({source, *changed}) > 1

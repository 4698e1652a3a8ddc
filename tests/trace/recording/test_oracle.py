"""The engine against the naive recorder, frame by frame: the golden programs, CRUXEval, HumanEval."""

import gzip
import json
import random
import types
from pathlib import Path

import oracle
import pytest

from opencwm.trace.recording.options import Options
from opencwm.trace.recording.recorder import WRAPPER, record_source

pytestmark = pytest.mark.usefixtures("engine")

TESTS = Path(__file__).parents[2]
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>")
GOLDEN = sorted(path for path in (TESTS / "golden" / "programs").glob("*.py") if "def run(" in path.read_text())
OWN_TEXTS = {"classes", "values"}
"""Programs about values that the naive writer does not know."""
CRUXEVAL = [json.loads(line) for line in (TESTS / "data/cruxeval/cruxeval_0_199.jsonl").read_text().splitlines()]
with gzip.open(TESTS / "data/humaneval_plus/HumanEvalPlus-Mini.jsonl.gz", "rt") as _file:
    HUMANEVAL = [json.loads(line) for line in _file]
LONG_CALL = 3_000
"""Characters; a call longer than this is an input of thousands of items, over any budget."""


def engine_frames(source, call, mode, max_frames):
    """What the oracle gives too; None where a budget or the stack's end ended the recording."""
    options = Options(comprehensions=mode, max_frames=max_frames, timeout_s=0.5)
    trace = record_source(source, call=call, options=options)
    if trace.outcome in ("budget", "displaced"):
        return None
    frames = []
    for frame in trace.frames:
        known = {"event": frame.event, "depth": frame.depth, "line_no": frame.line_no}
        if frame.locals is None:
            frames.append({**known, "value": frame.value})
        else:
            frames.append({**known, "set": frame.locals.set, "removed": list(frame.locals.removed)})
    return frames


def oracle_frames(source, call, mode, has_texts=True):
    text = source + WRAPPER.format(call)
    module = types.ModuleType("program")
    exec(compile(text, "program.py", "exec", dont_inherit=True), module.__dict__)
    skip = COMPREHENSIONS if mode == "fold" else ()
    return oracle.record(module.main, "program.py", text, skip=skip, has_texts=has_texts)


def assert_agreement(source, call, mode, max_frames=10_000):
    """True: they agree; False: over budget."""
    got = engine_frames(source, call, mode, max_frames)
    if got is None:
        return False
    want = oracle_frames(source, call, mode)
    for i, (ours, theirs) in enumerate(zip(got, want, strict=False)):
        assert ours == theirs, f"frame {i} of {call}"
    assert len(got) == len(want)
    return True


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_programs_as_the_interpreter_gives_them(path):
    source = path.read_text()
    got = engine_frames(source, "run()", "step", 10_000)
    want = oracle_frames(source, "run()", "step", has_texts=path.stem not in OWN_TEXTS)
    if path.stem in OWN_TEXTS:
        got, want = ([(f["event"], f["depth"], f["line_no"]) for f in frames] for frames in (got, want))
    assert got == want


@pytest.mark.parametrize("mode", ["fold", "step"])
def test_cruxeval(mode):
    for item in CRUXEVAL:
        assert assert_agreement(item["code"], f"f({item['input']})", mode)


def test_cruxeval_outputs_are_the_last_frames_value():
    for item in CRUXEVAL:
        trace = record_source(item["code"], call=f"f({item['input']})")
        assert trace.frames[-1].value == item["output"], item["id"]


@pytest.mark.parametrize("part", range(4))
def test_humaneval_solutions_on_the_mini_inputs(part):
    """Every solution, on every input that is recorded within 600 frames and half a second."""
    within = 0
    for item in HUMANEVAL[part::4]:
        source = item["prompt"] + item["canonical_solution"]
        calls = [f"{item['entry_point']}(*{args!r})" for args in item["plus_input"]]
        within += sum(assert_agreement(source, call, "fold", 600) for call in calls if len(call) < LONG_CALL)
    assert within > 200


def test_the_oracle_would_notice():
    """A fault in the engine's frames is a difference: the comparison is not vacuous."""
    item = random.Random(0).choice(CRUXEVAL)
    call = f"f({item['input']})"
    frames = engine_frames(item["code"], call, "fold", 10_000)
    frames[3]["line_no"] += 1
    assert frames != oracle_frames(item["code"], call, "fold")

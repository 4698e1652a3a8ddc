import ast

import pytest

from opencwm.data.programs import Dial, generate
from opencwm.data.programs.idioms import ALL, FAMILIES
from opencwm.data.programs.trial import attempt
from opencwm.errors import ConfigError
from opencwm.trace.recording.recorder import record_source

DIALS = [Dial(level=0.0), Dial(level=0.4), Dial()]


@pytest.mark.parametrize("dial", DIALS, ids=lambda dial: str(dial.level))
def test_every_program_compiles_ends_and_shows_small_values(dial):
    for seed in range(300):
        program = generate(seed, dial)
        trial = attempt(program.source, program.call)
        assert not trial.endless, program.source
        assert trial.num_frames <= 300, program.source
        assert trial.longest_value <= 400, program.source


def test_programs_are_pure():
    for seed in range(300):
        tree = ast.parse(generate(seed).source)
        for node in ast.walk(tree):
            assert not isinstance(node, ast.Import | ast.ImportFrom | ast.Global)
            if isinstance(node, ast.Name):
                assert node.id not in ("print", "input", "open", "eval", "exec", "hash", "id", "__import__")


def test_the_same_seed_and_dial_give_the_same_program():
    for seed in range(40):
        assert generate(seed) == generate(seed)
        assert generate(seed, Dial(level=0.3)) == generate(seed, Dial(level=0.3))


def test_seeds_give_different_programs():
    assert len({generate(seed).source for seed in range(200)}) > 195


def test_easier_dials_give_shorter_traces():
    def frames(dial):
        programs = [generate(seed, dial) for seed in range(150)]
        return sum(attempt(each.source, each.call).num_frames for each in programs) / len(programs)

    assert frames(DIALS[0]) < frames(DIALS[1]) < frames(DIALS[2])


def test_the_trial_counts_the_frames_that_the_recorder_records():
    for seed in range(120):
        program = generate(seed)
        trace = record_source(program.source, call=program.call)
        assert attempt(program.source, program.call).num_frames == len(trace.frames), program.source
        assert trace.outcome in ("returned", "raised")


def test_a_target_is_met_nearly_always():
    for target in ((1, 12), (30, 60), (80, 160)):
        programs = [generate(seed, Dial(target_frames=target)) for seed in range(60)]
        met = [target[0] <= attempt(each.source, each.call).num_frames <= target[1] for each in programs]
        assert sum(met) >= 50, target


def test_limits_and_weights_hold():
    single = Dial(max_functions=1, weights={"idiom": 0.0})
    for seed in range(40):
        program = generate(seed, single)
        assert program.kind == "typed"
        assert program.source.count("def ") == 1
    only_short = dict.fromkeys(FAMILIES, 0.0) | {"short": 1.0, "typed": 0.0, "composed": 0.0}
    names = {name for each in ALL if each.family == "short" for name in each.names[0]}
    for seed in range(80):
        assert generate(seed, Dial(weights=only_short)).call.partition("(")[0].rstrip("23456789") in names


def test_small_numbers_stay_small_in_the_call():
    for seed in range(100):
        for node in ast.walk(ast.parse(generate(seed, Dial(level=0.0, weights={"typed": 0.0})).call)):
            if isinstance(node, ast.Constant) and isinstance(node.value, int):
                assert node.value < 10_000


@pytest.mark.parametrize(
    "wrong", [{"level": 1.5}, {"target_frames": (9, 3)}, {"target_frames": (0, 3)}, {"max_functions": 0}]
)
def test_a_dial_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ConfigError):
        Dial(**wrong)

import pytest

from opencwm.data.programs import Dial, generate
from opencwm.data.programs.trial import attempt

DIALS = [Dial(level=0.0), Dial(level=0.4), Dial()]


@pytest.mark.parametrize("dial", DIALS, ids=lambda dial: str(dial.level))
def test_every_program_compiles_ends_and_shows_small_values(dial):
    for seed in range(300):
        program = generate(seed, dial)
        trial = attempt(program.source, program.call)
        assert not trial.endless, program.source
        assert trial.num_frames <= 300
        assert trial.longest_value <= 400, program.source


def test_the_same_seed_and_dial_give_the_same_program():
    for seed in range(50):
        assert generate(seed) == generate(seed)
        assert generate(seed, Dial(level=0.3)) == generate(seed, Dial(level=0.3))


def test_seeds_give_different_programs():
    assert len({generate(seed).source for seed in range(200)}) > 190


def test_easier_dials_give_shorter_traces():
    def frames(dial):
        programs = [generate(seed, dial) for seed in range(150)]
        return sum(attempt(each.source, each.call).num_frames for each in programs) / len(programs)

    assert frames(DIALS[0]) < frames(DIALS[1]) < frames(DIALS[2])

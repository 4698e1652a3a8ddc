import pytest

from opencwm.data.near import NearDuplicates, signature

LONG = (
    "def f(xs):\n    out = []\n" + "".join(f"    out.append(xs[{n}] + {n})\n" for n in range(40)) + "    return out\n"
)


def test_a_program_that_differs_in_one_place_is_a_near_duplicate():
    near = NearDuplicates(0.85)
    assert near.is_new(signature(LONG))
    assert not near.is_new(signature(LONG))
    assert not near.is_new(signature(LONG.replace("xs[7] + 7", "xs[7] + 8")))
    assert near.is_new(signature(LONG.replace("append", "insert").replace("+", "-")))


def test_comments_and_layout_do_not_make_another_program():
    assert signature(LONG) == signature("# a comment\n" + LONG.replace(" + ", "  +  "))


def test_the_first_stays_and_what_was_dropped_is_forgotten():
    """Near is not transitive: what is near to a dropped program only stays."""
    lines = [f"x{n} = y{n} * {n}" for n in range(40)]
    other = [f"z{n} = w{n} + {n}" for n in range(40)]
    chain = ["\n".join(other[:cut] + lines[cut:]) for cut in (0, 4, 8)]
    near = NearDuplicates(0.75)
    assert [near.is_new(signature(source)) for source in chain] == [True, False, True]


@pytest.mark.parametrize("source", ["", "x", "def f(:\n"])
def test_every_text_has_a_signature(source):
    assert len(signature(source)) == 512

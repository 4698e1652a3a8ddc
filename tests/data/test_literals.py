import ast
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from opencwm.data.literals import literal_text

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    ATOMS | st.sets(ATOMS),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(ATOMS, inner),
    max_leaves=10,
)


@settings(max_examples=40)
@given(VALUES)
def test_a_literal_gives_its_value_back(value):
    again = ast.literal_eval(literal_text(value))
    assert (type(again), again) == (type(value), value)


def test_sets_are_written_alike_under_every_hash_seed():
    code = (
        "from opencwm.data.literals import literal_text\n"
        "print(literal_text([{'one', 'two', 'three'}, frozenset({'x', 'y', ('z',)}), set()]))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            check=True,
        ).stdout
        for seed in "123"
        for path in [":".join(sys.path)]
    }
    assert texts == {b"[{'one', 'three', 'two'}, frozenset({'x', 'y', ('z',)}), set()]\n"}

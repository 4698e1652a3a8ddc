import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencwm.data.contests.checker import same_output, same_value


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("1 2 3\n", "1 2\n3", True),
        ("1 2 3", "1 2", False),
        ("YES\nno", "Yes No\n\n", True),
        ("YES", "NO", False),
        ("0.5", "0.50000004", True),
        ("0.5", "0.501", False),
        ("1e-3", "0.001", True),
        ("2", "2.0", True),
        ("1000000007", "1000000008", False),
        ("10", "010", False),
        ("nan", "nan", True),
        ("1.5", "inf", False),
        ("1.5", "x.y", False),
        ("", "\n", True),
    ],
)
def test_tokens(expected, printed, same):
    assert same_output(expected, printed) is same


@given(st.lists(st.integers()))
def test_layout_does_not_matter(numbers):
    assert same_output(" ".join(map(str, numbers)), "\n".join(map(str, numbers)) + "\n")


@given(st.lists(st.integers(), min_size=1), st.integers(1, 5))
def test_any_other_integer_does(numbers, step):
    other = [*numbers[:-1], numbers[-1] + step]
    assert not same_output(" ".join(map(str, numbers)), " ".join(map(str, other)))


@pytest.mark.parametrize(
    ("expected", "text", "same"),
    [
        ("4", "4", True),
        ("True", "1", True),
        ("[1, 2]", "(1, 2)", False),
        ("2.5", "2.5000000001", True),
        ("2.0", "2", True),
        ("'a'", "'b'", False),
        ("None", "<object>", False),
    ],
)
def test_values(expected, text, same):
    assert same_value(expected, text) is same

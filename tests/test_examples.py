"""The examples do what their docstrings say, and can be recorded and harvested."""

import doctest
import importlib.util
from pathlib import Path

import pytest

from opencwm.data.functions import harvest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_docstrings_are_true(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert doctest.testmod(module).failed == 0
    assert module.__doc__


def test_the_demo_finds_functions_in_them():
    found = {function.qualname for function in harvest([str(EXAMPLES[0].parent)])}
    assert {"count_words", "run_lengths", "gcd", "digits"} <= found

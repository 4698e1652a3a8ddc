"""The real command, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from half_program import HALF

Result = subprocess.CompletedProcess[str]


@pytest.fixture
def opencwm(tmp_path: Path) -> Callable[..., Result]:
    """`opencwm(*argv)` in an empty folder: status, stdout, stderr."""

    def run(*argv: str, stdin: str = "") -> Result:
        env = {**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, "-m", "opencwm", *argv],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=env,
            timeout=120,
        )

    return run


@pytest.fixture
def half(tmp_path: Path) -> str:
    (tmp_path / "half.py").write_text(HALF)
    return "half.py"


@pytest.fixture
def tiny_model(tmp_path):
    """A model folder of a few thousand random weights."""
    from tiny_models import fresh, save_folder, shape_for  # not above: torch takes a second, and few tests need it

    from opencwm.tokenizer import Tokenizer

    tokenizer = Tokenizer.train(["<|line_sep|>def f(x):\n    return x\n"], 400)
    return save_folder(tmp_path / "tiny", fresh(shape_for(tokenizer)), tokenizer)

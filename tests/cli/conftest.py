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
    from opencwm.model import weights
    from opencwm.model.config import ModelConfig
    from opencwm.model.transformer import Transformer
    from opencwm.tokenizer import Tokenizer

    tokenizer = Tokenizer.train(["<|line_sep|>def f(x):\n    return x\n"], 400)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        layer_types=("full_attention",),
        sliding_window=64,
        max_position_embeddings=512,
        qk_norm=True,
    )
    model = Transformer(config)
    model.initialise(0)
    weights.save(model, tmp_path / "tiny")
    tokenizer.save(tmp_path / "tiny")
    return tmp_path / "tiny"

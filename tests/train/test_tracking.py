"""The real libraries, read back by their own readers."""

import os
import sqlite3
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from opencwm.errors import ConfigError
from opencwm.train.tracking import open_tracker

RECORDS = [
    {"event": "start", "step": 0, "parameters": 7},
    {"event": "step", "step": 10, "num_steps": 20, "loss": 2.5, "lr": 0.25, "eta_s": 3.0},
    {"event": "skipped", "step": 11, "why": "so", "loss": 9.0},
    {"event": "step", "step": 20, "num_steps": 20, "loss": 1.5, "lr": 0.125, "eta_s": 0.0},
]


def test_tensorboard(tmp_path):
    log = open_tracker("tensorboard", tmp_path)
    for record in RECORDS:
        log(record)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Tags()["scalars"] == ["loss", "lr"]
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(10, 2.5), (20, 1.5)]


def test_trackio(tmp_path):
    code = f"""
from pathlib import Path
from opencwm.train.tracking import open_tracker
log = open_tracker("trackio", Path({str(tmp_path / "runs" / "mine")!r}))
for record in {RECORDS!r}:
    log(record)
"""
    env = {**os.environ, "TRACKIO_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=100)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    rows = sqlite3.connect(tmp_path / "runs.db").execute("select run_name, step, metrics from metrics order by step")
    assert rows.fetchall() == [("mine", 10, b'{"loss":2.5,"lr":0.25}'), ("mine", 20, b'{"loss":1.5,"lr":0.125}')]


def test_a_missing_library_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(ConfigError, match="tracking with trackio needs trackio"):
        open_tracker("trackio", tmp_path)

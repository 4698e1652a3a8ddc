"""What these tests share: a small repository whose code is recorded in this process, and its sources."""

import sys
from pathlib import Path

import pytest

from opencwm.data.repositories.sources import Sources
from opencwm.trace.recording.options import Options
from opencwm.trace.recording.recorder import Recorder


@pytest.fixture
def record_in(tmp_path, monkeypatch):
    """Write a repository's files, import a module of it and record what a function does to that: trace and sources."""

    def record(files, module, act, **options):
        for file, text in files.items():
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        own = {Path(file).parts[0].removesuffix(".py") for file in files}
        try:
            imported = __import__(module, fromlist=["*"])
            recorder = Recorder(Options(on_budget="stop_recording", **options), [str(tmp_path)])
            try:
                with recorder:
                    act(imported)
            except Exception:
                assert recorder.trace.outcome == "raised"
            return recorder.trace, Sources(files, lambda file: files[file].encode())
        finally:
            for name in list(sys.modules):
                if name.partition(".")[0] in own:
                    del sys.modules[name]

    return record

"""Both engines, and what lets these tests import `oracle`, beside them, and `interpreters`, at the top of the tests."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for folder in (HERE, HERE.parents[1]):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


@pytest.fixture(params=["python", "native"])
def engine(request, monkeypatch):
    """The engine that records where none is named."""
    from opencwm.trace.recording import native

    if request.param == "python":
        monkeypatch.setattr(native, "engine", lambda options, scope: None)
    else:
        native.build()
    return request.param

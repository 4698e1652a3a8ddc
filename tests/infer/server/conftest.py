from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Run, save_knowing_model


@pytest.fixture(scope="session")
def knowing(tmp_path_factory) -> Path:
    """The folder of a model that knows the answers of `serving` by heart."""
    folder = tmp_path_factory.mktemp("model") / "knowing"
    save_knowing_model(folder)
    return folder


@pytest.fixture(scope="module")
def server(knowing, tmp_path_factory) -> Iterator[Run]:
    log = tmp_path_factory.mktemp("log") / "stderr"
    options = ["--model", str(knowing), "--max-batch", "4", "--max-queue", "12", "--max-body-mib", "1"]
    run = Run(log, *options)
    yield run
    assert run.stop() == 0, log.read_text()
    assert "Traceback" not in log.read_text()

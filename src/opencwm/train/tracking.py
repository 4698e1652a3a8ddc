"""A run's numbers in somebody else's viewer, as they come: `opencwm train RECIPE --track tensorboard`.

Whatever is tracked, RUN/metrics.jsonl holds everything; a tracker gets the numbers of every logged step under their
names there. After a kill, the steps since the last saved state are made again and logged again at the same step.
"""

import atexit
import importlib
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from opencwm.errors import ConfigError
from opencwm.train.loop import Log

LEFT_OUT = ("event", "step", "num_steps", "eta_s")


def open_tracker(kind: str, run: Path) -> Log:
    """A log that writes to TensorBoard (event files in RUN/tensorboard) or to trackio (a local project with the name
    of the run's folder's parent, a run with that of the folder). Raises ConfigError where the library is missing."""
    open_one = {"tensorboard": _tensorboard, "trackio": _trackio}[kind]
    try:
        return open_one(run)
    except ImportError as exc:
        raise ConfigError(f"tracking with {kind} needs {exc.name}", fix="pip install 'opencwm[track]'") from exc


def numbers(record: dict[str, Any]) -> dict[str, float]:
    """What of a record is drawn as a curve."""
    if record["event"] != "step":
        return {}
    return {key: value for key, value in record.items() if key not in LEFT_OUT}


def _tensorboard(run: Path) -> Log:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(run / "tensorboard"))

    def log(record: dict[str, Any]) -> None:
        for name, value in numbers(record).items():
            writer.add_scalar(name, value, record["step"])
        writer.flush()

    return log


def _trackio(run: Path) -> Log:
    trackio = importlib.import_module("trackio")
    absolute = run.absolute()

    def quietly(do: Callable[[], object]) -> None:
        with redirect_stdout(sys.stderr):  # it narrates; results stay alone on stdout
            do()

    quietly(lambda: trackio.init(project=absolute.parent.name or "opencwm", name=absolute.name, resume="allow"))
    atexit.register(quietly, trackio.finish)

    def log(record: dict[str, Any]) -> None:
        if found := numbers(record):
            trackio.log(found, step=record["step"])

    return log

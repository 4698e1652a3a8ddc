"""A pytest plugin that records what each test runs, in any project's own environment.

    OPENCWM_TRACE=JOB.json PYTHONPATH=(this folder) PYTEST_ADDOPTS="-p opencwm_pytest" pytest ...

`opencwm trace pytest` sets these. Nothing of ours need be installed there: the recorder's folder is loaded from where
the job says it is. JOB.json is {"recording", "out", "scope", "options", "native"}; each process writes
OUT/PID.jsonl, a line per trace (a test's threads one by one), with the test's id and outcome in the header.

Only the test's own call is recorded, not its fixtures and not imports. Whatever goes wrong here, the suite goes on: its
results are those of a run without us.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import json
import os
import sys
from typing import Any, Dict, Iterator, Optional

import pytest

PACKAGE = "_opencwm_recording"


def pytest_configure(config: Any) -> None:
    path = os.environ.get("OPENCWM_TRACE")
    if path and config.pluginmanager.get_plugin("opencwm_windows") is None:
        with open(path, encoding="utf-8") as file:
            config.pluginmanager.register(Windows(json.load(file)), "opencwm_windows")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: Any) -> None:
    """Up to 3.11 there is one trace function, which coverage would miss during every test: it is switched off, so that
    no suite fails for coverage that it has."""
    known = early_config.known_args_namespace
    if sys.version_info < (3, 12) and hasattr(known, "no_cov"):
        known.no_cov = True


class Windows:
    """One recording per test."""

    def __init__(self, job: Dict[str, Any]) -> None:
        recording = _load(job["recording"])
        self._recorder = recording.Recorder
        self._options = recording.Options.from_dict(dict(job["options"], on_budget="stop_recording"))
        self._scope = recording.Scope(job["scope"], fold=self._options.comprehensions == "fold")
        self._out: str = job["out"]
        is_native = bool(job.get("native")) and recording.native.load(job["native"]) is not None
        self._engine = None if is_native else "python"

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: Any) -> Iterator[None]:
        recorder = self._start()
        outcome = yield
        if recorder is not None:
            self._end(recorder, item, outcome)

    def _start(self) -> Optional[Any]:
        try:
            recorder = self._recorder(self._options, self._scope, engine=self._engine)
            recorder.__enter__()
        except Exception as exc:  # the suite goes on
            _say(exc)
            return None
        return recorder

    def _end(self, recorder: Any, item: Any, outcome: Any) -> None:
        try:
            exc = outcome.excinfo[1] if outcome.excinfo else None
            recorder.__exit__(None if exc is None else type(exc), exc, None)
            for header in recorder.headers:
                header["test"] = {"id": item.nodeid, "outcome": _outcome(exc)}
            lines = [line for header, line in zip(recorder.headers, recorder.lines()) if header["num_frames"]]  # noqa: B905
            with open(os.path.join(self._out, "{}.jsonl".format(os.getpid())), "a", encoding="utf-8") as file:
                file.write("".join(line + "\n" for line in lines))
        except Exception as failure:  # the suite goes on
            _say(failure)


def _outcome(exc: Optional[BaseException]) -> str:
    if exc is None:
        return "passed"
    return "skipped" if isinstance(exc, pytest.skip.Exception) else "failed"


def _say(exc: Exception) -> None:
    print("opencwm: a test was not recorded: {}: {}".format(type(exc).__name__, exc), file=sys.stderr)


def _load(folder: str) -> Any:
    """The recorder's folder as a package under a name that no program uses."""
    if PACKAGE not in sys.modules:
        spec = importlib.machinery.ModuleSpec(PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [folder]
        sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    return importlib.import_module(PACKAGE + ".recorder")

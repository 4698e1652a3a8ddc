"""A pytest plugin that records what each test runs, in any project's own environment.

    OPENCWM_TRACE=JOB.json PYTHONPATH=(this folder) PYTEST_ADDOPTS="-p opencwm_pytest" pytest ...

`opencwm trace pytest` sets these; `opencwm_windows` says what a job is and what is written. Only the test's own call is
recorded, not its fixtures and not imports. A session that a test runs inside itself is left alone.

Recording takes time, and no test fails for that: the deadlines of hypothesis are lifted.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Generator, List, Optional

import opencwm_windows
import pytest

NAME = "opencwm_windows"


def _windows() -> Optional[opencwm_windows.Windows]:
    job = None if opencwm_windows.CURRENT_TEST in os.environ else opencwm_windows.job_here()
    if job is None:
        return None
    windows = opencwm_windows.Windows(job)
    if job.get("with_children"):
        windows.follow_forks()
    return windows


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: Any) -> None:
    """Before pytest-cov starts."""
    _register(early_config)
    _switch_coverage_off(early_config, early_config.known_args_namespace)


def pytest_configure(config: Any) -> None:
    _register(config)  # a worker of pytest-xdist loads us too late for the other hook
    _switch_coverage_off(config, config.option)  # from here the workers have it


def _switch_coverage_off(config: Any, options: Any) -> None:
    """Where there is one trace function for both, coverage would miss every test: no suite shall fail for coverage that
    it has."""
    tests = config.pluginmanager.get_plugin(NAME)
    if tests is not None and tests.windows.is_displacing and getattr(options, "cov_source", None):
        options.no_cov = True
        tests.windows.say("coverage was switched off: this interpreter has one trace function, and recording took it")


def _register(config: Any) -> None:
    if config.pluginmanager.get_plugin(NAME) is None:
        windows = _windows()
        if windows is not None:
            config.pluginmanager.register(Tests(windows), NAME)


class Tests:
    """One window per test."""

    def __init__(self, windows: opencwm_windows.Windows) -> None:
        self.windows = windows
        self._closed: Optional[opencwm_windows.Window] = None
        """Recorded, and to be written after the test's teardown."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: List[Any]) -> None:
        if "hypothesis" in sys.modules:
            for item in items:
                _lift_deadline(item)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: Any) -> Generator[None, Any, None]:
        self.windows.started(item.nodeid)
        yield

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self, item: Any) -> Generator[None, Any, None]:
        self.windows.open(item.nodeid)
        outcome = yield
        excinfo = outcome.excinfo
        self._closed = self.windows.close(excinfo[1] if excinfo else None)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Generator[None, Any, None]:
        made = yield
        window = self._closed
        if window is None or made.excinfo:
            return
        if call.when == "call":
            window.outcome = _outcome(made.get_result())
        elif call.when == "teardown":
            self._write()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._write()  # of a test that ended the session
        self.windows.ended()

    def _write(self) -> None:
        window, self._closed = self._closed, None
        if window is not None and window.pid == os.getpid():
            self.windows.put(window)


def _outcome(report: Any) -> str:
    """passed, failed, skipped, xfailed or xpassed."""
    outcome = str(report.outcome)
    if hasattr(report, "wasxfail"):
        return {"skipped": "xfailed", "passed": "xpassed"}.get(outcome, outcome)
    return outcome


def _lift_deadline(item: Any) -> None:
    key = "_hypothesis_internal_use_settings"
    function = getattr(item, "obj", None)
    function = getattr(function, "__func__", function)
    settings = getattr(function, key, None)
    if settings is None:
        return
    try:
        import hypothesis

        checks = [*settings.suppress_health_check, hypothesis.HealthCheck.too_slow]
        setattr(function, key, hypothesis.settings(settings, deadline=None, suppress_health_check=checks))
    except Exception:  # another version's; at worst a deadline is missed
        return

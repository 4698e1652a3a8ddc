"""A small project with the oddities of large ones, recorded by the plugin in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from opencwm.trace.files import read_traces
from opencwm.trace.suites import record_suite

CALC = '''\
import sys


def half(n):
    """Half of a number.

    >>> half(4)
    2
    """
    if n % 2:
        raise ValueError("odd")
    return n // 2


async def later(n):
    return half(n)


if __name__ == "__main__":
    print(half(int(sys.argv[1])))
    sys.exit(3)
'''
RESULTS = """\
import json, os
results = {}
def pytest_runtest_logreport(report):
    results.setdefault(report.nodeid, []).append([report.when, report.outcome, hasattr(report, "wasxfail")])
def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        with open(os.environ["RESULTS"], "w") as file:
            json.dump(results, file)
"""
"""A plugin that notes each test's results."""


ARGUMENTS = ["-q", "-p", "results", "-p", "no:cacheprovider"]


class Project:
    """A folder with `calc.py` and tests; its suite can be run with us and without."""

    def __init__(self, folder: Path, tests: str) -> None:
        self.folder = folder
        self.environment = {"RESULTS": str(folder / "results.json"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        (folder / "calc.py").write_text(CALC)
        (folder / "results.py").write_text(RESULTS)
        (folder / "test_it.py").write_text(tests, encoding="utf-8")

    def run(self, *arguments):
        """pytest's status, and each test's results, without us."""
        command = [sys.executable, "-m", "pytest", *ARGUMENTS, *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        done = subprocess.run(
            command, cwd=self.folder, env={**environment, **self.environment}, capture_output=True, timeout=120
        )
        return done.returncode, self.results()

    def record(self, *arguments, **how):
        """What `record_suite` says, the traces by test, and each test's results."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            suite = record_suite(self.folder / "out.jsonl", [*ARGUMENTS, *arguments], folder=self.folder, **how)
        traces = {}
        for trace in read_traces(self.folder / "out.jsonl"):
            traces.setdefault(trace.header["test"]["id"].partition("::")[2], []).append(trace)
        return suite, traces, self.results()

    def results(self):
        path = self.folder / "results.json"
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        path.unlink()
        return found


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    return lambda tests: Project(tmp_path_factory.mktemp("project"), tests)

"""A pytest plugin: each test's result, phase by phase, and the CPU time of the run, as JSON in $SUITE_RESULTS."""

import json
import os

results = {}


def pytest_runtest_logreport(report):
    outcome = report.outcome + (" (xfail)" if hasattr(report, "wasxfail") else "")
    results.setdefault(report.nodeid, []).append([report.when, outcome])


def pytest_unconfigure(config):
    if hasattr(config, "workerinput"):  # the controller of pytest-xdist hears of everything
        return
    spent = os.times()
    cpu_s = spent.user + spent.system + spent.children_user + spent.children_system
    with open(os.environ["SUITE_RESULTS"], "w", encoding="utf-8") as file:
        json.dump({"results": results, "cpu_s": cpu_s}, file)

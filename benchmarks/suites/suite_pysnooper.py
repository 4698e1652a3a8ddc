"""A pytest plugin: every test's call under PySnooper, as `trace pytest` records it: the same files, the same budget.

Lines go nowhere; how many events were shown stands in $SUITE_SNOOPED at the end.
"""

import os
import sys
import threading

import pysnooper
import pysnooper.tracer
import pytest

MAX_EVENTS = 10_000
"""Per test, as many as the trace format's default keeps frames."""


class Nowhere:
    def write(self, text):
        pass


class CodesBelow(dict):
    """The code objects of files below a folder, as PySnooper asks for them: each is judged once."""

    def __init__(self, folder):
        super().__init__()
        self.folder = os.path.join(folder, "")

    def __contains__(self, code):
        try:
            return self[code]
        except KeyError:
            self[code] = os.path.abspath(code.co_filename).startswith(self.folder)
            return self[code]


class Snooping:
    def __init__(self, folder):
        self.codes = CodesBelow(folder)
        self.num_events = 0

    def call(self):
        """A trace function for one test."""
        tracer = pysnooper.snoop(Nowhere(), max_variable_length=2000, color=False)
        tracer.target_codes = self.codes
        pysnooper.tracer.thread_global.depth = -1
        left = MAX_EVENTS
        codes, trace = self.codes, tracer.trace

        def counted(frame, event, argument):
            nonlocal left
            if frame.f_code not in codes:
                return None
            if left == 0:
                sys.settrace(None)
                return None
            left -= 1
            self.num_events += 1
            return counted if trace(frame, event, argument) else None

        return counted

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        trace = self.call()
        threading.settrace(trace)
        sys.settrace(trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)

    def pytest_unconfigure(self, config):
        with open(os.environ["SUITE_SNOOPED"], "w", encoding="utf-8") as file:
            file.write(str(self.num_events))


def pytest_configure(config):
    config.pluginmanager.register(Snooping(str(config.rootpath)))

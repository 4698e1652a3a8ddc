"""What comes out of a stranger's test suite is looked at before it is believed."""

import gzip
import json
import sys

import pytest
from answering import Answering

from opencwm.data.repositories.suite import LOG, OUT, Environment, SuiteLimits, record_tree
from opencwm.trace.files import read_traces
from opencwm.trace.recording.options import Options
from opencwm.trace.recording.recorder import Recorder

OPTIONS = Options(on_budget="stop_recording")


def one():
    return 1


@pytest.fixture(scope="module")
def line():
    with Recorder(OPTIONS, [__file__]) as recorder:
        one()
    recorder.headers[0]["test"] = {"id": "t", "outcome": "passed"}
    (text,) = recorder.lines()
    return text.encode() + b"\n"


def record(output, *left, **settings):
    environment = Environment(python=sys.executable, readable=(), native=None)
    sandbox = Answering(*left, **settings)
    return record_tree({}, [], environment, output, options=OPTIONS, sandbox=sandbox, limits=SuiteLimits())


def packed(*lines):
    return {OUT: gzip.compress(b"".join(lines)), LOG: b"first\nno tests ran\n"}


def changed(line, change):
    data = json.loads(line)
    change(data)
    return json.dumps(data).encode() + b"\n"


def test_what_two_recordings_agree_on_is_kept(line, tmp_path):
    other = changed(line, lambda data: data["header"]["test"].update(id="u"))
    third = changed(line, lambda data: data["header"]["test"].update(id="v"))
    assert record(tmp_path / "out.jsonl.gz", packed(line, other), packed(third, line)) is None
    assert [trace.header["test"]["id"] for trace in read_traces(tmp_path / "out.jsonl.gz")] == ["t"]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["frames"][0].update(depth="0"),
        lambda data: data["frames"][0].update(line_no=None),
        lambda data: data["frames"][0].update(file=3),
        lambda data: data["frames"][0].update(event="jump"),
        lambda data: data["frames"][0].update(locals={"set": {"x": 1}, "removed": []}),
        lambda data: data["header"].update(options={}),
        lambda data: data["header"].update(truncated=None),
        lambda data: data["header"].pop("test"),
        lambda data: data.update(frames=3),
    ],
)
def test_what_is_no_trace_of_ours_is_refused(line, tmp_path, change):
    strange = packed(line, changed(line, change))
    assert record(tmp_path / "out.jsonl.gz", strange, strange).startswith("crash: ")
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_refused(line, tmp_path):
    whole = gzip.compress(line * 3)
    for data in (whole[:-9], b"not packed", gzip.compress(line + line[:-1])):
        assert record(tmp_path / "out.jsonl.gz", {OUT: data}, {OUT: data}).startswith("crash: ")
    bomb = gzip.compress(b"x" * (26 << 20))
    assert "too long" in record(tmp_path / "out.jsonl.gz", {OUT: bomb}, {OUT: bomb})
    assert list(tmp_path.iterdir()) == []


def test_why_nothing_was_recorded(tmp_path):
    out = tmp_path / "out.jsonl.gz"
    assert record(out, packed()) == "no tests: no tests ran"
    assert record(out, {LOG: b"Traceback\nOSError: no\n"}) == "crash: OSError: no"
    assert record(out, {}, ended="timeout") == "time: its tests were stopped after 1 s"

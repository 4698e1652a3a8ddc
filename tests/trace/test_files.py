import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencwm.errors import ConfigError, DataError
from opencwm.trace.files import (
    ABOUT,
    ROWS_PER_GROUP,
    Row,
    parquet_info,
    read_jsonl,
    read_rows,
    read_traces,
    replacing,
    write_parquet,
    write_traces,
)
from opencwm.trace.recording.frame import Frame, Locals, Trace

KINDS = ["run.jsonl", "run.jsonl.gz", "run.parquet"]


@pytest.fixture
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / request.param


@pytest.mark.parametrize("path", KINDS, indirect=True)
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=30)
@given(data=st.data())
def test_files_round_trip(data, any_traces, path):
    traces = data.draw(st.lists(any_traces, max_size=3))
    write_traces(path, traces)
    assert list(read_traces(path)) == traces


@pytest.mark.parametrize("path", KINDS, indirect=True)
def test_the_same_traces_give_the_same_bytes_and_nothing_else(path, example, monkeypatch):
    write_traces(path, [example])
    first = path.read_bytes()
    monkeypatch.setattr("time.time", lambda: 1e9)
    monkeypatch.setattr("os.getpid", lambda: 7)
    write_traces(path, [example])
    assert path.read_bytes() == first
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("path", KINDS, indirect=True)
def test_a_reader_of_the_old_file_goes_on_reading_it(path, example):
    write_traces(path, [example])
    first = path.read_bytes()
    with path.open("rb") as reader:
        write_traces(path, [])
        assert reader.read() == first


@pytest.mark.parametrize("path", KINDS, indirect=True)
def test_a_writer_that_fails_leaves_the_old_file(path, example):
    write_traces(path, [example])

    def failing():
        yield example
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_traces(path, failing())
    assert list(read_traces(path)) == [example]
    assert os.listdir(path.parent) == [path.name]


def test_a_line_is_one_object_with_the_keys_of_the_format(tmp_path, example):
    write_traces(tmp_path / "a.jsonl", [example])
    line = (tmp_path / "a.jsonl").read_text()
    assert line.startswith('{"header":{"format":1,"context":"\\ndef half(n):')
    assert line.endswith("}]}\n")
    assert json.loads(line)["frames"][2] == {
        "event": "call",
        "depth": 1,
        "file": "half.py",
        "line_no": 6,
        "source_line": "def g(xs):",
        "locals": {"set": {"xs": "[3, 4]"}, "removed": []},
    }


def test_a_cut_file_gives_the_traces_before_and_says_where(tmp_path, example):
    path = tmp_path / "run.jsonl"
    write_traces(path, [example, example])
    whole = path.read_bytes()
    for end in (len(whole) // 2 + 100, len(whole) - 2):
        path.write_bytes(whole[:end])
        reader = read_traces(path)
        assert next(reader) == example
        with pytest.raises(DataError, match=r"run\.jsonl, line 2, byte (\d+): the line is cut off") as caught:
            next(reader)
        assert len(whole) // 2 <= int(str(caught.value).split("byte ")[1].split(":")[0]) <= end
    path.write_bytes(whole[:-1])
    assert list(read_traces(path)) == [example, example]


def test_a_cut_gzip_file_says_where(tmp_path, example):
    path = tmp_path / "run.jsonl.gz"
    write_traces(path, [example] * 3)
    path.write_bytes(path.read_bytes()[:-12])
    before = []
    with pytest.raises(DataError, match=r"run\.jsonl\.gz, line \d, byte \d+: the gzip data is cut") as caught:
        before.extend(read_traces(path))
    assert f"line {len(before) + 1}, byte {len(before) * len(example.to_json() + 'n')}:" in str(caught.value)
    path.write_bytes(b"no gzip at all")
    with pytest.raises(DataError, match=r"line 1, byte 0: the gzip data is cut or damaged"):
        list(read_traces(path))


def invalid(**change: object) -> bytes:
    frame = {"event": "return", "depth": 0, "file": "a", "line_no": 1, "source_line": "x", "value": "1"} | change
    kept = {key: value for key, value in frame.items() if value is not None}
    return json.dumps({"header": {"context": "", "outcome": "returned"}, "frames": [kept]}).encode()


@pytest.mark.parametrize(
    ("line", "byte", "reason"),
    [
        (b"{", 1, "not JSON"),
        (b"", 0, "not JSON"),
        ("{'é'}".encode(), 1, "not JSON"),
        ('["é", }'.encode(), 7, "not JSON"),
        (b'{"\xff"}', 2, "not UTF-8"),
        (b"[]", 0, "not a trace"),
        (b'{"header":{}}', 0, "'frames' is missing"),
        (b'{"header":{},"frames":[]}', 0, "'context' is missing"),
        (b'{"header":{"context":"","outcome":"exit","format":2},"frames":[]}', 0, "its format is 2"),
        (b'{"header":{"context":1,"outcome":"exit"},"frames":[]}', 0, "header's context is not a text"),
        (invalid(event="jump"), 0, "unknown event"),
        (invalid(value=1), 0, "value of frame 0 is not a text"),
        (invalid(value=None), 0, "value of frame 0 is not a text"),
        (invalid(event="line"), 0, "frame 0 has no locals"),
        (invalid(event="line", locals={"set": {"x": 1}, "removed": []}), 0, "a local of frame 0 is not a text"),
        (invalid(event="line", locals={"set": []}), 0, "'removed' is missing"),
        (invalid(source_line=3), 0, "source_line of frame 0 is not a text"),
        (b"[" * 100_000, 0, "not a trace"),
    ],
)
def test_a_line_that_is_no_trace_is_named_with_its_byte(tmp_path, example, line, byte, reason):
    path = tmp_path / "run.jsonl"
    write_traces(path, [example])
    start = path.stat().st_size
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(DataError, match=rf"line 2, byte {start + byte}: .*{reason}"):
        list(read_jsonl(path))


@pytest.mark.parametrize("path", KINDS, indirect=True)
def test_a_file_that_is_not_there_or_cannot_be_written_is_said_in_one_sentence(path, example):
    with pytest.raises(DataError, match=r"cannot be read"):
        list(read_traces(path))
    with pytest.raises(DataError, match=r"cannot be written"):
        write_traces(path / "deeper", [example])


def test_parquet_has_the_columns_of_the_format(tmp_path, example):
    import pyarrow.parquet as parquet

    path = tmp_path / "run.parquet"
    write_parquet(path, [Row.of(example, source="by hand")], info={"seed": 1})
    row = parquet.read_table(path).to_pylist()[0]
    assert list(row) == ["trace_id", "source", "header", "outcome", "num_frames", "frames", *ABOUT]
    assert (row["source"], row["outcome"], row["num_frames"]) == ("by hand", "returned", 26)
    assert row["frames"][3] == {
        "event": "line",
        "cause": None,
        "depth": 1,
        "file": "half.py",
        "line_no": 7,
        "source_line": "    out = []",
        "locals": '{"set":{},"removed":[]}',
        "value": None,
    }
    assert parquet_info(path) == {"seed": 1}
    assert list(read_rows(path)) == [Row.of(example, source="by hand")]


def test_parquet_goes_over_row_groups_in_order(tmp_path):
    traces = [Trace({"context": str(i), "outcome": "returned"}) for i in range(ROWS_PER_GROUP + 3)]
    write_traces(tmp_path / "run.parquet", traces)
    assert list(read_traces(tmp_path / "run.parquet")) == traces
    assert len({row.trace_id for row in read_rows(tmp_path / "run.parquet")}) == len(traces)


def test_a_cut_parquet_file_is_a_data_error(tmp_path, example):
    path = tmp_path / "run.parquet"
    write_traces(path, [example])
    path.write_bytes(path.read_bytes()[:-30])
    for read in (lambda path: list(read_traces(path)), parquet_info):
        with pytest.raises(DataError, match=r"run\.parquet cannot be read as traces in Parquet"):
            read(path)


def test_lone_surrogates_do_not_stop_a_file(tmp_path):
    trace = Trace(
        {"context": "\ud800", "outcome": "returned"},
        [
            Frame("call", 0, "a.py", 1, "f", locals=Locals({"x": "\ud800"})),
            Frame("return", 0, "a.py", 1, "f \ud800", value="\ud800"),
        ],
    )
    write_traces(tmp_path / "a.jsonl", [trace])
    assert list(read_traces(tmp_path / "a.jsonl")) == [trace]
    write_traces(tmp_path / "a.parquet", [trace])
    (read,) = read_traces(tmp_path / "a.parquet")
    assert read.frames[0] == trace.frames[0]
    assert (read.frames[1].value, read.frames[1].source_line) == ("\\ud800", "f \\ud800")


def test_without_pyarrow_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").touch()
    for use in (lambda: list(read_traces(tmp_path / "a.parquet")), lambda: write_traces(tmp_path / "a.parquet", [])):
        with pytest.raises(ConfigError) as caught:
            use()
        assert "pip install" in caught.value.fix


def test_pyarrow_is_imported_only_for_parquet():
    code = "import sys, opencwm.trace.files; print('pyarrow' in sys.modules)"
    source = Path(__file__).parents[2] / "src"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(source)})
    assert ran.stdout == "False\n", ran.stderr


def test_replacing_keeps_other_errors(tmp_path):
    def fail() -> None:
        with replacing(tmp_path / "a") as partial:
            partial.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert os.listdir(tmp_path) == []


def test_a_gzip_file_is_one(tmp_path, example):
    write_traces(tmp_path / "a.jsonl.gz", [example])
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).decode() == example.to_json() + "\n"

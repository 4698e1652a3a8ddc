import pytest

from opencwm.data.stats import dataset_stats
from opencwm.errors import DataError
from opencwm.trace.files import Row, write_parquet
from opencwm.trace.recording.frame import Frame, Locals, Trace


def trace(num_lines, context="\ndef f():\n", outcome="returned"):
    frames = [Frame("call", 0, "p.py", 1, "def f():", locals=Locals({}, []))]
    frames += [Frame("line", 0, "p.py", n + 2, "x = 1", locals=Locals({"x": str(n)}, [])) for n in range(num_lines)]
    frames.append(Frame("return", 0, "p.py", num_lines + 1, "x = 1", value="None"))
    return Trace({"format": 1, "context": context, "outcome": outcome}, frames)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    about = {"package": "toolz", "version": "1.1.0", "licence": "BSD"}
    first = [
        Row(trace_id="a", source="generated", trace=trace(1)),
        Row(trace_id="b", source="harvested toolz.first", trace=trace(14, "\ndef g():\n"), **about),
    ]
    second = [Row(trace_id="a", source="generated", trace=trace(2, outcome="raised"))]
    for n, rows in enumerate([first, second]):
        write_parquet(folder / f"shard-{n:05d}.parquet", rows)
    (folder / "manifest.json").write_text(
        '{"shards": [{"file": "shard-00000.parquet"}, {"file": "shard-00001.parquet"}]}'
    )
    return folder


def test_everything_is_counted(folder):
    found = dataset_stats(folder)
    assert found["by_source"] == [
        {"kind": "generated", "traces": 2, "frames": 7, "median_frames": 3.5},
        {"kind": "harvested", "traces": 1, "frames": 16, "median_frames": 16.0},
    ]
    assert {row["outcome"]: row["traces"] for row in found["by_outcome"]} == {"returned": 2, "raised": 1}
    events = {row["event"]: row["frames"] for row in found["by_event"]}
    assert events == {"line": 17, "call": 3, "return": 3}
    assert found["lengths"] == [
        {"from_frames": 2, "traces": 1},
        {"from_frames": 4, "traces": 1},
        {"from_frames": 16, "traces": 1},
    ]
    assert (found["frames"]["min"], found["frames"]["p50"], found["frames"]["max"]) == (3, 4, 16)
    assert found["packages"] == [{"package": "toolz", "version": "1.1.0", "licence": "BSD", "traces": 1}]
    assert found["duplicates"] == {"trace_ids": 1, "programs_with_input": 1}


def test_a_folder_that_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a finished dataset"):
        dataset_stats(tmp_path)

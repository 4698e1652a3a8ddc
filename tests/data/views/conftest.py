"""A small dataset of traces, recorded once."""

import json

import pytest

from opencwm.data.programs import generate
from opencwm.data.record import record_many
from opencwm.trace.files import Row, write_parquet

OWN = [
    ("def double(x):\n    y = x + x\n    return y\n", "double([3, 4])"),
    ("def fail(x):\n    return x[0]\n", "fail([])"),
    ("def make(n):\n    return lambda x: x + n\n", "make(3)"),
]


@pytest.fixture(scope="session")
def traces():
    """Of `OWN`, then of generated programs."""
    programs = [*OWN, *((each.source, each.call) for each in map(generate, range(400, 416)))]
    results = list(record_many(programs, trusted=True))
    assert all(result.trace for result in results), [result.cause for result in results]
    return [result.trace for result in results]


@pytest.fixture(scope="session")
def dataset(traces, tmp_path_factory):
    """A finished dataset of two shards."""
    folder = tmp_path_factory.mktemp("dataset")
    rows = [Row.of(trace, source="generated") for trace in traces]
    shards = []
    for number, part in enumerate((rows[:12], rows[12:])):
        name = f"shard-{number:05d}.parquet"
        write_parquet(folder / name, part)
        shards.append({"file": name, "num_traces": len(part)})
    manifest = {"format": 1, "num_traces": len(rows), "shards": shards}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder

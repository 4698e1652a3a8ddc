"""Whole datasets of views: what is in them, and that killing costs nothing."""

import dataclasses
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

from opencwm.data.dataset import read_manifest
from opencwm.data.views import derive as module
from opencwm.data.views.derive import ViewConfig, derive
from opencwm.data.views.files import read_pairs
from opencwm.data.views.pairs import Asking
from opencwm.data.views.questions import answer_in
from opencwm.errors import ConfigError, DataError, ProviderError
from opencwm.executors import executor_for
from opencwm.fakes import ScriptedModel, last_message


def digest(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def pairs_of(folder):
    return [pair for path in sorted(folder.glob("*.parquet")) for pair in read_pairs(path)]


@pytest.mark.parametrize("view", ["prose", "debugger", "inverse", "output", "input"])
def test_every_trace_is_a_pair_or_counted(dataset, traces, tmp_path, view):
    manifest = derive(dataset, tmp_path, ViewConfig(view=view))
    pairs = pairs_of(tmp_path)
    assert manifest == read_manifest(tmp_path)
    assert manifest["num_pairs"] == len(pairs) == sum(shard["num_pairs"] for shard in manifest["shards"])
    assert len(pairs) + sum(manifest["dropped"].values()) == len(traces)
    assert len(pairs) >= 10
    for shard in manifest["shards"]:
        assert hashlib.sha256((tmp_path / shard["file"]).read_bytes()).hexdigest() == shard["sha256"]
    if view in ("prose", "output", "input"):
        assert all(answer_in(pair.completion) == pair.answer for pair in pairs)


def test_an_input_that_gives_something_else_when_run_again_is_left_out(dataset, tmp_path, monkeypatch):
    """What a call returns may depend on more than its arguments; here, the verdict of running it again is no."""
    derive(dataset, tmp_path / "all", ViewConfig(view="input"))
    kept = len(pairs_of(tmp_path / "all"))
    monkeypatch.setattr(module, "returns", lambda calls, *, trusted: [number > 0 for number in range(len(calls))])
    manifest = derive(dataset, tmp_path / "less", ViewConfig(view="input"))
    assert manifest["dropped"]["another output when run again"] == 2  # the first of each shard
    assert manifest["num_pairs"] == kept - 2


def test_several_tellings_of_a_trace_differ(dataset, tmp_path):
    derive(dataset, tmp_path, ViewConfig(view="prose", per_trace=3))
    by_trace: dict[str, set[str]] = {}
    for pair in pairs_of(tmp_path):
        by_trace.setdefault(pair.trace_id, set()).add(pair.completion)
    assert max(map(len, by_trace.values())) == 3
    assert len(pairs_of(tmp_path)) == sum(map(len, by_trace.values()))


def test_a_pool_gives_the_same_bytes(dataset, tmp_path):
    derive(dataset, tmp_path / "one", ViewConfig(view="debugger"))
    derive(dataset, tmp_path / "two", ViewConfig(view="debugger"), executor=executor_for(2))
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_what_is_missing_is_made_again_with_the_same_bytes(dataset, tmp_path):
    config = ViewConfig(view="prose", asking=Asking(seed=4))
    derive(dataset, tmp_path / "whole", config)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    (tmp_path / "cut" / "manifest.json").unlink()
    (tmp_path / "cut" / "shard-00001.parquet").unlink()
    before = (tmp_path / "cut" / "shard-00000.parquet").stat().st_mtime_ns
    said = []
    derive(dataset, tmp_path / "cut", config, say=said.append)
    assert digest(tmp_path / "cut") == digest(tmp_path / "whole")
    assert (tmp_path / "cut" / "shard-00000.parquet").stat().st_mtime_ns == before
    assert said[0] == "1 of 2 shards are there already"
    derive(dataset, tmp_path / "cut", config, say=said.append)
    assert "is complete" in said[-1]


KILLED = """
import sys
from pathlib import Path
from opencwm.data.views.derive import ViewConfig, derive
from opencwm.fakes import ScriptedModel, last_message
import time

def answer(request):
    time.sleep(0.01)
    return "It ends.\\n\\nANSWER: " + last_message(request).rpartition("returns ")[2]

derive(sys.argv[1], sys.argv[2], ViewConfig(view="narrated", model="scripted"), model=ScriptedModel(answer))
"""


def answer_of(request):
    return "It ends.\n\nANSWER: " + last_message(request).rpartition("returns ")[2]


def test_a_killed_narration_goes_on_and_asks_nothing_twice(dataset, tmp_path, monkeypatch):
    config = ViewConfig(view="narrated", model="scripted")
    monkeypatch.setattr(module, "PORTION", 2)
    whole = ScriptedModel(answer_of)
    derive(dataset, tmp_path / "whole", config, model=whole)
    script = tmp_path / "derive.py"
    script.write_text(KILLED.replace("derive(sys", "import opencwm.data.views.derive as m; m.PORTION = 2; derive(sys"))
    running = subprocess.Popen([sys.executable, script, dataset, tmp_path / "cut"])
    journal = tmp_path / "cut" / ".shard-00000.answers.jsonl"
    for _ in range(3000):
        if journal.exists() and journal.read_bytes().count(b"\n") >= 2:
            break
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "cut" / "manifest.json").exists()
    again = ScriptedModel(answer_of)
    derive(dataset, tmp_path / "cut", config, model=again)
    assert digest(tmp_path / "cut") == digest(tmp_path / "whole")
    assert len(again.requests) < len(whole.requests)


def test_right_narrations_are_kept_and_wrong_ones_counted(dataset, tmp_path):
    def answer(request):
        right = "double" in last_message(request)
        return answer_of(request) if right else "It ends.\n\nANSWER: 'no'"

    manifest = derive(dataset, tmp_path, ViewConfig(view="narrated", model="m"), model=ScriptedModel(answer, name="m"))
    pairs = pairs_of(tmp_path)
    assert "ANSWER: [3, 4, 3, 4]" in {pair.completion.rpartition("\n")[2] for pair in pairs}
    assert manifest["dropped"]["wrong answer"] > 5
    assert manifest["view"]["model"] == "m"
    assert not list(tmp_path.glob(".*"))


def test_a_dead_server_stops_the_work_and_loses_nothing(dataset, tmp_path):
    config = ViewConfig(view="narrated", model="scripted")

    class Down:
        name, tokenizer = "scripted", None

        def generate(self, requests):
            raise ProviderError("nobody there")

    with pytest.raises(ProviderError):
        derive(dataset, tmp_path, config, model=Down())
    assert derive(dataset, tmp_path, config, model=ScriptedModel(answer_of))["num_pairs"] > 10


def test_another_configuration_is_refused_with_what_differs(dataset, tmp_path):
    derive(dataset, tmp_path, ViewConfig(view="output"))
    with pytest.raises(ConfigError, match=r"view \('output', now 'prose'\)"):
        derive(dataset, tmp_path, ViewConfig(view="prose"))
    with pytest.raises(ConfigError, match=r"asking.seed \(0, now 3\)"):
        derive(dataset, tmp_path, ViewConfig(view="output", asking=Asking(seed=3)))


def test_another_dataset_is_refused(dataset, tmp_path):
    derive(dataset, tmp_path / "view", ViewConfig(view="output"))
    other = shutil.copytree(dataset, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps(manifest | {"note": 1}))
    with pytest.raises(ConfigError, match="dataset_sha256"):
        derive(other, tmp_path / "view", ViewConfig(view="output"))


def test_bad_input_is_said_in_a_sentence(dataset, tmp_path):
    with pytest.raises(DataError, match="not a finished dataset"):
        derive(tmp_path, tmp_path / "out", ViewConfig())
    with pytest.raises(ConfigError, match="is the dataset itself"):
        derive(dataset, dataset, ViewConfig())
    for bad in ({"view": "poem"}, {"per_trace": 0}, {"view": "narrated"}, {"view": "prose", "model": "m"}):
        with pytest.raises(ConfigError):
            dataclasses.replace(ViewConfig(), **bad)
    with pytest.raises(DataError, match="no such file"):
        list(read_pairs(tmp_path / "none.parquet"))
    derive(dataset, tmp_path / "out", ViewConfig(view="output"))
    (tmp_path / "out" / "view.json").write_text("[")
    with pytest.raises(DataError, match="not the configuration of a view"):
        derive(dataset, tmp_path / "out", ViewConfig(view="output"))

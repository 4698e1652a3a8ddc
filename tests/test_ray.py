"""The executor on a real Ray cluster, which has one machine: this one."""

import hashlib
import os
import signal

import pytest

from opencwm.data.build import build
from opencwm.data.recipe import Recipe
from opencwm.errors import ConfigError, WorldError
from opencwm.executors import Inline, Ray

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)
RECIPE = Recipe(num_programs=6, shard_size=3, max_frames=60, near_duplicates=None)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    settings = {"include_dashboard": False, "log_to_driver": False, "object_store_memory": 80_000_000}
    ray.init(address="local", num_cpus=1, logging_level="ERROR", **settings)
    yield
    ray.shutdown()


def shards(folder):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("shard-*.parquet"))]


def test_a_dataset_has_the_same_bytes_when_ray_makes_it(tmp_path):
    build(RECIPE, tmp_path / "here", executor=Inline(), say=lambda line: None)
    build(RECIPE, tmp_path / "there", executor=Ray(), say=lambda line: None)
    assert shards(tmp_path / "there") == shards(tmp_path / "here")
    assert len(shards(tmp_path / "there")) == 2


def die_once(path):
    if path.exists():
        return os.getpid()
    path.touch()
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_worker_was_at_is_done_by_another(tmp_path):
    ((item, pid),) = Ray().map(die_once, [tmp_path / "mark"])
    assert item == tmp_path / "mark"
    assert pid != os.getpid()


def refuse(item):
    raise ConfigError(f"not {item}")


def test_an_error_of_the_work_reaches_the_caller():
    with pytest.raises(ConfigError, match="not this"):
        list(Ray().map(refuse, ["this"]))


def die(item):
    os._exit(item)


def test_work_that_kills_every_worker_is_given_up(monkeypatch):
    monkeypatch.setattr("opencwm.executors.MAX_ATTEMPTS", 1)
    with pytest.raises(WorldError, match="worker processes died"):
        list(Ray().map(die, [3]))

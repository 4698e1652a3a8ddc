"""A view of every trace of a dataset: shards in, shards out.

    DIR/shard-00000.parquet ... --one shard at a time--> OUT/shard-00000.parquet ... --> OUT/manifest.json, written last

A derived shard is a pure function of (shard, configuration, what a model answered), written whole: the work can be
killed at any moment and goes on where it was. A model's answers are kept as they come, so that none is asked for twice.
Rows are pairs with the trace they are from and whose code it is; `prompt` and `completion` are the columns that
fine-tuning libraries expect.
"""

import dataclasses
import hashlib
import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from opencwm import __version__
from opencwm.data.dataset import read_manifest
from opencwm.data.journal import Journal
from opencwm.data.views.files import CONFIG, Derived, pairs_info, write_pairs
from opencwm.data.views.narrators import Narrating, tell
from opencwm.data.views.pairs import VIEWS, Asking, Left, Pair
from opencwm.data.views.questions import returns
from opencwm.errors import ConfigError, DataError
from opencwm.executors import Executor, Inline
from opencwm.protocols import Model
from opencwm.trace.files import ABOUT, Row, read_rows, replacing
from opencwm.trace.stream import encodable

ViewName = Literal["prose", "narrated", "debugger", "inverse", "output", "input"]
MANIFEST = "manifest.json"
PORTION = 32
"""Traces that a model is asked about together; what a kill costs."""

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewConfig:
    """What is derived. `narrated` is prose by a language model, the others need none."""

    view: ViewName = "prose"
    per_trace: int = 1
    """Pairs made of each trace, in other words or by other actions; equal ones are kept once."""
    asking: Asking = field(default_factory=Asking)
    narrating: Narrating = field(default_factory=Narrating)
    model: str | None = None
    """The name of the model that narrates."""

    def __post_init__(self) -> None:
        if self.view not in get_args(ViewName):
            raise ConfigError(f"there is no view {self.view!r}", fix=f"there are: {', '.join(get_args(ViewName))}")
        if self.per_trace < 1:
            raise ConfigError(f"per_trace is {self.per_trace}: it must be at least 1")
        if (self.view == "narrated") != (self.model is not None):
            raise ConfigError(
                "a model tells the view narrated, and no other", fix="name the one or leave out the other"
            )

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardJob:
    """All that a worker needs to derive one shard."""

    config: ViewConfig
    shard: Path
    out: Path


def derive(
    folder: str | Path,
    out_dir: str | Path,
    config: ViewConfig,
    *,
    model: Model | None = None,
    executor: Executor | None = None,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Derive the view of a finished dataset, or what is missing of it; returns the manifest.

    Raises ConfigError where OUT was begun with something else, DataError where DIR is no finished dataset, and
    ProviderError where a model's server is down: what it has answered so far is kept.
    """
    source, out = Path(folder), Path(out_dir)
    shards = [source / shard["file"] for shard in read_manifest(source)["shards"]]
    if source.resolve() == out.resolve():
        raise ConfigError(f"{out} is the dataset itself", fix="choose another folder for the view")
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, config, _sha256(source / MANIFEST))
    if (out / MANIFEST).exists():
        manifest: dict[str, Any] = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        say(f"{out} is complete: {manifest['num_pairs']:,} pairs")
        return manifest
    jobs = [ShardJob(config=config, shard=shard, out=out / shard.name) for shard in shards]
    missing = [job for job in jobs if not job.out.exists()]
    if len(missing) < len(jobs):
        say(f"{len(jobs) - len(missing)} of {len(jobs)} shards are there already")
    work = derive_shard if model is None else partial(derive_shard, model=model, say=say)
    run = (Inline() if model is not None or executor is None else executor).map(work, missing)
    started, num_pairs = time.monotonic(), 0
    for done, (job, count) in enumerate(run, 1):
        num_pairs += count
        seconds = time.monotonic() - started
        minutes = seconds / done * (len(missing) - done) / 60
        say(
            f"{job.out.name}  {done}/{len(missing)}  {num_pairs:,} pairs  {num_pairs / seconds:.0f} pairs/s  "
            f"eta {minutes:.0f} min"
        )
    return _finish(out, config, [job.out for job in jobs], source)


def derive_shard(job: ShardJob, *, model: Model | None = None, say: Say = lambda line: None) -> int:
    """Derive one shard; how many pairs it holds. Called in a worker where there is no model."""
    rows = list(read_rows(job.shard))
    dropped: Counter[str] = Counter()
    journal = None if model is None else Journal(job.out.with_name(f".{job.out.stem}.answers.jsonl"))
    if model is None or journal is None:
        made = _made(rows, job.config)
    else:
        made = _narrated(rows, job.config, model, journal, partial(_say_asked, say, job.out.name, len(rows)))
    derived = []
    for row, number, pair in _checked(made, job.config):
        if isinstance(pair, Left):
            dropped[pair.reason] += 1
        else:
            derived.append(
                Derived(
                    trace_id=row.trace_id,
                    number=number,
                    source=row.source,
                    prompt=encodable(pair.prompt),
                    completion=encodable(pair.completion),
                    answer=None if pair.answer is None else encodable(pair.answer),
                    **{name: getattr(row, name) for name in ABOUT},
                )
            )
    write_pairs(job.out, derived, info={"dropped": dict(sorted(dropped.items()))})
    if journal is not None:
        journal.remove()
    return len(derived)


Made = tuple[Row, int, Pair | Left]


def _made(rows: Sequence[Row], config: ViewConfig) -> Iterator[Made]:
    make = VIEWS[config.view]
    for row in rows:
        seen: set[str] = set()
        for number in range(config.per_trace):
            seed = int.from_bytes(hashlib.sha256(f"{config.asking.seed}/{row.trace_id}/{number}".encode()).digest()[:6])
            pair = make(row.trace, dataclasses.replace(config.asking, seed=seed))
            if isinstance(pair, Left):
                yield row, number, pair
                break
            if pair.completion not in seen:
                seen.add(pair.completion)
                yield row, number, pair


def _narrated(
    rows: Sequence[Row], config: ViewConfig, model: Model, journal: Journal, progress: Callable[[int], None]
) -> Iterator[Made]:
    def answer(asked: Sequence[tuple[Row, int]]) -> list[Any]:
        told: list[Any] = []
        for number in dict.fromkeys(number for _, number in asked):  # one seed for each of a trace's tellings
            how = dataclasses.replace(config.narrating, seed=config.narrating.seed + number)
            together = [row for row, each in asked if each == number]
            told += tell(model, [row.trace for row in together], how)
        return [{"left": each.reason} if isinstance(each, Left) else dataclasses.asdict(each) for each in told]

    wanted = [(row, number) for number in range(config.per_trace) for row in rows]
    for num_answered in journal.ask(wanted, _key, answer, portion=PORTION):
        progress(num_answered)
    for row in rows:
        seen: set[str] = set()
        for number in range(config.per_trace):
            said = journal.answers[_key((row, number))]
            pair = Left(said["left"]) if "left" in said else Pair(**{**said, "call": None})
            if isinstance(pair, Left) or pair.completion not in seen:
                seen.add("" if isinstance(pair, Left) else pair.completion)
                yield row, number, pair


def _key(asked: tuple[Row, int]) -> str:
    return f"{asked[0].trace_id}/{asked[1]}"


def _say_asked(say: Say, name: str, num_rows: int, num_answered: int) -> None:
    say(f"{name}  {num_answered:,} of {num_rows:,} traces told")


def _checked(made: Iterator[Made], config: ViewConfig) -> Iterator[Made]:
    """Inputs are run once more: only those stay that give the output again."""
    if config.view != "input":
        yield from made
        return
    waiting = list(made)
    calls = [pair.call for _, _, pair in waiting if isinstance(pair, Pair) and pair.call is not None]
    is_ours = all(row.source.startswith("generated") for row, _, _ in waiting)
    verdicts = iter(returns(calls, trusted=is_ours))
    for row, number, pair in waiting:
        is_right = isinstance(pair, Left) or next(verdicts)
        yield row, number, pair if is_right else Left("another output when run again")


def _claim(out: Path, config: ViewConfig, dataset: str) -> None:
    """Write down what is derived of what, or find the same there."""
    path, mine = out / CONFIG, config.to_dict() | {"dataset_sha256": dataset}
    if not path.exists():
        if any(out.glob("shard-*.parquet")):
            raise ConfigError(f"{out} holds shards but no {CONFIG}", fix="choose another folder")
        with replacing(path) as partial_path:
            partial_path.write_text(json.dumps(mine, indent=1) + "\n", encoding="utf-8")
        return
    try:
        theirs = _flat(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, AttributeError) as exc:
        raise DataError(f"{path} is not the configuration of a view: {exc}", fix="choose another folder") from exc
    flat = _flat(mine)
    differing = [f"{key} ({theirs.get(key)!r}, now {flat[key]!r})" for key in flat if theirs.get(key) != flat[key]]
    if differing:
        raise ConfigError(
            f"{out} was begun with something else: {', '.join(differing)}",
            fix="choose another folder, or go on with what it was begun with",
        )


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _finish(out: Path, config: ViewConfig, shards: Sequence[Path], source: Path) -> dict[str, Any]:
    infos = [pairs_info(path) for path in shards]
    dropped = sum((Counter(info["dropped"]) for info in infos), Counter())
    manifest = {
        "format": 1,
        "num_pairs": sum(info["num_pairs"] for info in infos),
        "dropped": dict(sorted(dropped.items())),
        "view": config.to_dict(),
        "dataset_sha256": _sha256(source / MANIFEST),
        "versions": {"python": platform.python_version(), "opencwm": __version__, "pyarrow": version("pyarrow")},
        "shards": [
            {"file": path.name, "num_pairs": info["num_pairs"], "sha256": _sha256(path)}
            for path, info in zip(shards, infos, strict=True)
        ],
    }
    with replacing(out / MANIFEST) as partial_path:
        partial_path.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

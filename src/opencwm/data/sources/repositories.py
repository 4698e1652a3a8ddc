"""Test suites of repositories, recorded at their present commit and at earlier ones, and cut into episodes.

    places --prepare--> repositories.jsonl: path, commit, licence of each
    a repository --suite.py, history.py: its suite, sandboxed, at commits--> traces --episodes.py--> takes

One position of a plan is one repository with its commits. Earlier commits are drawn at random; one is kept where its
suite gives episodes of functions that no commit kept before has, and of those only. CWM, arXiv 2510.02387, section
2.2: up to 40 earlier commits tried, 4 kept. Recorded suites stay in the dataset's folder, so that a build that was
killed goes on after them.

The test environment is the user's: an interpreter with pytest and what the repository needs. Earlier commits run in
that of the present one, too; those that cannot are not kept.
"""

import dataclasses
import json
import random
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from opencwm.data.record import Recorded
from opencwm.data.repositories import history
from opencwm.data.repositories.episodes import Episode, EpisodeConfig, episodes_of
from opencwm.data.repositories.licence import licence_of
from opencwm.data.repositories.sources import Sources
from opencwm.data.repositories.suite import Environment, SuiteLimits, check_isolation, record_tree
from opencwm.data.sources.base import Dealer, Job, Package, Run, Say, Shard, Take, Work, by_lines, key_of
from opencwm.errors import ConfigError, DataError
from opencwm.sandbox import NamespaceSandbox
from opencwm.trace.files import read_traces, replacing
from opencwm.trace.recording.frame import Trace, dump
from opencwm.trace.recording.options import Options

LIST = "repositories.jsonl"
SUITES = "suites"
KIND = "repository"


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """One line of a list of repositories, and of what `prepare` leaves."""

    path: str
    python: str
    """The interpreter that runs its tests."""
    tests: str
    """pytest's arguments, as in a shell."""
    name: str = ""
    commit: str = ""
    """Full hash; "" for a folder that is no git repository."""
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class RepositoryWork(Work):
    repository: Repository
    folder: Path
    """Where recorded suites are kept."""
    config: EpisodeConfig

    def keys(self) -> tuple[str, list[str]]:
        return "", [key_of(KIND, self.repository.name, self.repository.commit, self.repository.tests)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Repositories:
    name: ClassVar[str] = "repositories"
    kinds: ClassVar[tuple[str, ...]] = (KIND,)

    weight: float = 0.0
    """Share of the plan's positions, relative to the other sources'; each repository takes one."""
    places: tuple[str, ...] = ()
    """Folders, git repositories or not, and `.jsonl` files with one {"path", "python", "tests"} per line."""
    python: str | None = None
    """The interpreter with pytest and what the tests need, where a list does not say; None: this one."""
    tests: str = "-q"
    """pytest's arguments, where a list does not say."""
    commits: int = 4
    """Most earlier commits kept of each repository."""
    tries: int = 40
    """Most earlier commits tried."""
    rows: int = 10_000
    """Most traces of one repository, all its commits together."""
    allow_unisolated: bool = False
    """Run tests even where this machine cannot isolate them, with your rights and your network."""
    max_test_frames: int = 10_000
    """Frames recorded of one test."""
    max_test_bytes: int = 1_000_000
    """Bytes recorded of one test."""
    test_s: float = 30.0
    """Seconds recorded of one test; a test that takes longer is left out."""
    suite: SuiteLimits = field(default_factory=SuiteLimits)
    episodes: EpisodeConfig = field(default_factory=EpisodeConfig)

    def __post_init__(self) -> None:
        for name in ("commits", "tries", "rows"):
            if getattr(self, name) < (name == "rows"):
                raise ConfigError(f"repositories.{name} is {getattr(self, name)}: it cannot be less than 0")

    # -- once per dataset

    def prepare(self, folder: Path, say: Say) -> None:
        if (folder / LIST).exists():
            return
        if not self.places:
            raise ConfigError(
                "repositories.places names no folder", fix="give some, as in repositories.places=../toolz"
            )
        repositories = []
        for repository in self._listed():
            try:
                repositories.append(_seen(repository))
            except DataError as exc:  # one that git cannot read, or too large: the others are there
                say(f"left out: {exc.sentence}")
        for python in dict.fromkeys(repository.python for repository in repositories):
            check_isolation(_environment(python), self.name, is_allowed=self.allow_unisolated)
        with replacing(folder / LIST) as partial:
            partial.write_text("".join(dump(asdict(each)) + "\n" for each in repositories))
        say(f"{len(repositories):,} repositories in {folder / LIST}")

    def _listed(self) -> Iterator[Repository]:
        for place in self.places:
            if not place.endswith(".jsonl"):
                yield Repository(path=place, python=self.python or sys.executable, tests=self.tests)
                continue
            try:
                lines = Path(place).read_text(encoding="utf-8").splitlines()
            except OSError as exc:
                raise ConfigError(f"{place} cannot be read: {exc.strerror or exc}") from exc
            for number, line in enumerate(lines, 1):
                yield self._of_line(line, f"{place}, line {number}")

    def _of_line(self, line: str, where: str) -> Repository:
        try:
            said: dict[str, Any] = json.loads(line)
            strange = sorted(said.keys() - {"path", "python", "tests"})
            if strange or not all(isinstance(value, str) for value in said.values()):
                raise ValueError(f"unknown key {strange[0]!r}" if strange else "its values are texts")
            return Repository(**{"python": self.python or sys.executable, "tests": self.tests, **said})
        except (ValueError, TypeError, AttributeError) as exc:
            raise ConfigError(f"{where} names no repository: {exc}", fix='write {"path": FOLDER}') from exc

    def files(self) -> tuple[str, ...]:
        return (LIST,)

    # -- once per shard

    def deal(self, shard: Shard) -> Dealer:
        max_frames = min(self.episodes.max_frames, shard.max_frames)

        def work(line: str, rng: random.Random) -> Work:
            repository = Repository(**json.loads(line))
            return RepositoryWork(
                name=repository.name,
                source=None,
                runs=(Run(kind=KIND),),
                max_rows=self.rows,
                is_chosen=True,
                package=Package(name=repository.name, version=repository.commit, licence=repository.licence),
                repository=repository,
                folder=shard.folder / SUITES,
                config=dataclasses.replace(self.episodes, max_frames=max_frames, seed=rng.getrandbits(32)),
            )

        return by_lines(shard, LIST, work)

    def record(self, jobs: Iterable[Job], options: Options) -> Iterator[Sequence[Take]]:
        for job in jobs:
            assert isinstance(job.work, RepositoryWork), type(job.work)
            yield list(self._takes(job.work, options))

    def _takes(self, work: RepositoryWork, options: Options) -> Iterator[Take]:
        repository, path = work.repository, Path(work.repository.path)
        rng = random.Random(work.config.seed)
        commits = [repository.commit, *history.earlier(path, repository.commit, self.tries, rng)]
        functions: set[str] = set()  # that there are episodes of
        trees: set[str] = set()  # that are in the commits kept
        num_kept = 0
        for commit in commits if self.commits else commits[:1]:
            if num_kept > self.commits:
                return
            takes = _Takes(work, commit)
            try:
                files = history.files_at(path, commit)
            except DataError as exc:
                yield takes.lost(f"tree: {exc.sentence}")
                continue
            sources = Sources(files, files.__getitem__)
            here = {function.key for function in sources.functions()}
            if here <= trees:
                continue
            traces = self._recorded(work, commit, files, options)
            if isinstance(traces, str):
                yield takes.lost(traces)
                continue
            before = frozenset(functions)
            dropped: Counter[str] = Counter()
            for episode in episodes_of(
                lambda traces=traces: read_traces(traces),  # type: ignore[misc]
                sources,
                work.config,
                dropped=dropped,
                is_wanted=lambda function, before=before: function.key not in before,  # type: ignore[misc]
            ):
                functions.add(episode.function.key)
                yield takes.of(episode)
            for reason, count in dropped.items():
                yield from (takes.lost(reason) for _ in range(count))
            if len(functions) > len(before):
                num_kept += 1
                trees |= here

    def _recorded(self, work: RepositoryWork, commit: str, files: Mapping[str, bytes], options: Options) -> Path | str:
        """The file of the suite's traces, or why there is none; what is known from before a kill is not done again."""
        repository = work.repository
        options = dataclasses.replace(
            options,
            max_frames=self.max_test_frames,
            max_bytes=self.max_test_bytes,
            timeout_s=self.test_s,
            on_budget="stop_recording",
        )
        tree = key_of(*(part for file in sorted(files) for part in (file, files[file].decode("latin-1"))))
        key = key_of(tree, repository.python, repository.tests, dump(options.to_dict()), dump(asdict(self.suite)))
        traces = work.folder / f"{repository.name}-{commit[:12]}-{key}.jsonl.gz"
        lost = work.folder / f"{traces.name}.lost"
        if lost.exists():
            return lost.read_text(encoding="utf-8")
        if not traces.exists():
            work.folder.mkdir(exist_ok=True)
            cause = record_tree(
                files,
                shlex.split(repository.tests),
                _environment(repository.python),
                traces,
                options=options,
                sandbox=NamespaceSandbox(allow_unisolated=self.allow_unisolated),
                limits=self.suite,
            )
            if cause is not None:
                with replacing(lost) as partial:
                    partial.write_text(cause, encoding="utf-8")
                return cause
        return traces


def _seen(repository: Repository) -> Repository:
    """The repository as it is now."""
    path = Path(repository.path).absolute()
    if not path.is_dir():
        raise ConfigError(f"there is no folder {repository.path} to record the tests of", fix="check the path")
    try:
        shlex.split(repository.tests)
    except ValueError as exc:
        raise ConfigError(f"{repository.tests!r} cannot be read as arguments: {exc}") from exc
    commit = history.head(path)
    licence = licence_of(history.files_at(path, commit))
    name = path.name.removesuffix(".git") if path.name != ".git" else path.parent.name
    return dataclasses.replace(repository, path=str(path), name=name, commit=commit, licence=licence)


_environment = lru_cache(maxsize=64)(Environment.of)


class _Takes:
    """What one commit of a repository comes to."""

    def __init__(self, work: RepositoryWork, commit: str) -> None:
        self._where = f"{work.repository.name}@{commit[:12]}" if commit else work.repository.name
        self._told = {"name": work.repository.name, "commit": commit, "licence": work.repository.licence}

    def of(self, episode: Episode) -> Take:
        trace = Trace({**episode.trace.header, "repository": self._told}, episode.trace.frames)
        frames = dump([frame.to_dict() for frame in trace.frames])
        return Take(
            key=key_of(KIND, trace.context, frames),
            origin=f"{KIND} {self._where} {episode.function.file}:{episode.function.qualname}",
            result=Recorded(trace=trace),
        )

    def lost(self, cause: str) -> Take:
        result = Recorded(trace=None, cause=cause)
        return Take(key=key_of(KIND, self._where, result.kind), origin=f"{KIND} {self._where}", result=result)

"""The tests that lie in installed packages, and the standard library's own, cut into episodes.

    places --prepare--> suites.jsonl: portions of some tests each
    a portion --repositories/apart.py: its tests in a forked process, twice--> traces --episodes.py--> takes

One position of a plan is one portion. Packages are not copied and need no repository: many wheels hold their tests, and
`pip install --target` makes a folder of such packages. Files of tests that import what reaches outside the process (the
network, other processes, threads) are left out: they are slow, and seldom the same twice.
"""

import ast
import dataclasses
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from opencwm.data.places import STDLIB, Place, files_of, find_places
from opencwm.data.record import UNSTABLE, Recorded
from opencwm.data.repositories.apart import Portion, record_portion
from opencwm.data.repositories.episodes import Episode, EpisodeConfig, episodes_of
from opencwm.data.repositories.sources import Sources
from opencwm.data.repositories.suite import Environment, SuiteLimits, check_isolation
from opencwm.data.sources.base import Dealer, Job, Package, Run, Say, Shard, Take, Work, by_lines, key_of
from opencwm.errors import ConfigError
from opencwm.sandbox import NamespaceSandbox
from opencwm.trace.files import replacing
from opencwm.trace.recording.frame import dump
from opencwm.trace.recording.options import Options

LIST = "suites.jsonl"
KIND = "tested"
OUTSIDE = frozenset(
    "_thread asyncio concurrent ctypes faulthandler fcntl ftplib gc http imaplib mmap multiprocessing pdb poplib "
    "profile pty resource select selectors signal smtplib socket socketserver ssl subprocess syslog termios threading "
    "time tkinter trace tracemalloc tty urllib venv webbrowser xmlrpc".split()
)
"""Modules that reach outside the process, need another thread, or watch the interpreter."""
_TEST = re.compile(rb"^\s*(?:async )?def test", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class SuiteWork(Work):
    portion: Portion
    config: EpisodeConfig

    def keys(self) -> tuple[str, list[str]]:
        return "", [_key(self.portion)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Suites:
    name: ClassVar[str] = "suites"
    kinds: ClassVar[tuple[str, ...]] = (KIND,)

    weight: float = 0.0
    """Share of the plan's positions, relative to the other sources'; each portion takes one."""
    places: tuple[str, ...] = (STDLIB,)
    """Whose tests are run: "stdlib", "site-packages", names of packages, folders that `pip install --target` filled."""
    portion: int = 150
    """Tests of a portion, about: what shares its imports, and what a kill loses."""
    portions: int | None = None
    """Most portions, drawn at random; None: all."""
    allow_unisolated: bool = False
    """Run tests even where this machine cannot isolate them, with your rights and your network."""
    max_test_frames: int = 1_500
    """Frames recorded of one test, which then ends."""
    max_test_bytes: int = 1_000_000
    """Bytes recorded of one test, which then ends."""
    test_s: float = 20.0
    """Wall clock of one test: generous, since what it stops is dropped."""
    limits: SuiteLimits = field(default_factory=SuiteLimits)
    """Of a portion."""
    episodes: EpisodeConfig = field(default_factory=EpisodeConfig)

    def __post_init__(self) -> None:
        for name in ("portion", "portions", "max_test_frames", "max_test_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"suites.{name} is {value}: it must be at least 1")

    # -- once per dataset

    def prepare(self, folder: Path, say: Say) -> None:
        if (folder / LIST).exists():
            return
        lines: dict[str, str] = {}
        counts: Counter[str] = Counter()
        for name in self.places:
            for place in find_places(name):
                for portion, num_tests in _portions(place, self.portion):
                    about = {"package": place.package, "version": place.version, "licence": place.licence}
                    lines[_key(portion)] = dump({**asdict(portion), **about})
                    counts[place.package] += num_tests
        check_isolation(_environment(), self.name, is_allowed=self.allow_unisolated)
        chosen = sorted(lines)[: self.portions]  # keys are hashes, which is chance enough
        with replacing(folder / LIST) as partial:
            partial.write_text("".join(lines[key] + "\n" for key in chosen), encoding="utf-8")
        named = ", ".join(f"{package} {count:,}" for package, count in counts.most_common(6))
        say(f"{len(chosen):,} of {len(lines):,} portions of {counts.total():,} tests ({named} ...)")

    def files(self) -> tuple[str, ...]:
        return (LIST,)

    # -- once per shard

    def deal(self, shard: Shard) -> Dealer:
        max_frames = min(self.episodes.max_frames, shard.max_frames)

        def work(line: str, rng: random.Random) -> Work:
            said = json.loads(line)
            return SuiteWork(
                name=said["package"],
                source=None,
                runs=(Run(kind=KIND),),
                max_rows=sys.maxsize,
                is_chosen=True,
                package=Package(name=said["package"], version=said["version"], licence=said["licence"]),
                portion=Portion(root=said["root"], files=tuple(said["files"]), part=tuple(said["part"])),
                config=dataclasses.replace(self.episodes, max_frames=max_frames, seed=rng.getrandbits(32)),
            )

        return by_lines(shard, LIST, work)

    def record(self, jobs: Iterable[Job], options: Options) -> Iterator[Sequence[Take]]:
        for job in jobs:
            assert isinstance(job.work, SuiteWork), type(job.work)
            yield list(self._takes(job, job.work, options))

    def _takes(self, job: Job, work: SuiteWork, options: Options) -> Iterator[Take]:
        key, portion = job.keys[0], work.portion
        lost = {name.removeprefix(f"{key} "): cause for name, cause in job.lost.items() if name.startswith(f"{key} ")}
        recording = record_portion(
            portion,
            _environment(),
            known={test: cause for test, cause in lost.items() if not test.startswith("#")},
            options=dataclasses.replace(
                options,
                max_frames=self.max_test_frames,
                max_bytes=self.max_test_bytes,
                timeout_s=None,
                values="repr",
                on_budget="stop_program",
            ),
            sandbox=NamespaceSandbox(allow_unisolated=self.allow_unisolated),
            limits=self.limits,
            test_s=self.test_s,
        )
        if isinstance(recording, str):
            yield _lost(work, key, recording)
            return
        for test, cause in recording.lost.items():
            yield _lost(work, f"{key} {test}", cause)
        dropped: Counter[str] = Counter()
        for episode in episodes_of(lambda: recording.traces, _sources(portion.root), work.config, dropped=dropped):
            header = episode.trace.header
            test, thread = header["test"]["id"], header["thread"]
            place = f"#{header['episode']['frame']} {thread} {test}"
            if place in lost or recording.unstable[test, thread].intersection(episode.indices):
                yield _lost(work, f"{key} {place}", UNSTABLE)
            else:
                yield _take(work, episode)
        for reason, count in dropped.items():
            yield from (_lost(work, key, reason) for _ in range(count))


def _portions(place: Place, size: int) -> Iterator[tuple[Portion, int]]:
    """A place's tests, neighbours together, with how many each portion has."""
    root = place.folder
    files: list[str] = []
    total = 0
    for path in files_of(place.root):
        count = _num_tests(path)
        file = path.relative_to(root).as_posix()
        if count > size:
            parts = -(-count // size)
            for number in range(parts):
                yield Portion(root=str(root), files=(file,), part=(number, parts)), count // parts
        elif count:
            files.append(file)
            total += count
            if total >= size:
                yield Portion(root=str(root), files=tuple(files)), total
                files, total = [], 0
    if files:
        yield Portion(root=str(root), files=tuple(files)), total


def _num_tests(path: Path) -> int:
    if not path.name.startswith("test_"):
        return 0
    text = path.read_bytes()
    try:
        imported = {module for node in ast.walk(ast.parse(text)) for module in _modules(node)}
    except (SyntaxError, ValueError, RecursionError):
        return 0
    return 0 if imported & OUTSIDE else len(_TEST.findall(text))


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield (node.module or "").partition(".")[0]


def _key(portion: Portion) -> str:
    return key_of(KIND, *portion.files, *map(str, portion.part))


def _take(work: SuiteWork, episode: Episode) -> Take:
    frames = dump([frame.to_dict() for frame in episode.trace.frames])
    function = episode.function
    return Take(
        key=key_of(KIND, episode.trace.context, frames),
        origin=f"{KIND} {function.file}:{function.qualname}",
        result=Recorded(trace=episode.trace),
        program="",  # its function has few others in this portion, chosen to differ
    )


def _lost(work: SuiteWork, key: str, cause: str) -> Take:
    return Take(key=key, origin=f"{KIND} {work.name}", result=Recorded(trace=None, cause=cause))


@lru_cache(maxsize=4)
def _sources(root: str) -> Sources:
    return Sources.of_folder(Path(root))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment.of(sys.executable)

"""Making data: traced functions per core-second, megabytes of finished shards, and where the time goes.

    python benchmarks/data.py [RECIPE] [KEY=VALUE ...] [--items 600] [--pairs 3] [--tokenizer FOLDER]

One shard of a recipe is made stage by stage in this process, and CPU time (user and system, children included) is
taken around each stage; nothing of it is wall clock but the speed-up. Programs are also run without a recorder, in one
process and twice, as the build runs them; what a child needs to start is measured with programs that do nothing. The
recorder's own share is what remains of the children. Rendering and tokenising are not part of a build (they happen when
the data is read), and stand beside it.

CPU time per item with two workers is that of the whole build, processes' starts included, against one worker, in turns;
the ratio of the medians is printed. On a machine that does other work, only ratios mean anything.
"""

import argparse
import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from opencwm.cli.recipe import find_recipe
from opencwm.config import override
from opencwm.data.build import _guard, build
from opencwm.data.finish import PARTS, finish, shard_path, write_part
from opencwm.data.near import NearDuplicates
from opencwm.data.recipe import Recipe
from opencwm.data.record import BATCH_SIZE, record_many
from opencwm.data.sources.base import Shard
from opencwm.data.stages import Tally, clean, kept, plan, recorded
from opencwm.errors import DataError
from opencwm.executors import Inline, ProcessPool
from opencwm.tokenizer import Tokenizer
from opencwm.trace.files import read_rows
from opencwm.trace.text import render_text
from opencwm.trace.tokens import render

Result = TypeVar("Result")
NANO = Path(__file__).parent.parent / "src" / "opencwm" / "nano"
UNTRACED = """
import json, os, sys, time
programs = json.load(sys.stdin)
sys.stdout = open(os.devnull, "w")
spent = 0.0
for source, call in programs:
    try:
        start = time.process_time()
        names = {"__name__": "program"}
        exec(compile(source, "program.py", "exec"), names)
        eval(call, names)
    except Exception:
        pass
    spent += time.process_time() - start
sys.__stdout__.write(json.dumps(spent))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="mixed")
    parser.add_argument("settings", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--items", type=int, default=600, help="programs asked for")
    parser.add_argument("--pairs", type=int, default=3, help="builds with one and with two workers; 0: none")
    parser.add_argument("--tokenizer", type=Path, default=NANO)
    arguments = parser.parse_args()
    recipe = override(find_recipe("data", arguments.recipe), arguments.settings)
    recipe = dataclasses.replace(recipe, num_programs=arguments.items, shard_size=arguments.items)
    cpus, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{cpus} CPUs may be used, load {load:.1f}; Python {sys.version.split()[0]}")
    near_duplicates()  # first: it reads the largest memory that the process has had
    with tempfile.TemporaryDirectory() as temporary:
        stages(recipe, Path(temporary), arguments.tokenizer)
    if arguments.pairs:
        workers(recipe, arguments.pairs)


class Clock:
    """CPU seconds by stage; of this process and of its children apart."""

    def __init__(self) -> None:
        self.own: dict[str, float] = {}
        self.children: dict[str, float] = {}

    def time(self, stage: str, work: Callable[[], Result]) -> Result:
        own, children = cpu_s(resource.RUSAGE_SELF), cpu_s(resource.RUSAGE_CHILDREN)
        result = work()
        self.own[stage] = cpu_s(resource.RUSAGE_SELF) - own
        self.children[stage] = cpu_s(resource.RUSAGE_CHILDREN) - children
        return result


def cpu_s(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def stages(recipe: Recipe, folder: Path, tokenizer_folder: Path) -> None:
    clock, tally, guard = Clock(), Tally(), _guard(recipe)
    (folder / PARTS).mkdir()
    clock.time("prepare", lambda: [source.prepare(folder, print) for source in recipe.sources])
    shard = Shard(folder=folder, number=0, count=1, max_frames=recipe.max_frames)
    jobs = clock.time("plan, guards", lambda: list(clean(plan(recipe, shard), guard, tally)))
    programs = [each.work.program(run) for (_, each), _ in jobs for run in each.work.runs]
    start_s = measure_start(recipe)
    untraced_s = 2 * run_untraced(programs)
    taken = clock.time("record", lambda: list(recorded(iter(jobs), recipe)))
    rows = clock.time("filters", lambda: list(kept(iter(taken), recipe, guard, tally)))
    near = recipe.near_duplicates is not None
    clock.time("signatures, part", lambda: write_part(folder, 0, iter(rows), tally, with_signatures=near))
    clock.time("finish", lambda: finish(folder, recipe, Inline(), lambda line: None))
    target = shard_path(folder, 0)
    traces = [row.trace for row in read_rows(target)]
    functions = len({job.keys[0] for (_, job), _ in jobs})
    texts = clock.time("render", lambda: [text_of(trace) for trace in traces])
    tokenizer = Tokenizer.load(tokenizer_folder)
    tokens = clock.time("tokenise", lambda: sum(len(render(trace, tokenizer)) for trace in traces))
    children = clock.children["record"]
    start_s *= 2 * -(-len(programs) // BATCH_SIZE)
    shares = {
        "programs themselves": untraced_s,
        "recorder": max(0.0, children - untraced_s - start_s),
        "starting children": start_s,
        "reading what children wrote": clock.own["record"],
        "plan, guards, filters": clock.own["plan, guards"] + clock.own["filters"],
        "signatures, compressing, the part": clock.own["signatures, part"],
        "duplicates, compressing, the shard": clock.own["finish"],
    }
    total = sum(shares.values())
    size, raw = target.stat().st_size / 1e6, sum(len(trace.to_json()) for trace in traces) / 1e6
    num_frames = sum(len(trace.frames) for trace in traces)
    print(
        f"{len(programs):,} runs of {functions:,} programs, each twice; {len(traces):,} traces, {num_frames:,} frames"
    )
    print(f"dropped: {dict(tally.dropped.most_common())}")
    print(f"{total:.2f} core-seconds ({clock.own['prepare']:.2f} more to prepare, once per dataset)")
    print(
        f"{functions / total:.1f} traced functions, {len(traces) / total:.1f} traces, "
        f"{num_frames / total:,.0f} frames per core-second"
    )
    print(f"{size / total:.3f} MB/s of finished shards ({size:.2f} MB; {raw:.1f} MB as JSON, {raw / total:.2f} MB/s)")
    for name, seconds in shares.items():
        print(f"  {name:36s} {seconds:7.2f} s  {seconds / total:6.1%}")
    for name in ("render", "tokenise"):
        print(f"  beside it: {name:25s} {clock.own[name]:7.2f} s  {clock.own[name] / total:6.1%} of the build")
    print(f"{tokens:,} tokens, {sum(map(len, texts)):,} characters of text")


def text_of(trace: Any) -> str:
    try:
        return render_text(trace)
    except DataError:  # it contains a special token
        return ""


def measure_start(recipe: Recipe) -> float:
    """CPU seconds of a child that records next to nothing; the least of three."""
    return min(_start(recipe) for _ in range(3))


def _start(recipe: Recipe) -> float:
    before = cpu_s(resource.RUSAGE_CHILDREN)
    list(record_many([("def f():\n    pass\n", "f()")], options=recipe.options, trusted=True))
    return cpu_s(resource.RUSAGE_CHILDREN) - before


def run_untraced(programs: Sequence[tuple[str, str | None]]) -> float:
    calls = [(source, call) for source, call in programs if call is not None]
    done = subprocess.run(
        [sys.executable, "-c", UNTRACED], input=json.dumps(calls), capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def near_duplicates(num_programs: int = 4000) -> None:
    """What the one index over all programs costs, at the end of a build."""
    index = NearDuplicates(0.85)
    index.is_new(os.urandom(512))
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(num_programs):
        index.is_new(os.urandom(512))
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds, kilobytes = after.ru_utime - before.ru_utime, after.ru_maxrss - before.ru_maxrss
    print(f"near duplicates: {seconds / num_programs * 1e6:.0f} us, {kilobytes / num_programs:.1f} kB per program")


def workers(recipe: Recipe, pairs: int) -> None:
    """Whole builds, in turns: one worker and two."""
    recipe = dataclasses.replace(recipe, shard_size=-(-recipe.num_programs // 8))
    cpu: dict[int, list[float]] = {1: [], 2: []}
    wall: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(pairs):
        for num in (1, 2):
            with tempfile.TemporaryDirectory() as temporary:
                before, start = cpu_s(resource.RUSAGE_SELF) + cpu_s(resource.RUSAGE_CHILDREN), time.perf_counter()
                manifest = build(recipe, temporary, executor=ProcessPool(num_workers=num), say=lambda line: None)
                after = cpu_s(resource.RUSAGE_SELF) + cpu_s(resource.RUSAGE_CHILDREN)
                cpu[num].append((after - before) / manifest["num_traces"])
                wall[num].append(time.perf_counter() - start)
    one, two = (statistics.median(cpu[num]) for num in (1, 2))
    print(f"CPU per trace: {one * 1e3:.1f} ms with one worker, {two * 1e3:.1f} ms with two: {two / one:.2f}x")
    print(
        f"wall: {statistics.median(wall[1]):.1f} s and {statistics.median(wall[2]):.1f} s: "
        f"{statistics.median(wall[1]) / statistics.median(wall[2]):.2f}x"
    )


if __name__ == "__main__":
    main()

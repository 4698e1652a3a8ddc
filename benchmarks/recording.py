"""Recording: time per event of our reference engine, of PySnooper, and of the recorder one writes first.

    python benchmarks/recording.py [--rounds 7] [--only tables sieve] [--profile]

The programs lie in `programs/`. All sides run in this process, one after the other in each round, in thread CPU time;
a ratio is that of two times of one round, and the table shows the median with [least-most]. Ours is the recorder with
the trace format's defaults up to the finished lines of a trace file; PySnooper has every function of the program as its
target, writes to nowhere, without colour, and cuts values at 2,000 characters; `naive` is the tests' oracle. A round
repeats each side `--repeats` times and takes the least, since whatever else the machine does only ever adds.

`--profile` counts on which lines of ours the time of the process goes, by sampling.
"""

import argparse
import collections
import importlib.util
import io
import math
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType

import pysnooper
import pysnooper.tracer

from opencwm.trace.recording.options import Options
from opencwm.trace.recording.recorder import Recorder

HERE = Path(__file__).resolve().parent
PROGRAMS = ("strings", "lists", "recursion", "dicts", "classes", "tables", "generators", "sieve")
ORACLE = HERE.parent / "tests" / "trace" / "recording" / "oracle.py"
SAMPLE_S = 0.001


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if arguments.profile:
        profile([loaded(HERE / "programs" / f"{name}.py") for name in arguments.only])
        return
    print(f"CPython {sys.version.split()[0]}, PySnooper {pysnooper.__version__}; microseconds of CPU per event\n")
    head = ("program", "events", "untraced", "ours", "PySnooper", "naive", "PySnooper / ours", "naive / ours")
    print(f"{head[0]:<12}{head[1]:>7}" + "".join(f"{name:>11}" for name in head[2:6]) + f"{head[6]:>22}{head[7]:>22}")
    ratios: dict[str, list[float]] = {"PySnooper": [], "naive": []}
    for name in arguments.only:
        compare(HERE / "programs" / f"{name}.py", arguments.rounds, arguments.repeats, ratios)
    means = [f"{math.exp(statistics.fmean(map(math.log, values))):.2f}" for values in ratios.values()]
    print(f"{'geometric mean':<63}{means[0]:>22}{means[1]:>22}")


def compare(path: Path, num_rounds: int, repeats: int, ratios: dict[str, list[float]]) -> None:
    module = loaded(path)
    sides: dict[str, Callable[[], object]] = {
        "untraced": module.run,
        "ours": lambda: record(module),
        "PySnooper": lambda: snoop(module),
        "naive": lambda: naive(module, path.read_text(encoding="utf-8")),
    }
    events = num_events(module)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for round_no in range(num_rounds + 1):
        for name, run in sides.items():
            spent = min(cpu_time(run) for _ in range(repeats))
            if round_no:  # the first one warms up
                times[name].append(spent / events * 1e6)
    row = f"{path.stem:<12}{events:>7}" + "".join(f"{statistics.median(values):>11.3f}" for values in times.values())
    for name, values in ratios.items():
        paired = [theirs / ours for theirs, ours in zip(times[name], times["ours"], strict=True)]
        values.append(statistics.median(paired))
        row += f"{f'{values[-1]:.2f} [{min(paired):.2f}-{max(paired):.2f}]':>22}"
    print(row, flush=True)


def cpu_time(run: Callable[[], object]) -> float:
    start = time.thread_time()
    run()
    return time.thread_time() - start


# ---- the sides


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None, f"{path} is no module"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(module: ModuleType) -> list[str]:
    with Recorder(Options(), [str(module.__file__)]) as recorder:
        module.run()
    assert recorder.headers[0]["outcome"] == "returned", "the benchmark's programs end within the budget"
    return recorder.lines()


def snoop(module: ModuleType) -> None:
    tracer = pysnooper.snoop(Nowhere(), max_variable_length=2000, color=False)
    tracer.target_codes.update(codes_of(module))
    pysnooper.tracer.thread_global.depth = -1
    sys.settrace(tracer.trace)
    try:
        module.run()
    finally:
        sys.settrace(None)


def naive(module: ModuleType, source: str) -> list[dict[str, object]]:
    return oracle.record(module.run, module.__file__, source)  # type: ignore[no-any-return]


class Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def codes_of(module: ModuleType) -> Iterator[CodeType]:
    """Those of all functions and methods, as if each were decorated."""
    for value in vars(module).values():
        functions = vars(value).values() if isinstance(value, type) else [value]
        yield from (function.__code__ for function in functions if isinstance(function, FunctionType))


def num_events(module: ModuleType) -> int:
    """Of ours; the others must see the very same ones, or the comparison would not be one."""
    with Recorder(Options(), [str(module.__file__)]) as recorder:
        module.run()
    ours = recorder.headers[0]["num_frames"]
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    assert len(naive(module, source)) == ours, f"{module.__name__}: the recorders do not agree on the events"
    return int(ours)


# ---- where the time goes


def profile(modules: list[ModuleType], *, seconds: float = 10.0) -> None:
    lines: collections.Counter[str] = collections.Counter()
    functions: collections.Counter[str] = collections.Counter()

    def on_sample(number: int, py_frame: FrameType | None) -> None:
        if py_frame is not None:
            code = py_frame.f_code
            where = f"{Path(code.co_filename).name}:{code.co_qualname}"
            lines[f"{where}:{py_frame.f_lineno}"] += 1
            functions[where] += 1

    signal.signal(signal.SIGPROF, on_sample)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)
    start = time.thread_time()
    while time.thread_time() - start < seconds:
        for module in modules:
            record(module)
    signal.setitimer(signal.ITIMER_PROF, 0)
    for table in (functions, lines):
        total = table.total()
        print("\n".join(f"{count / total:>7.1%}  {where}" for where, count in table.most_common(25)), end="\n\n")


oracle = loaded(ORACLE)

if __name__ == "__main__":
    main()

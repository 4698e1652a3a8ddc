"""Recording: time per event of our native engine, and of everybody else's, as paired ratios.

    python benchmarks/tracing.py [--rounds 5] [--only tables sieve] [--profile]

The programs lie in `programs/`. All sides of a comparison run in one process, taking turns in every round, in CPU time
of the thread; a ratio is that of two times of one round, and the table shows the median over the rounds (and, under
`--spread`, [least-most]). A side is repeated `--repeats` times a round and the least counts: whatever else the machine
does only ever adds. Every side has the program's file as its scope.

    ours       the native engine with the trace format's defaults, up to the finished lines of a trace file
    python     our reference engine, the same
    PySnooper  every function of the program is a target; to nowhere, without colour, values cut at 2,000 characters
    snoop      the same, with its own way of cutting
    hunter     VarsSnooper with `repr`, in a process of its own beside ours: after it, other tracers record nothing
    naive      the recorder one writes first, which is the tests' oracle: `repr` of all locals at every event
    all reprs  no recorder at all: the program, and `repr` of every local at every event, drained by a loop in C

A second table: what the native engine costs code that is out of its scope, as a ratio to the untraced program. On 3.12+
that is next to nothing, except where exceptions are raised (`generators` raises some, `raising` nothing else): the
interpreter tells of each, wherever it is raised.

`--profile` counts on which lines of the reference engine the time goes, by sampling.
"""

import argparse
import collections
import copy
import importlib.util
import io
import math
import signal
import statistics
import subprocess
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
OUT_OF_SCOPE = (*PROGRAMS, "raising")
OPTIONS = Options()
ORACLE = HERE.parent / "tests" / "trace" / "recording" / "oracle.py"
SAMPLE_S = 0.001
PEERS = ("python", "PySnooper", "snoop", "naive", "all reprs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--peers", nargs="+", choices=(*PEERS, "hunter"), default=list(PEERS))
    parser.add_argument("--spread", action="store_true")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if arguments.profile:
        profile([loaded(HERE / "programs" / f"{name}.py") for name in arguments.only])
        return
    is_whole = tuple(arguments.peers) == PEERS
    print(
        f"CPython {sys.version.split()[0]}; microseconds of CPU per event, then how many times ours the others take\n"
    )
    width = 22 if arguments.spread else 11
    print(
        f"{'program':<12}{'events':>7}{'untraced':>11}{'ours':>11}" + "".join(f"{n:>{width}}" for n in arguments.peers)
    )
    ratios: dict[str, list[float]] = {name: [] for name in arguments.peers}
    for name in arguments.only:
        compare(HERE / "programs" / f"{name}.py", arguments, ratios)
    means = "".join(f"{math.exp(statistics.fmean(map(math.log, values))):>{width}.2f}" for values in ratios.values())
    print(f"{'geometric mean':<41}{means}", flush=True)
    if is_whole:
        out_of_scope(arguments.rounds)
        print()
        again = [sys.executable, __file__, "--peers", "hunter", "--rounds", str(arguments.rounds)]
        subprocess.run([*again, "--repeats", str(arguments.repeats), "--only", *arguments.only], check=True)


def compare(path: Path, arguments: argparse.Namespace, ratios: dict[str, list[float]]) -> None:
    module = loaded(path)
    text = path.read_text(encoding="utf-8")
    known: dict[str, Callable[[], object]] = {
        "python": lambda: record(module, "python"),
        "PySnooper": lambda: pysnoop(module),
        "snoop": lambda: snoop(module),
        "hunter": lambda: hunt(module),
        "naive": lambda: naive(module, text),
    }
    if "all reprs" in arguments.peers:
        values = all_values(module)
        known["all reprs"] = lambda: (module.run(), collections.deque(map(repr, values), maxlen=0))
    sides: dict[str, Callable[[], object]] = {"untraced": module.run, "ours": lambda: record(module, "native")}
    sides |= {name: known[name] for name in arguments.peers}
    events = num_events(module)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for round_no in range(arguments.rounds + 1):
        for name, run in sides.items():
            spent = min(cpu_time(run) for _ in range(arguments.repeats))
            if round_no:  # the first one warms up
                times[name].append(spent / events * 1e6)
    row = f"{path.stem:<12}{events:>7}"
    row += "".join(f"{statistics.median(times[name]):>11.3f}" for name in ("untraced", "ours"))
    for name, values in ratios.items():
        paired = [theirs / ours for theirs, ours in zip(times[name], times["ours"], strict=True)]
        values.append(statistics.median(paired))
        row += (
            f"{f'{values[-1]:.2f} [{min(paired):.2f}-{max(paired):.2f}]':>22}"
            if arguments.spread
            else f"{values[-1]:>11.2f}"
        )
    print(row, flush=True)


def out_of_scope(num_rounds: int, *, num_runs: int = 100) -> None:
    print(f"\n{'out of scope':<16}{'untraced us':>14}{'ratio':>9}")
    for name in OUT_OF_SCOPE:
        module = loaded(HERE / "programs" / f"{name}.py")

        def repeated(run: Callable[[], object] = module.run) -> None:
            for _ in range(num_runs):
                run()

        untraced, ratios = [], []
        for _ in range(num_rounds + 1):
            untraced.append(min(cpu_time(repeated) for _ in range(3)))
            with Recorder(OPTIONS, [str(HERE / "nothing.py")], engine="native"):
                module.run()  # the interpreter learns what is out of scope
                ratios.append(min(cpu_time(repeated) for _ in range(3)) / untraced[-1])
        spent = statistics.median(untraced[1:]) / num_runs * 1e6
        print(f"{name:<16}{spent:>14.2f}{statistics.median(ratios[1:]):>9.2f}", flush=True)


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


def record(module: ModuleType, engine: str) -> list[str]:
    with Recorder(OPTIONS, [str(module.__file__)], engine=engine) as recorder:
        module.run()
    assert recorder.headers[0]["outcome"] == "returned", "the benchmark's programs end within the budget"
    return recorder.lines()


def pysnoop(module: ModuleType) -> None:
    tracer = pysnooper.snoop(Nowhere(), max_variable_length=2000, color=False)
    tracer.target_codes.update(codes_of(module))
    pysnooper.tracer.thread_global.depth = -1
    sys.settrace(tracer.trace)
    try:
        module.run()
    finally:
        sys.settrace(None)


def snoop(module: ModuleType) -> None:
    from snoop.configuration import Config

    config = Config(out=Nowhere(), color=False)
    tracer = config.snoop()
    tracer.target_codes.update(codes_of(module))
    config.thread_local.depth = -1
    sys.settrace(tracer.trace)
    try:
        module.run()
    finally:
        sys.settrace(None)


def hunt(module: ModuleType) -> None:
    import hunter

    action = hunter.VarsSnooper(stream=Nowhere(), repr_func=repr, force_colors=False)
    with hunter.trace(filename=str(module.__file__), action=action):
        module.run()


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


def all_values(module: ModuleType) -> list[object]:
    """A copy of every local at every event, as it was then."""
    values: list[object] = []

    def on_event(py_frame: FrameType, event: str, arg: object) -> object:
        if py_frame.f_code.co_filename != module.__file__:
            return None
        for value in py_frame.f_locals.values():
            try:
                values.append(copy.deepcopy(value))
            except TypeError:  # a generator, or what holds one
                values.append(value)
        return on_event

    sys.settrace(on_event)
    try:
        module.run()
    finally:
        sys.settrace(None)
    return values


def num_events(module: ModuleType) -> int:
    """Of ours; the others must see the very same ones, or the comparison would not be one."""
    with Recorder(OPTIONS, [str(module.__file__)], engine="native") as recorder:
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
            record(module, "python")
    signal.setitimer(signal.ITIMER_PROF, 0)
    for table in (functions, lines):
        total = table.total()
        print("\n".join(f"{count / total:>7.1%}  {where}" for where, count in table.most_common(25)), end="\n\n")


oracle = loaded(ORACLE)

if __name__ == "__main__":
    main()

"""Random programs, as they are generated and mutated, recorded by both engines and by the oracle: all must agree.

    python tests/trace/recording/fuzz.py [--programs 1000] [--values 1000] [--seed 0] [--pythons 3.11 3.12] [--asan]
    python tests/trace/recording/fuzz.py --leaks [--frames 1000000]

    generate, mutate --> jobs.json --interpreter -I fuzz.py --child--> differences, or a crash

`--asan` builds the extension with AddressSanitizer (and the one for undefined behaviour) and loads it with its library,
under `PYTHONMALLOC=malloc`, so that every access beyond or after an object is an error; `--leaks` records the same
programs again and again and tells by how much the process has grown per thousand frames. Exit status 1 where anything
differs, crashes or grows.
"""

import argparse
import ast
import contextlib
import copy
import gc
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import types
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TRACE = ROOT / "src" / "opencwm" / "trace"
MAX_FRAMES = 600
OPTIONS = (
    {},
    {"max_items": 2, "max_depth": 1, "max_value_chars": 12},
    {"max_items": None, "max_depth": None, "max_value_chars": None},
    {"comprehensions": "step", "full_after_return": False},
    {"values": "repr"},
)
ADDRESS = re.compile("0x[0-9a-f]{6,}")
"""Of `values="repr"` alone."""
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>")
GROWTH = 2_000
"""Bytes per thousand frames, from where on a process is said to grow."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pythons", nargs="+", default=["3.11", "3.12", "3.13"])
    parser.add_argument("--values", type=int, default=0, help="programs about values, see value_programs.py")
    parser.add_argument("--asan", action="store_true")
    parser.add_argument("--leaks", action="store_true")
    parser.add_argument("--frames", type=int, default=1_000_000)
    arguments = parser.parse_args()
    sys.path.insert(0, str(HERE.parents[1]))
    import interpreters
    from value_programs import value_program

    jobs = programs(arguments.seed, 40 if arguments.leaks else arguments.programs)
    jobs += [value_program(arguments.seed * 1_000_003 + i) for i in range(arguments.values)]
    is_wrong = False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "jobs.json")
        path.write_text(json.dumps(jobs), encoding="utf-8")
        for version in arguments.pythons:
            python = interpreters.find(version)
            if python is None:
                print(f"Python {version}: not found")
                continue
            what = ["--grow", str(arguments.frames)] if arguments.leaks else ["--child"]
            is_wrong |= run(python, [*what, str(path)], arguments.asan and Path(folder)) != 0
    raise SystemExit(is_wrong)


def run(python, argv, asan_folder=None):
    """The child's exit status; what it has to say is printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONHASHSEED"] = "0"
    if asan_folder:
        library = subprocess.run(["gcc", "-print-file-name=libasan.so"], stdout=subprocess.PIPE, check=True).stdout
        environment["LD_PRELOAD"] = library.decode().strip()
        environment["ASAN_OPTIONS"] = "detect_leaks=0:abort_on_error=0:exitcode=99"
        environment["PYTHONMALLOC"] = "malloc"
        argv = [*argv, "--asan-folder", str(asan_folder)]
    return subprocess.run([python, "-s", "-B", str(Path(__file__).resolve()), *argv], env=environment).returncode


# ---- programs


def programs(seed, number):
    """(source, call) of so many: every second one is a mutation of the one before it."""
    from opencwm.data.programs import generate

    made = []
    for i in range(number):
        if i % 2 and made:
            made.append((mutated(made[-1][0], random.Random(seed * 1_000_003 + i)), made[-1][1]))
        else:
            program = generate(seed * 1_000_003 + i)
            made.append((program.source, program.call))
    return made


CONSTANTS = (0, -1, 2**70, True, None, 1.5, -0.0, "", "é\ud800\n", b"\0", 10**4400)
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.BitXor)
COMPARISONS = (ast.Lt, ast.GtE, ast.Eq, ast.NotEq, ast.Is, ast.In)


def mutated(source, rng):
    """The program with a few places changed; it may raise, loop, or be another program altogether."""
    warnings.simplefilter("ignore", SyntaxWarning)
    tree = ast.parse(source)
    for _ in range(rng.randint(1, 4)):
        nodes = [node for node in ast.walk(tree) if isinstance(node, CHANGEABLE)]
        if nodes:
            change(rng.choice(nodes), rng)
    try:
        text = ast.unparse(ast.fix_missing_locations(tree))
        compile(text, "program.py", "exec")
    except (SyntaxError, ValueError):  # a `return` outside of a function, and the like
        return source
    return text


CHANGEABLE = (ast.BinOp, ast.Compare, ast.Constant, ast.FunctionDef, ast.For, ast.If, ast.While)


def change(node, rng):
    if isinstance(node, ast.BinOp):
        node.op = rng.choice(OPERATORS)()
    elif isinstance(node, ast.Compare):
        node.ops[0] = rng.choice(COMPARISONS)()
    elif isinstance(node, ast.Constant):
        node.value = rng.choice(CONSTANTS)
    else:
        body = node.body
        at = rng.randrange(len(body))
        body[at : at + 1] = rng.choice(STATEMENTS)(body[at], rng)


def statements(text):
    return ast.parse(text).body


def in_try(statement, rng):
    (made,) = statements(rng.choice(TRIES))
    made.body = [statement]
    return [made]


def in_function(statement, rng):
    made = statements(f"def inner_{rng.randrange(99)}():\n    pass\n{'yield 1' if rng.random() < 0.3 else 'pass'}")
    made[0].body = [statement]
    return [*made, *statements(f"{made[0].name}()")]


TRIES = (
    "try:\n    pass\nexcept Exception as error:\n    kept = error.args",
    "try:\n    pass\nfinally:\n    done = True",
    "try:\n    pass\nexcept (TypeError, KeyError):\n    raise\nelse:\n    other = [0]",
    "with __import__('contextlib').suppress(Exception):\n    pass",
    "for once in range(2):\n    pass",
)
INSERTED = (
    "extra = [x * 2 for x in range(3) if x]",
    "extra = {k: [v for v in range(k)] for k in range(3)}",
    "extra = list(x for x in (1, 2))",
    "extra = [1]; extra.append(extra)",
    "extra = (lambda a, b=2: a)(1)",
    "extra = locals().get('nothing')",
    "del extra",
    "raise ValueError('mutated', [1])",
    "yield 1",
    "class Extra:\n    a = 1\n    b = [a]\n    __slots__ = ('c',)\nextra = Extra(); extra.c = extra",
    "import collections; extra = collections.deque([1], 3); extra.append(extra)",
    "import collections; extra = collections.OrderedDict(b=[1], a=2); extra.move_to_end('b'); spread = extra.items()",
    "import collections; extra = collections.defaultdict(list); extra[1].append(extra); extra.default_factory = None",
    "class Extra(list):\n    pass\nextra = Extra([1, {'a': (2,)}]); extra.x = extra; extra.append(extra)",
    "class Extra(str):\n    pass\nextra = {Extra('a\\n'): Extra, 'f': len, 'g': [].append, 'm': __import__('math')}",
    "import enum; extra = enum.Enum('Extra', 'A B'); spread = list(extra); extra.A._value_ = [spread]",
    "import collections; extra = collections.namedtuple('Extra', 'a b')([1], range(3)); extra.a.append(extra)",
    "import dataclasses; extra = dataclasses.make_dataclass('Extra', ['a', 'b'])(1, slice(2)); extra.b = [extra]",
    "import decimal, datetime; extra = [decimal.Decimal('1.0'), datetime.date(2020, 1, 1)]; extra += [datetime.time()]",
    "extra = type('E', (), {})(); extra.x = [extra]; extra.x.append(2)",
    "global spread; spread = {1, 'a', (2,)}; extra = frozenset(spread)",
    "extra = 'x' * 600 + '\\ud800'; extra += 'y'",
    "extra = [0] * 200; extra[150] = None; extra[151] = 1.0; extra[151] = 1",
)
STATEMENTS = (
    lambda statement, rng: [statement, copy.deepcopy(statement)],
    lambda statement, rng: statements("pass"),
    in_try,
    in_try,
    in_function,
    lambda statement, rng: [*statements(rng.choice(INSERTED)), statement],
    lambda statement, rng: [statement, *statements(rng.choice(INSERTED))],
)


# ---- in the child, on any version that has a native engine


class Stopped(BaseException):
    """Ends a program that takes too long where no frame is recorded."""


def stop(*_):
    STOPPED.append(True)
    raise Stopped


STOPPED = []


SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g", "-O1", "-UNDEBUG"]


def load(asan_folder):
    sys.path[:0] = [str(TRACE), str(HERE)]
    from recording import native

    if asan_folder:
        native._FLAGS[:] = [*native._FLAGS, *SANITIZED]
        native.load(native.build(asan_folder))
    else:
        native.load(native.build())


def child(path, asan_folder):
    load(asan_folder)
    warnings.simplefilter("ignore")
    with open(path, encoding="utf-8") as file:
        jobs = json.load(file)
    counts = {"programs": 0, "frames": 0, "differ": 0, "against the oracle": 0, "too long": 0}
    signal.signal(signal.SIGALRM, stop)
    for i, (source, call) in enumerate(jobs):
        counts["programs"] += 1
        try:
            options = dict(OPTIONS[i // 2 % len(OPTIONS)], max_frames=MAX_FRAMES, timeout_s=None)
            difference = compared(source, call, options, counts)
        except Stopped:
            counts["too long"] += 1
            continue
        except (SyntaxError, ValueError):  # on this version: it cannot be compiled
            continue
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if STOPPED:
            STOPPED.clear()
            counts["too long"] += 1
        elif difference:
            counts["differ"] += 1
            print(f"--- program {i}: {call}\n{source}\n{difference}", flush=True)
    asan = ", AddressSanitizer" if asan_folder else ""
    print(f"Python {sys.version.split()[0]}{asan}: " + ", ".join(f"{n:,} {name}" for name, n in counts.items()))
    return 1 if counts["differ"] or not counts["frames"] else 0


def compared(source, call, options, counts):
    """What differs, as text."""
    found = []
    for engine in ("python", "native"):
        signal.setitimer(signal.ITIMER_REAL, 20.0)
        trace, output = recorded(source, call, engine, options)
        found.append((trace, output))
    (ours, our_output), (native, native_output) = found
    counts["frames"] += len(native.frames)
    our_output, native_output = (ADDRESS.sub("0x", text) for text in (our_output, native_output))
    if our_output != native_output:
        return f"printed {our_output[-300:]!r}, native {native_output[-300:]!r}"
    frames = [[ADDRESS.sub("0x", json.dumps(frame.to_dict())) for frame in trace.frames] for trace in (ours, native)]
    for one, other in zip(*frames):  # noqa: B905
        if one != other:
            return f"{one}\n{other}"
    ignored = ("engine", "mechanism")
    headers = [{k: v for k, v in trace.header.items() if k not in ignored} for trace in (ours, native)]
    if headers[0] != headers[1]:
        return "\n".join(f"{k}: {v!r}, native {headers[1][k]!r}" for k, v in headers[0].items() if v != headers[1][k])
    if sys.version_info < (3, 12) and ours.outcome in ("returned", "raised") and len(options) == 1:
        counts["against the oracle"] += 1
        return against_oracle(source, call, ours.frames)
    return None


def recorded(source, call, engine, options):
    from recording.options import Options
    from recording.recorder import record_source

    with contextlib.redirect_stdout(io.StringIO()) as out:
        trace = record_source(source, call=call, options=Options(**options), engine=engine)
    return trace, out.getvalue()


def against_oracle(source, call, frames):
    import oracle
    from recording.recorder import WRAPPER

    text = source + WRAPPER.format(call)
    module = types.ModuleType("program")
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            exec(compile(text, "program.py", "exec", dont_inherit=True), module.__dict__)
            wanted = oracle.record(module.main, "program.py", text, skip=COMPREHENSIONS, has_texts=False)
        except Exception:  # of the module itself: there is no `main` to be recorded
            return None
    got = [(frame.event, frame.depth, frame.line_no) for frame in frames]
    want = [(frame["event"], frame["depth"], frame["line_no"]) for frame in wanted]
    end = next((i for i, frame in enumerate(want) if frame[:2] == ("return", 0)), len(want))
    del want[end + 1 :]  # a generator that dies with the program's exception
    for i, (one, other) in enumerate(zip(got, want)):  # noqa: B905
        if one != other:
            return f"frame {i}: {one}, the oracle's {other}"
    return None if len(got) == len(want) else f"{len(got)} frames, the oracle's {len(want)}"


def grow(path, num_frames, asan_folder):
    """How much larger the process is after so many frames than after the first tenth of them."""
    load(asan_folder)
    from recording.recorder import Recorder

    with open(path, encoding="utf-8") as file:
        jobs = json.load(file)
    functions = []
    for i, (source, call) in enumerate(jobs):
        module = types.ModuleType("program")
        name = f"{path}.{i}.py"
        Path(name).write_text(source + f"\ndef main():\n    return {call}\n", encoding="utf-8", errors="replace")
        with contextlib.suppress(Exception):
            exec(compile(Path(name).read_text(encoding="utf-8"), name, "exec"), module.__dict__)
            functions.append((name, module.main))
    signal.signal(signal.SIGALRM, stop)
    sizes, done = [], 0
    while done < num_frames:
        for name, function in functions:
            recorder = Recorder(scope=[name], engine="native")
            signal.setitimer(signal.ITIMER_REAL, 5.0)
            try:
                with contextlib.redirect_stdout(io.StringIO()), recorder:
                    function()
            except (Exception, Stopped):
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            done += recorder.headers[0]["num_frames"]
        gc.collect()
        sizes.append((done, resident()))
    start = next(size for size in sizes if size[0] >= sizes[-1][0] / 10)
    per_thousand = (sizes[-1][1] - start[1]) / (sizes[-1][0] - start[0]) * 1000
    print(
        f"Python {sys.version.split()[0]}: {sizes[-1][0]:,} frames in {len(sizes) * len(functions):,} recordings; "
        f"{start[1] / 1e6:.1f} MB after the first tenth, {sizes[-1][1] / 1e6:.1f} MB at the end: "
        f"{per_thousand:.0f} bytes per thousand frames"
    )
    return 1 if per_thousand > GROWTH else 0


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    folder = sys.argv[sys.argv.index("--asan-folder") + 1] if "--asan-folder" in sys.argv else None
    if sys.argv[1:2] == ["--child"]:
        sys.exit(child(sys.argv[2], folder))
    elif sys.argv[1:2] == ["--grow"]:
        sys.exit(grow(sys.argv[3], int(sys.argv[2]), folder))
    else:
        main()

"""What recorders trip over: the hazard table of `docs/faithfulness.md`, ours beside everybody else's.

    python benchmarks/hazards.py [--only far looping ...] [--recorders PySnooper ours ...] [--markdown]

The programs are those of the tests (`tests/trace/recording/hazards.py`), each run untraced and then once per recorder,
in a process of its own that is ended after `LIMIT_S` seconds of CPU. A cell is what happened to the program (`ok`: it
returned what it returns untraced) and to the record (a change that was not shown is `missed`); the CPU time of the
whole process is told where it is above a second. `ours` is the native engine of this interpreter, `ours 3.13` that of
another one (on `sys.monitoring`), `python` our reference engine. The others have every function of the program as a
target and their own defaults; what they write is looked through for the changes.
"""

import argparse
import contextlib
import io
import json
import re
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent / "tests"
CHILD = HERE.parent / "src" / "opencwm" / "trace" / "recording" / "child.py"
LIMIT_S = 3
RECORDERS = ("PySnooper", "snoop", "hunter", "python", "ours", "ours 3.13")
CHANGES = {
    "PySnooper": r"^ *(?:New|Modified|Starting) var:\.* {name} = ",
    "snoop": r"\.\.\. {name} = ",
    "hunter": r"\[{name} :",
}
"""How each of them writes a variable that is new or has changed."""

sys.path[:0] = [str(TESTS), str(TESTS / "trace" / "recording")]
import interpreters  # noqa: E402
from hazards import HAZARDS, Hazard  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(HAZARDS), default=list(HAZARDS))
    parser.add_argument("--recorders", nargs="+", choices=RECORDERS, default=list(RECORDERS))
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    if arguments.markdown:
        print(f"| hazard | {' | '.join(arguments.recorders)} |\n|---|{'---|' * len(arguments.recorders)}")
    for name in arguments.only:
        plain: dict[str, Any] = {}
        cells = []
        for recorder in arguments.recorders:
            python = interpreters.find(recorder.split()[1]) if " " in recorder else sys.executable
            if python is None:
                cells.append("not found")
                continue
            if python not in plain:
                plain[python] = untraced(python, name)
            cells.append(cell(python, name, recorder, plain[python]))
        if arguments.markdown:
            print(f"| {HAZARDS[name].title} | {' | '.join(cells)} |", flush=True)
        else:
            shown = [f"    {recorder:<12}{text}" for recorder, text in zip(arguments.recorders, cells, strict=True)]
            print("\n".join([f"{name}: {HAZARDS[name].title}", *shown]), flush=True)


class Hang(Exception):
    """A process that was ended."""


def run(argv: list[str], folder: str | None = None) -> "subprocess.CompletedProcess[str]":
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))

    done = subprocess.run(argv, capture_output=True, text=True, cwd=folder, preexec_fn=limit)
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise Hang
    return done


def source_of(name: str) -> str:
    return HAZARDS[name].source + "\ndef main_():\n    print(chr(1) + ascii(run()))\n"


def result_in(output: str) -> str | None:
    found = re.search(r"\x01(.*)$", output, re.MULTILINE)
    return found.group(1) if found else None


def untraced(python: str, name: str) -> str | None:
    try:
        done = run([python, "-c", source_of(name) + "\nmain_()"])
    except Hang:
        return None
    return result_in(done.stdout)


def cell(python: str, name: str, recorder: str, expected: str | None) -> str:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        try:
            verdict = (
                ours(python, name, recorder, expected, folder)
                if recorder not in CHANGES
                else theirs(name, recorder, expected)
            )
        except Hang:
            verdict = "hangs"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return verdict if spent < 1 or "hangs" in verdict else f"{verdict}, {spent:.1f} s"


def ours(python: str, name: str, recorder: str, expected: str | None, folder: str) -> str:
    hazard = HAZARDS[name]
    native = None
    if recorder != "python":
        native = subprocess.run([python, "-I", CHILD, "--native"], capture_output=True, text=True).stdout.strip()
    job = {"source": source_of(name), "call": "main_()", "options": hazard.options, "native": native or None}
    Path(folder, "job.json").write_text(json.dumps(job))
    argv = [python, "-I", str(CHILD), "job.json", "out.json"]
    done = run(argv, folder)
    lines = Path(folder, "out.json").read_text(encoding="utf-8").splitlines()
    if not lines:
        return f"crashes ({done.returncode})"
    trace = json.loads(lines[0])
    outcome = trace["header"]["outcome"]
    parts = []
    result = result_in(done.stdout)
    if outcome in ("budget", "exit"):
        parts.append({"budget": "stopped at its budget, recorded", "exit": "passes, recorded"}[outcome])
    elif result != expected:
        parts.append(other(result, expected))
    if outcome == "displaced":
        parts.append("says that frames are missing")
    shown: dict[str, int] = {}
    for frame in trace["frames"]:
        for variable in frame.get("locals", {}).get("set", {}):
            shown[variable] = shown.get(variable, 0) + 1
    return "; ".join([*parts, *missed(hazard, shown)]) or "ok"


def other(result: str | None, expected: str | None) -> str:
    both = f"returns {result} (untraced {expected})"
    return both if len(both) < 80 else "returns another result"


def theirs(name: str, recorder: str, expected: str | None) -> str:
    argv = [sys.executable, __file__, "--child", recorder, name]
    done = run(argv)
    parts = []
    result = result_in(done.stdout)
    if expected is None:
        parts.append("passes" if done.returncode == 3 else f"ends with status {done.returncode}")
    elif result is None:
        parts.append(f"crashes: {(done.stderr.strip().splitlines() or [done.returncode])[-1]}"[:80])
    elif result != expected:
        parts.append(other(result, expected))
    text = done.stdout.rpartition("\x02")[2]
    shown = {}
    for variable in HAZARDS[name].shows:
        pattern = CHANGES[recorder].replace("{name}", re.escape(variable))
        shown[variable] = len(re.findall(pattern, text, re.MULTILINE))
    return "; ".join([*parts, *missed(HAZARDS[name], shown)]) or "ok"


def missed(hazard: Hazard, shown: dict[str, int]) -> list[str]:
    names = [name for name, texts in hazard.shows.items() if shown.get(name, 0) < len(texts)]
    return [f"missed changes of `{', '.join(names)}`"] if names else []


# ---- in the child: everybody else's recorder on one program


def child(recorder: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "program.py")
        path.write_text(source_of(name), encoding="utf-8")
        module = ModuleType("program")
        module.__file__ = str(path)
        code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
        sys.modules["program"] = module
        exec(code, module.__dict__)
        out = io.StringIO()
        try:
            with tracing(recorder, code, str(path), out):
                module.main_()
        finally:
            sys.settrace(None)
            print("\x02" + out.getvalue(), flush=True)


@contextlib.contextmanager
def tracing(recorder: str, code: CodeType, path: str, out: io.StringIO) -> Any:
    if recorder == "hunter":
        import hunter

        with hunter.trace(filename=path, action=hunter.VarsSnooper(stream=out, repr_func=repr, force_colors=False)):
            yield
        return
    if recorder == "PySnooper":
        import pysnooper
        import pysnooper.tracer

        tracer = pysnooper.snoop(out, color=False)
        pysnooper.tracer.thread_global.depth = -1
    else:
        from snoop.configuration import Config

        config = Config(out=out, color=False)
        tracer = config.snoop()
        config.thread_local.depth = -1
    tracer.target_codes.update(codes_in(code))
    sys.settrace(tracer.trace)
    yield
    sys.settrace(None)


def codes_in(code: CodeType) -> list[CodeType]:
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    return inner + [found for const in inner for found in codes_in(const)]


if __name__ == "__main__":
    main()

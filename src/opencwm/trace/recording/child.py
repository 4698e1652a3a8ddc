"""The program that records programs, alone in a process of its own: what a sandbox starts.

    python -I .../recording/child.py JOB.json OUT.json      JOB.json --record--> OUT.json, one JSON line per trace
    python -I .../recording/child.py --native               builds the native engine for this interpreter, says where

A job is {"source" | "path" | "module", "call", "filename", "argv", "scope", "options", "native"}: a source, a file run
as a script, or a module run as by `-m`; it gives a line per thread, the entry's first. A path may come with the
"package" it belongs to and the "folder" its imports are looked for in first; "native" is the path of the native
engine's extension for this interpreter, without which the reference engine records. {"jobs": [...]} are done one after
the other and give one line each (the entry's thread), written at once; one that no signal can stop, since it hangs
inside C, ends the process. A line is a trace, or {"error": sentence} where
there is none. Standard input, output and error are the program's. A trace is written before its process ends, however
it ends: by `sys.exit`, `os._exit`, an uncaught exception, or a budget that the program will not stop for.

It runs where nothing of ours is installed: this folder is all it needs. Strings must hash alike in every recording, so
it starts itself again with `PYTHONHASHSEED=0` where they do not. Only POSIX has the timer that stops a program inside
one long call; elsewhere a budget is noticed at the program's next frame.
"""

from __future__ import annotations

import sys

FOLDER = __file__.replace("\\", "/").rpartition("/")[0]
sys.path[:] = [folder for folder in sys.path if folder.replace("\\", "/") != FOLDER]  # our names are not the program's

import faulthandler  # noqa: E402
import importlib  # noqa: E402
import importlib.machinery  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import threading  # noqa: E402
from typing import Any, Callable, Dict, List, TextIO  # noqa: E402

PACKAGE = "_opencwm_recording"
GRACE_S = 1.0
"""What a program gets to stop in, before its process is ended."""
STDERR = 2


def load_siblings() -> Any:
    """This folder as a package under a name that no program uses: it may be neither installed nor on the path."""
    spec = importlib.machinery.ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    return importlib.import_module(PACKAGE + ".recorder")


class Job:
    """One program on its way to its lines, which are written exactly once."""

    def __init__(self, recording: Any, data: Dict[str, Any], out: TextIO, *, is_only: bool) -> None:
        self._out = out
        self._is_only = is_only
        self._is_written = False
        self._pid = os.getpid()
        self._exit = os._exit
        options = recording.Options.from_dict(data.get("options") or {})
        self._timeout_s = options.timeout_s
        self._recording = recording
        self.program = _program(recording, data)
        is_native = bool(data.get("native")) and recording.native.load(data["native"]) is not None
        engine = None if is_native else "python"
        self.recorder = recording.Recorder(options, data.get("scope"), program=self.program, engine=engine)
        self.recorder.engine.on_stop = self._on_stop

    def run(self) -> None:
        with _Guards(self):
            self._watch()
            self._arm(self._timeout_s)
            self._recording.record_program(self.program, self.recorder)
            self._disarm()
            faulthandler.cancel_dump_traceback_later()
        if os.getpid() != self._pid:  # a child that the program has forked: its end is none of ours
            _flush()
            self._exit(0)
        self.write()
        if self._is_only:
            _report(self.recorder.exception)

    def write(self, *, is_exit: bool = False) -> None:
        """The lines, once."""
        if self._is_written or os.getpid() != self._pid:
            return
        self._is_written = True
        self.recorder.close(is_exit=is_exit)
        lines = self.recorder.lines()
        _put(self._out, lines if self._is_only else lines[:1])

    def end_process(self, status: int) -> None:
        """`os._exit`, as the program sees it."""
        self.recorder.engine.end()
        self.write(is_exit=True)
        self._exit(status)

    # -- budgets: the program is asked to stop (an exception), and ended where it does not

    def _watch(self) -> None:
        """End the process when the program hangs where no Python runs: a thread in C does, whoever holds the lock."""
        if self._timeout_s is not None and not self._is_only:
            faulthandler.dump_traceback_later(self._timeout_s + 2 * GRACE_S, exit=True, file=STDERR)

    def _arm(self, timeout_s: Any) -> None:
        if timeout_s is not None and hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._on_alarm)
            signal.setitimer(signal.ITIMER_REAL, timeout_s, GRACE_S)

    def _disarm(self) -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _on_stop(self) -> None:
        """The recorder found the budget spent, and is about to ask the program to stop."""
        if self.recorder.engine.options.on_budget != "stop_program":
            return
        if sys.version_info < (3, 11):  # a loop around `try` never looks at signals there: no asking
            self._end_now()
        if threading.current_thread() is threading.main_thread():
            self._arm(GRACE_S)

    def _on_alarm(self, *_: Any) -> None:
        engine = self.recorder.engine
        if not engine.budget.is_spent:
            engine.budget.is_spent = True
            engine.end()
            if engine.options.on_budget == "stop_program":
                raise self._recording.BudgetStop
            self._disarm()
        elif engine.options.on_budget == "stop_program":
            self._end_now()

    def _end_now(self) -> None:
        self.write()
        _flush()
        self._exit(0)


class _Guards:
    """The ways out of a process that skip everything, made to write the trace first."""

    NAMES = ("_exit", "execv", "execve")

    def __init__(self, job: Job) -> None:
        self._job = job
        self._before: Dict[str, Callable[..., Any]] = {}
        self._hook = threading.excepthook

    def __enter__(self) -> None:
        job = self._job
        self._before = {name: getattr(os, name) for name in self.NAMES if hasattr(os, name)}
        stop = job._recording.BudgetStop

        def exit_now(status: int) -> None:
            job.end_process(status)

        def excepthook(args: Any) -> None:
            if not issubclass(args.exc_type, stop):
                self._hook(args)

        os._exit = exit_now  # type: ignore[assignment]
        threading.excepthook = excepthook
        for name in ("execv", "execve"):
            if name in self._before:
                setattr(os, name, self._writing(self._before[name]))

    def _writing(self, replace: Callable[..., Any]) -> Callable[..., Any]:
        def exec_now(*args: Any) -> Any:
            self._job.recorder.engine.end()
            self._job.write(is_exit=True)
            return replace(*args)

        return exec_now

    def __exit__(self, *_: Any) -> None:
        for name, function in self._before.items():
            setattr(os, name, function)
        threading.excepthook = self._hook


def _program(recording: Any, data: Dict[str, Any]) -> Any:
    how = {"call": data.get("call"), "argv": data.get("argv") or ()}
    if "path" in data:
        program = recording.Program.from_file(data["path"], **how)
        program.package = data.get("package")
        program.folder = data.get("folder") or program.folder
        return program
    if "module" in data:
        return recording.Program.from_module(data["module"], **how)
    return recording.Program(data["source"], filename=data.get("filename") or "program.py", **how)


def _report(exc: Any) -> None:
    """What the interpreter writes about a program's end, without the frames that are ours."""
    if isinstance(exc, SystemExit):
        if exc.code is not None and not isinstance(exc.code, int):
            print(exc.code, file=sys.stderr)
    elif exc is not None and not isinstance(exc, KeyboardInterrupt) and type(exc).__name__ != "BudgetStop":
        traceback = exc.__traceback__
        while traceback is not None and os.path.dirname(traceback.tb_frame.f_code.co_filename) == FOLDER:
            traceback = traceback.tb_next
        sys.excepthook(type(exc), exc.with_traceback(traceback), traceback)


def _put(out: TextIO, lines: List[str]) -> None:
    out.write("".join(line + "\n" for line in lines))
    out.flush()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the program may have closed or replaced it
            continue


def _do(recording: Any, data: Dict[str, Any], out: TextIO, *, is_only: bool) -> None:
    try:
        Job(recording, data, out, is_only=is_only).run()
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, ImportError) as exc:
        _put(out, [json.dumps({"error": "{}: {}".format(type(exc).__name__, exc)})])


def main(argv: List[str]) -> int:
    recording = load_siblings()
    if argv[1:] == ["--native"]:
        try:
            print(recording.native.build())
        except recording.native.NotBuilt as exc:
            print(exc, file=sys.stderr)
            return 1
        return 0
    if len(argv) != 3:
        print("usage: child.py JOB.json OUT.json", file=sys.stderr)
        return 2
    _, job_path, out_path = argv
    if recording.hash_seed() is None:
        _start_again(argv)
    with open(job_path, encoding="utf-8") as file:
        data = json.load(file)
    with open(out_path, "w", encoding="utf-8", newline="\n") as out:
        if "jobs" not in data:
            _do(recording, data, out, is_only=True)
            return 0
        for job in data["jobs"]:
            _do(recording, job, out, is_only=False)
    _flush()
    os._exit(0)  # a thread that a program left behind keeps nobody waiting


def _start_again(argv: List[str]) -> None:
    """The same with a fixed hash seed; `-I`, which ignores the environment, taken apart into what it stands for."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PYTHONHASHSEED"] = "0"
    flags = ["-s", "-B"] + (["-P"] if sys.version_info >= (3, 11) else [])
    try:
        os.execve(sys.executable, [sys.executable, *flags, os.path.abspath(__file__), *argv[1:]], environment)
    except OSError:
        return  # the header says that the seed is not known


if __name__ == "__main__":
    sys.exit(main(sys.argv))

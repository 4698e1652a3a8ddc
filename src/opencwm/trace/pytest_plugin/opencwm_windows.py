"""Recordings made inside somebody else's process, and what they leave behind for `opencwm trace pytest`.

    JOB.json --Windows--> open(test) -> Window -> close() --put--> OUT/NAME.jsonl, OUT/NAME.index

Nothing of ours need be installed there: the recorder's folder is loaded from where the job says it is. A job is
{"recording", "out", "scope", "options", "native", "with_children"}. Each process writes its traces, one per line, and
an index, one JSON object per line: {"started": id} before a test; {"test", "outcome", "offset", "size", "failure"} when
its traces are written; {"note": sentence}; {"ended": true} after the last test. What is not in the index is not there,
so a process may die at any moment.

A window is a test's own call, or, in a process that a test has started or forked, all of it up to its end. Whatever
goes wrong here, the suite goes on, and its results are those of a run without us: nothing is printed, and files are
written between the tests only, when whatever a test had put in place of the real functions is gone again.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.machinery
import importlib.util
import io
import json
import os
import signal
import sys
import sysconfig
import time
from typing import Any, Callable, Dict, List, Optional

PACKAGE = "_opencwm_recording"
JOB = "OPENCWM_TRACE"
"""The environment variable that names the job; without it nothing happens."""
CURRENT_TEST = "PYTEST_CURRENT_TEST"
"""pytest's own, which the processes that a test starts inherit."""
PROCESS = "process"
"""In the place of an outcome: the traces of a process that the test started."""
MAX_CODES = 20_000
"""Code objects that a scope may keep alive before it is made anew: some suites make code all the time."""

_open, _getpid, _time_ns, _urandom = io.open, os.getpid, time.time_ns, os.urandom  # a test may replace them


def job_here() -> Optional[Dict[str, Any]]:
    path = os.environ.get(JOB)
    if not path:
        return None
    with _open(path, encoding="utf-8") as file:
        job: Dict[str, Any] = json.load(file)
    return job


def load(folder: str) -> Any:
    """The recorder's folder as a package under a name that no program uses."""
    if PACKAGE not in sys.modules:
        spec = importlib.machinery.ModuleSpec(PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [folder]
        sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    return importlib.import_module(PACKAGE + ".recorder")


class Window:
    """One recording: from `Windows.open` to `close`."""

    def __init__(self, test: str, recorder: Any) -> None:
        self.test = test
        self.pid = _getpid()
        self.outcome = "stopped"
        self.failure: Optional[str] = None
        self._recorder = recorder

    @property
    def num_frames(self) -> int:
        return sum(thread.tape.num_frames for thread in self._recorder.engine.threads)

    def close(self, exc: Optional[BaseException]) -> None:
        recorder = self._recorder
        recorder.__exit__(None if exc is None else type(exc), exc, None)
        recorder.exception = None  # and with it the frames of the program
        self.failure = recorder.engine.failure

    def close_process(self, *, is_exit: bool) -> None:
        """Nobody tells us what a process ended with: it is read off its script's last frames."""
        recorder = self._recorder
        recorder.engine.stop()
        recorder.close(is_exit=is_exit)
        self.failure = recorder.engine.failure
        header, frames = recorder.headers[0], recorder.engine.threads[0].tape.frames[-2:]
        last = [json.loads(frame) for frame in frames]
        if len(last) == 2 and last[1].get("cause") == "unwind" and last[1]["depth"] == 0:
            header["exception"] = last[0].get("value", "")
            header["outcome"] = "exit" if header["exception"].startswith("SystemExit(") else "raised"

    def lines(self) -> List[str]:
        pairs = zip(self._recorder.headers, self._recorder.lines())  # noqa: B905
        return [line + "\n" for header, line in pairs if header["num_frames"]]


class Windows:
    """The windows of this process, one after the other."""

    def __init__(self, job: Dict[str, Any]) -> None:
        recording = self._recording = load(job["recording"])
        self._options = recording.Options.from_dict(job["options"])
        self._paths: List[str] = job["scope"]
        self._scope = self._new_scope()
        self._engine = None if _has_native(recording, job.get("native")) else "python"
        self._out: str = job["out"]
        self._rename()
        self._frames_before = 0
        """What a forked child's recording had when it began: its parent writes that."""
        self.window: Optional[Window] = None
        """The one that is open."""

    @property
    def is_displacing(self) -> bool:
        """Whether recording takes the interpreter's one trace function, which coverage needs too."""
        return self._engine == "python" or sys.version_info < (3, 12)

    def _new_scope(self) -> Any:
        return self._recording.Scope(self._paths, fold=self._options.comprehensions == "fold", imports=False)

    def open(self, test: str) -> None:
        try:
            if self._scope.num_codes > MAX_CODES:
                self._scope = self._new_scope()
            recorder = self._recording.Recorder(self._options, self._scope, engine=self._engine)
            self.window = Window(test, recorder)
            recorder.__enter__()
        except Exception as exc:  # the suite goes on
            self.window = None
            self._failed(test, exc)

    def close(self, exc: Optional[BaseException] = None) -> Optional[Window]:
        """What is to be written when the test is over; None: nothing."""
        window, self.window = self.window, None
        if window is None or window.pid != _getpid():  # a test's forked child that came back here
            return None
        try:
            window.close(exc)
        except Exception as failure:  # the suite goes on
            self._failed(window.test, failure)
            return None
        return window

    def started(self, test: str) -> None:
        """So that one knows which test was running when the interpreter died."""
        self._note({"started": test})

    def say(self, sentence: str) -> None:
        """To whoever started the suite; its own output stays as it is."""
        self._note({"note": sentence})

    def ended(self) -> None:
        self._note({"ended": True})

    def put(self, window: Window) -> None:
        """The traces, and then the line of the index that says where they are."""
        try:
            data = b"".join(line.encode("utf-8") for line in window.lines())
            with _open(self._path + ".jsonl", "ab") as file:
                offset = file.tell()
                file.write(data)
        except Exception as exc:  # the suite goes on
            self._failed(window.test, exc)
            return
        place = {"offset": offset, "size": len(data)}
        self._note(dict(place, test=window.test, outcome=window.outcome, failure=window.failure))

    def _failed(self, test: str, exc: Exception) -> None:
        self._note({"test": test, "outcome": None, "offset": 0, "size": 0, "failure": _sentence(exc)})

    def _note(self, note: Dict[str, Any]) -> None:
        try:
            with _open(self._path + ".index", "ab", 0) as file:
                file.write(json.dumps(note).encode("ascii") + b"\n")
        except OSError:  # nowhere to say it
            return

    def _rename(self) -> None:
        """This process's own files, in the order in which processes start. Process ids come round again."""
        self._path = os.path.join(self._out, "{:020d}-{}".format(_time_ns(), _urandom(4).hex()))

    # -- processes that a test starts

    def record_process(self, test: str) -> None:
        """All of this process, up to its end, whichever way it takes."""
        self.open(test)
        if self.window is not None:
            self.window.outcome = PROCESS
            self._write_at_exit()
            self.follow_forks()

    def follow_forks(self) -> None:
        """A child that is forked while a window is open records on, and writes all that it did when it ends."""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        self._rename()
        if self.window is not None:
            self.window.pid = _getpid()
            self.window.outcome = PROCESS
            self._frames_before = self.window.num_frames
            self._write_at_exit()

    def end(self, *, is_exit: bool = False) -> None:
        """This process is about to end: by running to its end, or (`is_exit`) at once."""
        window, self.window = self.window, None
        try:
            if window is not None and window.num_frames > self._frames_before:
                window.close_process(is_exit=is_exit)
                self.put(window)
        except Exception as failure:  # the program goes on
            self._failed(window.test if window else "", failure)

    def _write_at_exit(self) -> None:
        """The ways out of a process that skip everything, made to write first what is recorded."""

        def writing(leave: Callable[..., Any]) -> Callable[..., Any]:
            def left(*args: Any, **kwargs: Any) -> Any:
                self.end(is_exit=True)
                return leave(*args, **kwargs)

            return left

        def terminated(number: int, _: Any) -> None:
            self.end(is_exit=True)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        atexit.register(self.end)
        for name in ("_exit", "execv", "execve"):
            if hasattr(os, name):
                setattr(os, name, writing(getattr(os, name)))
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # how tests end the servers and pools they start
            signal.signal(signal.SIGTERM, terminated)


def _sentence(exc: BaseException) -> str:
    return "{}: {}".format(type(exc).__name__, exc)


def _has_native(recording: Any, path: Optional[str]) -> bool:
    """Whether the extension is of this interpreter (a suite may start others), and can be loaded."""
    abi = sysconfig.get_config_var("SOABI")
    return bool(path and abi and abi in os.path.basename(path)) and recording.native.load(path) is not None

"""Recording: a program's source and a call, or live functions, to a trace.

    record_source(source, call="f(3)") ---+
    with Recorder() as recorder: f(3)  ---+--> engine --> Trace(header, frames)

`record_source` runs the program in this process: use it on programs that may be trusted, and `child.py` in a sandbox
for all others. What the program does (raise, exit, run over its budget) is the trace's outcome, never an exception.
"""

from __future__ import annotations

import itertools
import operator
import os
import platform
import sys
import threading
from functools import lru_cache
from types import CodeType, ModuleType
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import native
from .engine import BudgetStop, SettraceEngine, Tape
from .frame import FORMAT, Trace, dump
from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .options import Options
from .scope import START_MARKER, Scope, shared_scope
from .source import SourceFile
from .stage import WRAPPER, Program, Stage, framed
from .values import Writer

__all__ = ["WRAPPER", "BudgetStop", "Options", "Program", "Recorder", "record_program", "record_source"]

TESTED = ((3, 8), (3, 13))
"""First and last version of the interpreter that the tests run on."""


class Recorder:
    """Records what happens inside the `with` block: by default the file whose function is called first in it.

    Inside somebody else's process a spent budget ends the recording and leaves the program alone; to stop the program
    instead, give options that say so.
    """

    def __init__(
        self,
        options: Optional[Options] = None,
        scope: "Sequence[str] | Scope | None" = None,
        *,
        program: Optional[Program] = None,
        engine: Optional[str] = None,
    ) -> None:
        """`scope`: files and folders, or a `Scope` to share between recordings, which keeps what it found out about
        code. `engine` is `python`, the reference engine, or `native`; None: the native one where it can be had."""
        self.options = options or Options(on_budget="stop_recording")
        self.engine = _engine(engine, self.options, _scope(scope, program, self.options))
        self.exception: Optional[BaseException] = None
        """What the program ended with, if not by returning."""
        self.headers: List[Dict[str, Any]] = []
        """One per trace, the entry's thread first; there when the block is left."""
        self._program = program
        self._tapes: List[Tape] = []
        self._origin: Tuple[Dict[str, Any], str] = ({}, "{}")
        self._is_displaced = False

    def __enter__(self) -> Recorder:
        self.engine.start()
        return self

    def __exit__(self, kind: Any, exc: Any, traceback: Any) -> bool:
        self._is_displaced = not self.engine.stop()
        self.close(exc)
        return kind is not None and issubclass(kind, BudgetStop)

    def close(self, exc: Optional[BaseException] = None, *, is_exit: bool = False) -> None:
        """Make the headers, of a program that ended with `exc`. The first ending counts."""
        if self.headers:
            return
        self.exception = exc
        outcome = self._outcome(exc, is_exit)
        text: Optional[str] = None
        if outcome in ("raised", "exit") and exc is not None:
            text = Writer(self.options).text(exc)[0]
        elif outcome == "displaced":
            text = self.engine.failure
        self._origin = _origin(self.engine.name, self.engine.mechanism, self.options, *self._context())
        for i, thread in enumerate(list(self.engine.threads)):
            if i == 0 or thread.tape.num_frames:
                self._tapes.append(thread.tape)
                self.headers.append(self._header(thread.tape, i, outcome, text))

    @property
    def traces(self) -> List[Trace]:
        """One per thread, the entry's first."""
        return [Trace(header, tape.to_frames()) for header, tape in zip(self.headers, self._tapes)]  # noqa: B905

    @property
    def trace(self) -> Trace:
        """The entry's thread."""
        return Trace(self.headers[0], self._tapes[0].to_frames())

    def lines(self) -> List[str]:
        """The traces as lines of a trace file, without their newlines."""
        pairs = zip(self.headers, self._tapes)  # noqa: B905
        return [tape.text('{"header":' + self._header_json(header) + ',"frames":[', "]}") for header, tape in pairs]

    def _header_json(self, header: Dict[str, Any]) -> str:
        origin, text = self._origin
        if not all(map(operator.eq, header.values(), origin.values())):  # a header is its reader's to change
            return dump(header)
        return text[:-1] + "," + dump(dict(itertools.islice(header.items(), len(origin), None)))[1:]

    def _outcome(self, exc: Optional[BaseException], is_exit: bool) -> str:
        if self.engine.budget.is_spent:
            return "budget"
        if is_exit or isinstance(exc, SystemExit):
            return "exit"
        if self._is_displaced or self.engine.failure is not None:
            return "displaced"
        return "returned" if exc is None else "raised"

    def _header(self, tape: Tape, thread: int, outcome: str, exception: Optional[str]) -> Dict[str, Any]:
        origin, _ = self._origin
        return {
            **origin,
            "options": dict(origin["options"]),
            "thread": thread,
            "outcome": outcome,
            "exception": exception,
            "num_frames": tape.num_frames,
            "num_bytes": tape.num_bytes,
            "truncated": {"values": tape.num_cut, "frames": outcome == "budget"},
        }

    def _context(self) -> "tuple[str, str]":
        """What a model reads first, and the entry point: of the program, or of the function that was called first."""
        if self._program is not None:
            return self._program.context, self._program.entry
        info = self.engine.entry
        if info is None:
            return "\n", ""
        return _context_of(info.source, info.call_line if info.is_function else 0), info.code.co_name


@lru_cache(maxsize=32)
def _context_of(source: SourceFile, line_no: int) -> str:
    lines = list(source.lines)
    if 0 < line_no <= len(lines):
        lines[line_no - 1] += START_MARKER
    return framed("\n".join(lines))


@lru_cache(maxsize=32)
def _origin(engine: str, mechanism: str, options: Options, context: str, entry: str) -> "tuple[Dict[str, Any], str]":
    """What a header says of how a trace was made: the same for all recordings of one function; and its JSON."""
    origin = {
        "format": FORMAT,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "engine": engine,
        "mechanism": mechanism,
        "tested": TESTED[0] <= sys.version_info[:2] <= TESTED[1],
        "options": options.to_dict(),
        "hash_seed": hash_seed(),
        "context": context,
        "entry": entry,
    }
    return origin, dump(origin)


def _scope(scope: "Sequence[str] | Scope | None", program: Optional[Program], options: Options) -> Scope:
    if isinstance(scope, Scope):
        return scope
    fold = options.comprehensions == "fold"
    if program is None and scope is not None:
        return shared_scope(scope, fold)
    return Scope(scope, None if program is None else {program.filename: program.text}, fold)


def _engine(name: Optional[str], options: Options, scope: Scope) -> SettraceEngine:
    if name not in (None, "python", "native"):
        raise ValueError("engine is {!r}; it must be python or native".format(name))
    found = None if name == "python" else native.engine(options, scope)
    if found is None and name == "native":
        raise ValueError("there is no native engine here; see `opencwm doctor`")
    return found or SettraceEngine(options, scope)


def hash_seed() -> Optional[int]:
    """None where strings are hashed differently in each process."""
    if not sys.flags.hash_randomization:
        return 0
    seed = "" if sys.flags.ignore_environment else os.environ.get("PYTHONHASHSEED", "")
    return int(seed) if seed.isdigit() else None


def record_source(
    source: str,
    *,
    call: Optional[str] = None,
    filename: str = "program.py",
    options: Optional[Options] = None,
    argv: Sequence[str] = (),
    scope: Optional[Sequence[str]] = None,
    engine: Optional[str] = None,
) -> Trace:
    """Run a program in this process and record `call` (an expression), or the module itself where there is none.

    A source or call that does not compile raises SyntaxError (ValueError for null bytes).
    """
    program = Program(source, call=call, filename=filename, argv=argv)
    recorder = Recorder(options or Options(), scope, program=program, engine=engine)
    record_program(program, recorder)
    return recorder.trace


def record_program(program: Program, recorder: Recorder) -> None:
    """Run a program under a recorder, to whatever end; only what keeps it from being compiled is raised."""
    code = program.compile()
    with Stage(program) as module:
        try:
            _run(code, module, recorder, is_called=program.call is not None)
        except BaseException as exc:  # the program's, whatever it is: its outcome
            recorder.close(exc)


def _run(code: CodeType, module: ModuleType, recorder: Recorder, *, is_called: bool) -> None:
    if is_called:
        exec(code, module.__dict__)
        entry = module.__dict__["main"]
        with recorder:
            entry()
    else:
        before = set(threading.enumerate())
        with recorder:
            exec(code, module.__dict__)
            _join(before)


def _join(before: "set[threading.Thread]") -> None:
    """A script ends when its threads do."""
    for thread in threading.enumerate():
        if thread not in before and not thread.daemon and thread is not threading.current_thread():
            thread.join()

"""Recording: a program's source and a call, or live functions, to a trace.

    record_source(source, call="f(3)") ---+
    with Recorder() as recorder: f(3)  ---+--> engine (SettraceEngine) --> Trace(header, frames)

`record_source` runs the program in this process: use it on programs that may be trusted, and `child.py` in a sandbox
for all others. What the program does (raise, exit, run over its budget) is the trace's outcome, never an exception.
"""

from __future__ import annotations

import ast
import json
import os
import platform
import sys
from types import CodeType, ModuleType
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .engine import BudgetStop, SettraceEngine, Tape
from .frame import FORMAT, Frame, Trace
from .options import Options
from .scope import Scope
from .stage import Stage
from .values import Writer

__all__ = ["Options", "Recorder", "record_source"]

WRAPPER = "\ndef main():  # << START_OF_TRACE\n    return {}\n"
TESTED = ((3, 8), (3, 13))
"""First and last version of the interpreter that the tests run on."""


class Recorder:
    """Records what happens inside the `with` block: by default the file whose function is called first in it."""

    def __init__(
        self,
        options: Optional[Options] = None,
        scope: Optional[Sequence[str]] = None,
        *,
        sources: Optional[Dict[str, str]] = None,
        context: str = "",
        entry: str = "",
    ) -> None:
        self.options = options or Options(on_budget="stop_recording")
        fold = self.options.comprehensions == "fold"
        self.engine = SettraceEngine(self.options, Scope(scope, sources, fold))
        self.traces = []  # type: List[Trace]
        """One per thread, the entry's first; there when the block is left."""
        self._context = context
        self._entry = entry

    def __enter__(self) -> Recorder:
        self.engine.start()
        return self

    def __exit__(self, kind: Any, exc: Any, traceback: Any) -> bool:
        is_ours = self.engine.stop()
        self.traces = self.finish(exc, is_ours)
        return kind is not None and issubclass(kind, BudgetStop)

    @property
    def trace(self) -> Trace:
        """The entry's thread."""
        return self.traces[0]

    def finish(self, exc: Optional[BaseException], is_ours: bool = True, is_exit: bool = False) -> List[Trace]:
        """The traces so far, of a program that ended with `exc`."""
        outcome, text = self._outcome(exc, is_ours, is_exit)
        return [
            Trace(
                self._header(thread.tape, i, outcome, text),
                [Frame.from_dict(json.loads(f)) for f in thread.tape.frames],
            )
            for i, thread in enumerate(self.engine.threads)
            if i == 0 or thread.tape.frames
        ]

    def _outcome(self, exc: Optional[BaseException], is_ours: bool, is_exit: bool) -> Tuple[str, Optional[str]]:
        if self.engine.budget.is_spent:
            return "budget", None
        text = None if exc is None else Writer(self.options).text(exc)[0]
        if is_exit or isinstance(exc, SystemExit):
            return "exit", text
        if not is_ours or self.engine.failure is not None:
            return "displaced", self.engine.failure
        return ("returned" if exc is None else "raised"), text

    def _header(self, tape: Tape, thread: int, outcome: str, exception: Optional[str]) -> Dict[str, Any]:
        return {
            "format": FORMAT,
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "engine": self.engine.name,
            "mechanism": self.engine.mechanism,
            "tested": TESTED[0] <= sys.version_info[:2] <= TESTED[1],
            "options": self.options.to_dict(),
            "hash_seed": _hash_seed(),
            "context": self._context,
            "entry": self._entry,
            "thread": thread,
            "outcome": outcome,
            "exception": exception,
            "num_frames": len(tape.frames),
            "num_bytes": tape.num_bytes,
            "truncated": {"values": tape.num_cut, "frames": outcome == "budget"},
        }


def _hash_seed() -> Optional[int]:
    """None where strings are hashed differently in each process."""
    if not sys.flags.hash_randomization:
        return 0
    seed = os.environ.get("PYTHONHASHSEED", "")
    return int(seed) if seed.isdigit() else None


def framed(source: str, call: Optional[str]) -> str:
    """The context of a trace: the program as it is compiled, after exactly one newline."""
    text = source if call is None else source + WRAPPER.format(call)
    return "\n" + text.lstrip("\n") + ("" if text.endswith("\n") else "\n")


def record_source(
    source: str,
    *,
    call: Optional[str] = None,
    filename: str = "program.py",
    options: Optional[Options] = None,
    argv: Sequence[str] = (),
    scope: Optional[Sequence[str]] = None,
) -> Trace:
    """Run a program and record `call` (an expression), or the module itself where there is none.

    A source or call that does not compile raises SyntaxError (ValueError for null bytes).
    """
    text = source
    if call is not None:
        ast.parse(call.strip(), mode="eval")
        text = source + WRAPPER.format(call)
    code = compile(text, filename, "exec", dont_inherit=True)
    recorder = Recorder(
        options or Options(),
        scope,
        sources={filename: text},
        context=framed(source, call),
        entry="<module>" if call is None else "main",
    )
    with Stage(text, filename, argv, is_main=call is None) as module:
        run(recorder, code, module, is_called=call is not None)
    return recorder.trace


def run(recorder: Recorder, code: CodeType, module: ModuleType, *, is_called: bool) -> None:
    """Run a module's code, and record it or, where `is_called`, only its `main()`. Raises nothing of the program's."""
    try:
        if is_called:
            exec(code, module.__dict__)
            main = module.__dict__["main"]
            with recorder:
                main()
        else:
            with recorder:
                exec(code, module.__dict__)
    except BaseException as exc:  # the program's, whatever it is: its outcome
        if not recorder.traces:  # it never came to the call
            recorder.traces = recorder.finish(exc)

"""Running a program under the recorder, in this process: `record_source`, and `Recorder` for live functions.

    source, call --compile--> module level (untraced) --> main() under the engine --> Trace

The traced process should be a child of our own: a program may do anything. `child.py` is that child's program.
"""

import os
import signal
import sys
import threading
import types
from dataclasses import asdict
from typing import Any, Callable, Optional, Sequence

if __package__:
    from .engine import BudgetExceeded, Engine, Options, num_bytes
    from .frame import FORMAT, Trace
    from .source import Sources, with_call
else:  # injected as a plain folder
    from engine import BudgetExceeded, Engine, Options, num_bytes  # type: ignore[import-not-found,no-redef]
    from frame import FORMAT, Trace  # type: ignore[import-not-found,no-redef]
    from source import Sources, with_call  # type: ignore[import-not-found,no-redef]

TESTED = ((3, 8), (3, 13))
GRACE_S = 0.5
"""How long a program may go on after it ran over budget before its process is ended."""


class Session:
    """One recording: an engine, the clock, and how it ended."""

    def __init__(self, options: Options, context: str, entry: str) -> None:
        self.options = options
        self.context = context
        self.entry = entry
        self.sources = Sources()
        self.engine = Engine(self.sources, options)
        self.outcome = "returned"
        self.exception = None  # type: Optional[str]
        self.on_stuck = None  # type: Optional[Callable[[], None]]
        """Called where a program over budget does not stop; must not return."""

    def run(self, function: Callable[[], Any]) -> Any:
        """Call `function` under the recorder. What the program does is an outcome: nothing is raised."""
        before = sys.gettrace()
        owned = self.options.on_budget == "stop_program"
        self._arm(owned)
        result = None
        try:
            sys.settrace(self.engine.trace)
            try:
                result = function()
            finally:
                displaced = sys.gettrace() not in (self.engine.trace, None) or (
                    sys.gettrace() is None and not self.engine.over_budget and self.engine.failure is None
                )
                sys.settrace(before)
                self._disarm(owned)
            self.outcome = "displaced" if displaced else "returned"
        except BudgetExceeded:
            pass
        except SystemExit as exc:
            self.outcome = "exit"
            self.exception = self.engine.writer.show(exc).text
        except BaseException as exc:  # the program's own: an outcome like any other
            self.outcome = "raised"
            self.exception = self.engine.writer.show(exc).text
        if self.engine.over_budget:
            self.outcome, self.exception = "budget", None
        return result

    def _arm(self, owned: bool) -> None:
        timeout = self.options.timeout_s
        self._old_handler = None  # type: Any
        if timeout is None or not owned or threading.current_thread() is not threading.main_thread():
            return

        def ring(signum: int, py_frame: Any) -> None:
            if self.engine.over_budget and self.on_stuck is not None:
                self.on_stuck()
            self.engine.over_budget = True
            signal.setitimer(signal.ITIMER_REAL, GRACE_S)
            raise BudgetExceeded

        self._old_handler = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, timeout)

    def _disarm(self, owned: bool) -> None:
        if self._old_handler is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._old_handler)
            self._old_handler = None

    def trace(self, thread: int = 0) -> Trace:
        """The trace so far; with outcome `budget` where the program is still running."""
        engine, version = self.engine, sys.version_info
        outcome = "budget" if engine.over_budget else self.outcome
        header = {
            "format": FORMAT,
            "python": "{}.{}.{}".format(*version[:3]),
            "implementation": sys.implementation.name,
            "engine": "python",
            "mechanism": "settrace",
            "tested": TESTED[0] <= version[:2] <= TESTED[1],
            "options": asdict(self.options),
            "hash_seed": os.environ.get("PYTHONHASHSEED"),
            "context": self.context,
            "entry": self.entry,
            "thread": thread,
            "outcome": outcome,
            "exception": None if outcome == "budget" else self.exception,
            "num_frames": len(engine.frames),
            "num_bytes": num_bytes(engine.frames),
            "truncated": {"values": engine.num_cut, "frames": engine.over_budget},
        }
        return Trace(header, engine.frames)


def record_source(
    source: str,
    *,
    call: Optional[str] = None,
    filename: str = "program.py",
    options: Optional[Options] = None,
    argv: Sequence[str] = (),
    on_session: Optional[Callable[[Session], None]] = None
) -> Trace:
    """The trace of `call` on `source`, or of the module itself; raises SyntaxError where it does not compile.

    With `call` the module level runs untraced first, under the file's stem as `__name__`, and what it raises is the
    outcome. Everything else the program does is an outcome as well.
    """
    options = options or Options()
    text = source if call is None else with_call(source, call)
    session = Session(options, "\n" + text if text.endswith("\n") else "\n" + text + "\n", filename)
    if call is None:
        session.entry = "<module>"
    else:
        session.entry = "main"
    session.sources.add(filename, filename, text, fold=options.comprehensions == "fold")
    code = compile(text, filename, "exec", dont_inherit=True)
    stem = os.path.basename(filename)
    name = "__main__" if call is None else stem[:-3] if stem.endswith(".py") else stem
    module = types.ModuleType(name)
    module.__file__ = filename
    old_argv, old_module = sys.argv, sys.modules.get(name)
    sys.argv = [filename] + list(argv)
    sys.modules[name] = module
    if on_session is not None:
        on_session(session)
    try:
        if call is None:
            session.run(lambda: exec(code, module.__dict__))
        else:
            failed = _run_untraced(session, lambda: exec(code, module.__dict__))
            if not failed:
                session.run(module.__dict__["main"])
    finally:
        sys.argv = old_argv
        if old_module is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = old_module
    return session.trace()


def _run_untraced(session: Session, function: Callable[[], Any]) -> bool:
    """The module level before a call, under the clock alone; True where it did not come to its end."""
    session._arm(True)
    try:
        function()
        return False
    except BudgetExceeded:
        session.outcome = "budget"
    except SystemExit as exc:
        session.outcome, session.exception = "exit", session.engine.writer.show(exc).text
    except BaseException as exc:  # the program's own: an outcome like any other
        session.outcome, session.exception = "raised", session.engine.writer.show(exc).text
    finally:
        session._disarm(True)
    return True

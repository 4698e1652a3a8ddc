"""`values="repr"`: what the program's own `__repr__` says, guarded.

Guarded against raising (`<unprintable C: E>`), against looping (a watchman interrupts it after `LIMIT_S`; a loop
inside C code is out of his reach) and against touching the recorder (a trace function that it installs is taken off
again). Choose this mode when feeding the released 32B model; a text that is exactly `..` would read there as
"unchanged" and is written `<C ..>`.
"""

from __future__ import annotations

import _thread
import ctypes
import sys
import time
from typing import Any, Dict, Tuple

from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .shapes import class_name

LIMIT_S = 1.0
ROUND_S = 0.2
"""How often the watchman looks."""


class ReprTimeout(BaseException):
    """Ends a `__repr__` that runs too long. Not an Exception, so that most handlers let it through."""


class GuardedRepr:
    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._watchman = Watchman()

    def look(self, value: Any) -> Tuple[str, bool, Any]:
        """The text as it is shown, whether it was cut, and a key that stands for the uncut one."""
        text = self._text(value)
        if text == "..":
            text = "<{} ..>".format(class_name(type(value)))
        key = text if len(text) <= 256 else (hash(text), len(text))
        if len(text) > self._max_chars:
            return text[: self._max_chars] + "...", True, key
        return text, False, key

    def _text(self, value: Any) -> str:
        before = sys.gettrace()
        error: Any = None
        text = ""
        try:
            with self._watchman:
                text = str.__str__(repr(value))
        except (Exception, ReprTimeout, SystemExit, KeyboardInterrupt) as exc:  # the program's, in our time
            error = exc
        self._watchman.forget()
        if sys.gettrace() is not before:
            attach = getattr(before, "attach", None)  # the native engine's
            sys.settrace(before) if attach is None else attach()
        if error is not None:
            return "<unprintable {}: {}>".format(class_name(type(value)), class_name(type(error)))
        return text


class Watchman:
    """A thread, unknown to `threading`, that raises ReprTimeout in a thread which stays too long in a `with` block."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._since: Dict[int, float] = {}
        self._is_on_duty = False

    def __enter__(self) -> None:
        with self._lock:
            self._since[_thread.get_ident()] = time.monotonic()
            if not self._is_on_duty:
                self._is_on_duty = True
                _thread.start_new_thread(self._watch, ())

    def __exit__(self, *_: Any) -> None:
        with self._lock:
            self._since.pop(_thread.get_ident(), None)

    def forget(self) -> None:
        """Again, for a block that was left while it was being interrupted."""
        self._since.pop(_thread.get_ident(), None)

    def _watch(self) -> None:
        num_idle = 0
        while num_idle < 5:
            time.sleep(ROUND_S)
            with self._lock:
                num_idle = 0 if self._since else num_idle + 1
                for thread, since in list(self._since.items()):
                    if time.monotonic() - since > LIMIT_S:
                        del self._since[thread]
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(
                            ctypes.c_ulong(thread), ctypes.py_object(ReprTimeout)
                        )
                if num_idle >= 5:
                    self._is_on_duty = False

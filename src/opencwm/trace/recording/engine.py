"""The reference engine: `sys.settrace` in pure Python.

    interpreter --call, line, return, exception--> Activation (one per call or resume) --> Tape (frames as JSON)

`Tape` is the seam: whatever observes the program (this engine, a native one, `sys.monitoring`) ends there, in the one
event model of the trace format.

What it costs to watch from Python: the callbacks need a few levels of the program's stack, so a program that fills it
to the recursion limit goes on unrecorded from there (outcome `displaced`), and before 3.13 `locals()` in a recorded
function gives the dictionary that the interpreter refreshes for us.
"""

from __future__ import annotations

import gc
import itertools
import json
import opcode
import sys
import threading
from json.encoder import encode_basestring
from threading import get_ident
from time import monotonic
from types import FrameType
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from .folding import Folding
from .frame import Frame
from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .options import Options
from .scope import CodeInfo, Scope, shown_globals
from .values import Seen, Writer

_OP = opcode.opmap
_RETURN_OPS = frozenset(_OP[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in _OP)
_YIELD_OPS = frozenset(_OP[name] for name in ("YIELD_VALUE", "YIELD_FROM") if name in _OP)
_YIELD_VALUE = _OP["YIELD_VALUE"]
_RESUME = _OP.get("RESUME")
_LOOP_OPS = frozenset(_OP[name] for name in ("FOR_ITER", "SEND", "END_SEND") if name in _OP)
"""Instructions that take a StopIteration for the end of what they wait for."""
_BEFORE_RESUME = _RESUME is None  # 3.8-3.10
_AWAIT = 3
"""`RESUME`'s argument after an await; 1 after a yield, 2 after a `yield from`."""


class BudgetStop(BaseException):
    """Ends a program whose budget is spent. Not an Exception, so that most handlers let it through."""


class Budget:
    """What may still be recorded, over all threads of one recording."""

    def __init__(self, options: Options) -> None:
        self.max_frames = options.max_frames
        self.max_bytes = options.max_bytes
        self.deadline = None if options.timeout_s is None else monotonic() + options.timeout_s
        self.num_frames = 0
        self.num_bytes = 0
        self.is_spent = False

    def admits(self, num_bytes: int, now: Callable[[], float] = monotonic) -> bool:
        """Count one more frame of this size, unless it would go over. The clock is ours: a program may set its own."""
        num_frames, num_bytes = self.num_frames + 1, self.num_bytes + num_bytes
        if (
            num_frames > self.max_frames
            or num_bytes > self.max_bytes
            or self.is_spent
            or (self.deadline is not None and now() > self.deadline)
        ):
            self.is_spent = True
            return False
        self.num_frames, self.num_bytes = num_frames, num_bytes
        return True


class Tape:
    """The frames of one thread, each as the JSON object that a trace file holds."""

    def __init__(self, budget: Budget) -> None:
        self.frames: List[str] = []
        self.num_cut = 0
        """Texts that were cut."""
        self._budget = budget

    def add(self, text: str) -> bool:
        """False: the budget is spent, and the frame is not recorded."""
        num_bytes = len(text)
        if not text.isascii():
            try:
                num_bytes = len(text.encode("utf-8"))
            except UnicodeEncodeError:  # lone surrogates: such a frame is all ASCII
                text = "".join(c if c < "\x80" else _escaped(c) for c in text)
                num_bytes = len(text)
        if not self._budget.admits(num_bytes):
            return False
        self.frames.append(text)
        return True

    def text(self, before: str, after: str) -> str:
        """All frames, with commas between them, between two texts."""
        return before + ",".join(self.frames) + after

    @property
    def num_frames(self) -> int:
        return len(self.frames)

    @property
    def num_bytes(self) -> int:
        return sum(len(text) if text.isascii() else len(text.encode("utf-8")) for text in self.frames)

    def to_frames(self) -> List[Frame]:
        return [Frame.from_dict(json.loads(text)) for text in self.frames]


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join("\\u{:02x}{:02x}".format(units[i], units[i + 1]) for i in range(0, len(units), 2))


_ABSENT = object()
_UNBOUND = itertools.repeat(_ABSENT)
NOTHING_NEW = ',"locals":{"set":{},"removed":[]}'


class Activation:
    """One call or resume of a code object: what it showed last, and the interpreter's trace function for it."""

    __slots__ = ("_heads", "_order", "_raised_at", "_shown", "depth", "folding", "info", "is_full_next", "thread")

    def __init__(self, thread: ThreadEngine, info: CodeInfo, depth: int) -> None:
        self.thread = thread
        self.info = info
        self.depth = depth
        self._heads = info.line_heads(depth)
        self.is_full_next = False
        self.folding = None if info.folds is None else Folding(info.folds)
        self._shown: Dict[str, Seen] = {}
        self._order: List[str] = []
        self._raised_at = -1
        """The instruction of an exception that nothing has happened since: what is thrown into a `yield` leaves it."""

    # -- locals

    def locals_json(self, py_frame: FrameType, is_full: bool) -> str:
        """The changes of the names since this activation's last frame with locals; remembers what is shown."""
        tape, writer, shown = self.thread.tape, self.thread.writer, self._shown
        look = writer.look
        namespace = py_frame.f_locals
        names: Sequence[str]
        values: Iterable[Any]
        if self.info.is_function:
            names = self.info.names
            values = map(namespace.get, names, _UNBOUND)
            is_other = False
        else:
            bound = shown_globals(namespace)
            names = [name for name, _ in bound]
            values = [value for _, value in bound]
            is_other = True  # names may have moved
        parts: List[str] = []
        for name, value, last in zip(names, values, map(shown.get, names)):  # noqa: B905
            if last is None:
                if value is _ABSENT:
                    continue
                is_other = True
                seen = shown[name] = look(value, None)
            elif value is last[0]:
                if not is_full:
                    continue
                seen = last
            elif value is _ABSENT:
                is_other = True
                continue
            else:
                seen = look(value, last)
                if seen is not last:
                    shown[name] = seen
                    if not is_full and seen[1] == last[1]:
                        continue
                elif not is_full:
                    continue
            parts.append(f'"{name}":{encode_basestring(seen[2])}')
            if seen[3]:
                tape.num_cut += 1
        if is_other:
            if self.info.is_function:
                names = [name for name in names if name in namespace]
            return self._with_order(parts, list(names), is_full)
        return f',"locals":{{"set":{{{",".join(parts)}}},"removed":[]}}' if parts else NOTHING_NEW

    def _with_order(self, parts: List[str], names: List[str], is_full: bool) -> str:
        """The same where names came, went or moved."""
        bound = set(names)
        removed = [name for name in self._order if name not in bound]
        for name in removed:
            del self._shown[name]
        before = [name for name in self._order if name in bound]
        known = set(before)
        if not is_full and not removed and before == names:
            return f',"locals":{{"set":{{{",".join(parts)}}},"removed":[]}}' if parts else NOTHING_NEW
        order = ""
        if not is_full and before + [name for name in names if name not in known] != names:
            order = ',"order":[{}]'.format(",".join(map(encode_basestring, names)))
        self._order = names
        gone = ",".join(map(encode_basestring, removed))
        return ',"locals":{{"set":{{{}}},"removed":[{}]{}}}'.format(",".join(parts), gone, order)

    # -- events

    def on_call(self, py_frame: FrameType) -> None:
        info = self.info
        cause = None
        line_no = info.call_line
        if info.can_suspend and _is_resumed(info, py_frame.f_lasti):
            cause = "resume"
            line_no = self._line_at(py_frame)
        if self.folding is not None:
            self.folding.show(line_no)
        self.thread.write("call", cause, self.depth, info.place(line_no), self.locals_json(py_frame, True))

    def on_event(self, py_frame: FrameType, event: str, arg: Any) -> Any:
        """The local trace function. The interpreter calls it; nothing but `BudgetStop` leaves it."""
        thread = self.thread
        if not thread.is_live:
            return None
        try:
            if event == "line":
                self._raised_at = -1
                line_no = py_frame.f_lineno
                if self.folding is not None:
                    line = self.folding.line(self._offset(py_frame, line_no), line_no)
                    if line is None:
                        return self.on_event
                    line_no = line
                is_full, self.is_full_next = self.is_full_next, False
                if not thread.tape.add(f"{self._heads[line_no]}{self.locals_json(py_frame, is_full)}}}"):
                    thread.engine.over_budget()
            elif event == "return":
                self._on_return(py_frame, arg)
            elif event == "exception":
                self._on_exception(py_frame, arg)
        except Exception as exc:  # a recorder that fails stops recording and leaves the program alone
            thread.fail(exc)
            return None
        return self.on_event

    def _on_exception(self, py_frame: FrameType, arg: Any) -> None:
        self._raised_at = py_frame.f_lasti
        folding = self.folding
        if folding is not None and folding.is_inside(py_frame.f_lasti) and self._is_loop_end(py_frame, arg[0]):
            return
        line_no = self._line_at(py_frame)
        if folding is not None:
            folding.show(line_no)
        self.thread.write("exception", None, self.depth, self.info.place(line_no), self.thread.value_json(arg[1]))

    def _on_return(self, py_frame: FrameType, arg: Any) -> None:
        info = self.info
        offset = py_frame.f_lasti
        cause = "unwind" if offset == self._raised_at else _return_cause(info, offset)
        if info.is_async_generator and cause == "yield":
            arg = unwrapped(arg)
        place = info.place(self._line_at(py_frame))
        thread = self.thread
        thread.pop(self)
        thread.write("return", cause, self.depth, place, thread.value_json(None if cause == "unwind" else arg))

    def _is_loop_end(self, py_frame: FrameType, kind: Any) -> bool:
        """The end of an iterator inside a comprehension is no exception that leaves it."""
        if kind is StopIteration:
            return self.info.co_code[py_frame.f_lasti] in _LOOP_OPS
        return kind is StopAsyncIteration

    def _line_at(self, py_frame: FrameType) -> int:
        line_no = py_frame.f_lineno or self.info.call_line
        return line_no if self.folding is None else self.folding.line_at(py_frame.f_lasti, line_no)

    def _offset(self, py_frame: FrameType, line_no: int) -> int:
        offset = py_frame.f_lasti
        target = self.info.jump_targets.get(offset)
        return target[0] if target is not None and target[1] == line_no else offset


def unwrapped(value: Any) -> Any:
    """What an async generator yields: the interpreter wraps it."""
    return next(iter(gc.get_referents(value)), None)


def _is_resumed(info: CodeInfo, offset: int) -> bool:
    if _BEFORE_RESUME:
        return offset >= 0
    if offset < 0:
        return False
    op = info.co_code[offset]
    return op == _YIELD_VALUE or (op == _RESUME and info.co_code[offset + 1] & 3 != 0)


def _return_cause(info: CodeInfo, offset: int) -> Optional[str]:
    """By the instruction that the activation is left at."""
    code = info.co_code
    op = code[offset] if offset >= 0 else -1
    if op in _RETURN_OPS:
        return None
    if not info.can_suspend:
        return "unwind"
    if _BEFORE_RESUME:
        after = code[offset + 2] if offset + 2 < len(code) else -1
        if op != _YIELD_VALUE and after != _OP["YIELD_FROM"]:
            return "unwind"
        is_await = info.is_coroutine or (info.is_async_generator and op != _YIELD_VALUE)
        return "await" if is_await else "yield"
    resume = offset if op == _RESUME else offset + 2  # 3.13 has moved on to it already
    if op not in (_YIELD_VALUE, _RESUME) or code[resume] != _RESUME or code[resume + 1] & 3 == 0:
        return "unwind"
    is_await = info.is_coroutine or (info.is_async_generator and code[resume + 1] & 3 == _AWAIT)
    return "await" if is_await else "yield"


class ThreadEngine:
    """The activations and the tape of one thread."""

    def __init__(self, engine: SettraceEngine) -> None:
        self.engine = engine
        self.tape = Tape(engine.budget)
        self.writer = engine.writer
        self.ident = get_ident()
        self.stack: List[Activation] = []
        self.is_live = True

    def on_event(self, py_frame: FrameType, event: str, arg: Any) -> Any:
        """The global trace function: a new frame of the interpreter."""
        if event != "call" or not self.is_live:
            return None
        if self.ident != get_ident():
            return self.engine.elsewhere(py_frame)
        try:
            info = self.engine.scope.info_of(py_frame.f_code)
            if info is None:
                return None
            if self.engine.entry is None:
                self.engine.entry = info
            activation = Activation(self, info, len(self.stack))
            self.stack.append(activation)
            activation.on_call(py_frame)
        except Exception as exc:  # a recorder that fails stops recording and leaves the program alone
            self.fail(exc)
            return None
        return activation.on_event

    def pop(self, activation: Activation) -> None:
        stack = self.stack
        while stack and stack.pop() is not activation:
            self.engine.was_displaced = True  # we were not told of its end
        if stack and self.engine.options.full_after_return:
            stack[-1].is_full_next = True

    def value_json(self, value: Any) -> str:
        text, is_cut = self.writer.text(value)
        self.tape.num_cut += is_cut
        return ',"value":' + encode_basestring(text)

    def write(self, event: str, cause: Optional[str], depth: int, place: str, rest: str) -> None:
        why = "" if cause is None else f'"cause":"{cause}",'
        if not self.tape.add(f'{{"event":"{event}",{why}"depth":{depth},{place}{rest}}}'):
            self.engine.over_budget()

    def fail(self, exc: Exception) -> None:
        self.engine.fail(exc)


class SettraceEngine:
    """Installs and removes the trace functions, for all threads that start meanwhile."""

    name = "python"
    mechanism = "settrace"

    def __init__(self, options: Options, scope: Scope) -> None:
        self.options = options
        self.scope = scope
        self.writer = Writer(options)
        self.budget = self._new_budget()
        self._main = self._thread()
        self.threads = [self._main]
        self.entry: Optional[CodeInfo] = None
        """What was called first."""
        self.failure: Optional[str] = None
        self.was_displaced = False
        """Whether the program had taken us off for a while: frames are missing."""
        self.on_stop: Optional[Callable[[], None]] = None
        """Called once when the budget is spent, before the program is stopped."""
        self._before: Tuple[Any, Any] = (None, None)

    def _new_budget(self) -> Any:
        return Budget(self.options)

    def _thread(self) -> Any:
        return ThreadEngine(self)

    def start(self) -> None:
        self._before = (sys.gettrace(), getattr(threading, "_trace_hook", None))
        threading.settrace(self._on_new_thread)
        self._main.ident = get_ident()
        sys.settrace(self._main.on_event)

    def stop(self) -> bool:
        """False: somebody else's trace function had taken our place."""
        is_ours = self._is_ours()
        stopped = not self._main.is_live
        for thread in self.threads:
            thread.is_live = False
        if is_ours or (stopped and sys.gettrace() is None):
            sys.settrace(self._before[0])
        threading.settrace(self._before[1])  # type: ignore[arg-type,unused-ignore]
        return (is_ours and not self.was_displaced) or stopped

    def _is_ours(self) -> bool:
        return bool(sys.gettrace() == self._main.on_event)

    def _on_new_thread(self, py_frame: FrameType, event: str, arg: Any) -> Any:
        thread = self._thread()
        self.threads.append(thread)
        thread.is_live = self._main.is_live
        sys.settrace(thread.on_event)
        return thread.on_event(py_frame, event, arg)

    def elsewhere(self, py_frame: FrameType) -> Any:
        """A call in a thread whose trace function the program has made one of another thread's."""
        self.was_displaced = True
        thread = next((thread for thread in reversed(self.threads) if thread.ident == get_ident()), None)
        if thread is None:
            return self._on_new_thread(py_frame, "call", None)
        sys.settrace(thread.on_event)
        return thread.on_event(py_frame, "call", None)

    def over_budget(self) -> None:
        self.end()
        if self.on_stop is not None:
            self.on_stop()
        if self.options.on_budget == "stop_program":
            raise BudgetStop
        self.stop_watching()

    def stop_watching(self) -> None:
        """The program goes on at its own speed."""
        sys.settrace(None)

    def fail(self, exc: Exception) -> None:
        """The recorder itself failed."""
        if self.failure is None:
            self.failure = "{}: {}".format(type(exc).__name__, exc)
        self.end()
        self.stop_watching()
        if isinstance(exc, RecursionError) and sys.version_info < (3, 10):
            raise exc  # the program is about to meet it; there, to swallow one is to be ended at the next

    def end(self) -> None:
        """Nothing more is recorded."""
        for thread in self.threads:
            thread.is_live = False

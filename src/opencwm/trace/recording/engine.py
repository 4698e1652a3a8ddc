"""The reference engine: the events of `sys.settrace` as frames, in pure Python.

    sys.settrace -> Engine (which py_frame, which event) -> Activation (what its locals looked like) -> Frame

An engine knows nothing of files, processes or headers (`recorder.py`), so that another engine can take its place. The
order of frames is CPython's. Deviations and their reasons are in the project's trace format; what this mechanism
cannot hide: reading `f_locals` of a function up to 3.12 makes `locals()` in the traced program return the same dict
each time, and Python's recursion limit is reached a few calls earlier.
"""

import sys
import types
from dataclasses import dataclass
from opcode import opname
from typing import Any, Callable, Dict, List, Optional, Tuple

if __package__:
    from .frame import Frame, Locals, dump
    from .source import CodeInfo, Sources
    from .values import Cuts, Shown, Writer
else:  # injected as a plain folder
    from frame import Frame, Locals, dump  # type: ignore[import-not-found,no-redef]
    from source import CodeInfo, Sources  # type: ignore[import-not-found,no-redef]
    from values import Cuts, Shown, Writer  # type: ignore[import-not-found,no-redef]

_SAME_OBJECT_SAME_TEXT = frozenset({int, bool, type(None), float, complex, str, bytes, range})


@dataclass(frozen=True)
class Options:
    """How a trace is made; stored in its header. `None` switches a cut or a budget off."""

    values: str = "structural"
    """structural: our own writer, no user code runs. repr: the objects' own `__repr__`."""
    max_depth: Optional[int] = 6
    """Containers nested deeper are shown as their brackets."""
    max_items: Optional[int] = 64
    """Items shown of one container."""
    max_value_chars: Optional[int] = 512
    """Characters shown of one string, and of one whole value."""
    full_after_return: bool = True
    """The first frame with locals after a callee's return shows every local."""
    comprehensions: str = "fold"
    """fold: part of their line. step: what the interpreter gives."""
    max_frames: Optional[int] = 10000
    max_bytes: Optional[int] = 1000000
    """Bytes of the frames' JSON."""
    timeout_s: Optional[float] = 10.0
    """Wall clock."""
    on_budget: str = "stop_program"
    """stop_program: in a child of our own. stop_recording: in somebody else's process, which goes on untraced."""


class BudgetExceeded(BaseException):
    """Raised inside the program that ran over budget; not an Exception, so that `except Exception` lets it pass."""


class Activation:
    """One activation of a code object: what its locals looked like when last shown."""

    __slots__ = ("depth", "full", "info", "inside", "last_line", "offset", "raised", "shown", "suspended")

    def __init__(self, info: CodeInfo, depth: int) -> None:
        self.info = info
        self.depth = depth
        self.shown = {}  # type: Dict[str, Tuple[Any, object]]
        self.full = False
        self.raised = False
        self.offset = -1
        self.last_line = -1
        self.inside = None  # type: Optional[int]


class Engine:
    """Turns the events of one thread into frames. Knows nothing of files, processes or headers."""

    def __init__(self, sources: Sources, options: Options) -> None:
        self.sources = sources
        self.options = options
        self.writer = Writer(options.values, Cuts(options.max_depth, options.max_items, options.max_value_chars))
        self.frames = []  # type: List[Frame]
        self._bound = 0  # no fewer than the bytes of all frames
        self._sized, self._sized_bytes = 0, 0  # how many frames' bytes are known exactly, and their sum
        self.num_cut = 0
        self.stack = []  # type: List[Activation]
        self.over_budget = False
        self.failure = None  # type: Optional[str]

    # What sys.settrace calls

    def trace(self, py_frame: types.FrameType, event: str, arg: Any) -> Optional[Callable[..., Any]]:
        """The global trace function: a new py_frame begins, or a suspended one goes on."""
        info = self.sources.info(py_frame.f_code)
        if info is None or self.over_budget:
            return None
        activation = Activation(info, len(self.stack))
        self.stack.append(activation)
        resumed = info.is_generator and _is_resumed(py_frame)
        line_no = py_frame.f_lineno if resumed else info.first_line
        if not info.is_function and not resumed:
            line_no = 1 if info.code.co_name == "<module>" else info.first_line
        activation.offset = py_frame.f_lasti
        self._with_locals("call", "resume" if resumed else None, py_frame, activation, line_no, full=True)

        def local(py_frame: types.FrameType, event: str, arg: Any) -> Optional[Callable[..., Any]]:
            if self.over_budget or self.failure:
                self._check()
                return None
            if event == "line":
                self._line(py_frame, activation)
            elif event == "return":
                self._return(py_frame, activation, arg)
            elif event == "exception":
                self._exception(py_frame, activation, arg)
            return local

        return local

    def _line(self, py_frame: types.FrameType, activation: Activation) -> None:
        info, line_no = activation.info, py_frame.f_lineno
        activation.raised = False
        if info.spans and not self._is_shown(py_frame.f_lasti, line_no, activation):
            return
        self._with_locals("line", None, py_frame, activation, line_no, full=activation.full)

    def _is_shown(self, offset: int, line_no: int, activation: Activation) -> bool:
        """The folding rule; moves the activation past this event."""
        info = activation.info
        target = info.targets.get(offset)
        if target is not None and info.line_at(target) == line_no:
            offset = target
            backward = True
        else:
            backward = offset < activation.offset
        came_from, number = activation.inside, info.inside.get(offset)
        jumped = backward
        activation.offset, activation.inside = offset, number
        if number is not None:
            if offset != info.starts[number]:
                return False
            return activation.last_line != info.spans[number][0] or jumped
        if came_from is not None and not backward and line_no == info.spans[came_from][0]:
            return False
        return True

    def _return(self, py_frame: types.FrameType, activation: Activation, value: Any) -> None:
        cause = _why_left(py_frame, activation)
        self._pop(activation)
        shown = Shown("None", "None") if cause == "unwind" else self.writer.show(value)
        self._add("return", cause, activation, py_frame.f_lineno, None, shown)
        if self.stack and self.options.full_after_return:
            self.stack[-1].full = True

    def _pop(self, activation: Activation) -> None:
        while self.stack and self.stack[-1] is not activation:  # a py_frame whose end was not reported
            self.stack.pop()
        if self.stack:
            self.stack.pop()

    def _exception(self, py_frame: types.FrameType, activation: Activation, arg: Any) -> None:
        kind, value, _ = arg
        activation.raised = True
        if not isinstance(value, BaseException):
            value = kind() if value is None else kind(value)
        number = activation.info.inside.get(py_frame.f_lasti) if activation.info.spans else None
        line_no = py_frame.f_lineno if number is None else activation.info.spans[number][0]
        self._add("exception", None, activation, line_no, None, self.writer.show(value))

    # From an event to a frame

    def _with_locals(
        self, event: str, cause: Optional[str], py_frame: types.FrameType, activation: Activation, line_no: int, full: bool
    ) -> None:  # fmt: skip
        activation.last_line = line_no
        activation.full = False
        self._add(event, cause, activation, line_no, self._locals(py_frame, activation, full), None)

    def _locals(self, py_frame: types.FrameType, activation: Activation, full: bool) -> Locals:
        info, before = activation.info, activation.shown
        values = py_frame.f_locals
        names = info.names if info.is_function else _module_names(values)
        shown = {}  # type: Dict[str, str]
        now = {}  # type: Dict[str, Tuple[Any, object]]
        write = self.writer.show
        for name in names:
            try:
                value = values[name]
            except KeyError:
                continue
            last = before.get(name)
            atom = type(value) in _SAME_OBJECT_SAME_TEXT
            if last is not None and not full and atom and last[0] is value:
                now[name] = last
                continue
            text, key = write(value)
            if text is not key:
                self.num_cut += 1
            now[name] = (value if atom else None, key)
            if full or last is None or last[1] != key:
                shown[name] = text
        removed = () if full else tuple(name for name in before if name not in now)
        order = None  # type: Optional[Tuple[str, ...]]
        if not full and len(shown) and any(name not in before for name in shown):
            appended = [name for name in before if name in now] + [name for name in shown if name not in before]
            if appended != list(now):
                order = tuple(now)
        activation.shown = now
        return Locals(shown, removed, order)

    def _add(
        self, event: str, cause: Optional[str], activation: Activation, line_no: int,
        names: Optional[Locals], value: Optional[Shown],
    ) -> None:  # fmt: skip
        info = activation.info
        options = self.options
        frame = Frame(
            event, activation.depth, info.file, line_no, info.source_line(line_no), cause, names,
            None if value is None else value.text,
        )  # fmt: skip
        if value is not None and value.text is not value.key:
            self.num_cut += 1
        self.frames.append(frame)
        if (options.max_frames is not None and len(self.frames) > options.max_frames) or not self._fits(frame):
            self.frames.pop()
            self.over_budget = True
            self._check()

    def _fits(self, frame: Frame) -> bool:
        """Whether the frames so far stay within `max_bytes`. Exact sizes are worked out only near the limit."""
        limit = self.options.max_bytes
        if limit is None:
            return True
        names = frame.locals
        chars = len(frame.source_line) + len(frame.file) + len(frame.value or "")
        if names is not None:
            chars += sum([len(name) + len(text) + 6 for name, text in names.set.items()])
            chars += 3 * sum([len(name) for name in names.removed + (names.order or ())])
        self._bound += 6 * chars + 200
        if self._bound > limit:
            exact = num_bytes(self.frames[self._sized :])
            self._sized_bytes += exact
            self._sized = len(self.frames)
            self._bound = self._sized_bytes
            return self._sized_bytes <= limit
        return True

    def _check(self) -> None:
        if self.over_budget and self.options.on_budget == "stop_program":
            raise BudgetExceeded


def num_bytes(frames: List[Frame]) -> int:
    """Bytes of the frames' JSON, as `max_bytes` counts them."""
    return sum([len(dump(frame.to_dict()).encode("utf-8", "surrogatepass")) + 1 for frame in frames])


def _module_names(values: Dict[str, Any]) -> List[str]:
    """Names of a module or class body worth showing, in their order."""
    hidden = (types.ModuleType, types.FunctionType, type)
    return [
        name
        for name, value in list(values.items())
        if name.isidentifier() and not (name[:2] == "__" and name[-2:] == "__") and not isinstance(value, hidden)
    ]


def _is_resumed(py_frame: types.FrameType) -> bool:
    """Whether a generator's or coroutine's `call` re-enters it."""
    code, offset = py_frame.f_code.co_code, py_frame.f_lasti
    if sys.version_info < (3, 11):
        return offset >= 0
    return 0 <= offset < len(code) and opname[code[offset]] == "RESUME" and code[offset + 1] & 3 != 0


def _why_left(py_frame: types.FrameType, activation: Activation) -> Optional[str]:
    code, offset = py_frame.f_code.co_code, py_frame.f_lasti
    name = opname[code[offset]] if 0 <= offset < len(code) else ""
    if name.startswith(("RETURN_VALUE", "RETURN_CONST", "RETURN_GENERATOR", "INSTRUMENTED_RETURN")):
        return None
    if not activation.raised and activation.info.is_generator and "YIELD" in name:
        return "await" if _awaits(code, offset) else "yield"
    if not activation.raised and activation.info.is_generator and name in ("SEND", "YIELD_FROM", "RESUME"):
        return "await" if activation.info.is_coroutine else "yield"
    return "unwind"


def _awaits(code: bytes, offset: int) -> bool:
    """Whether the suspension at `offset` is an await: told by the argument of the RESUME after it."""
    for at in range(offset + 2, min(offset + 8, len(code)), 2):
        if opname[code[at]] == "RESUME":
            return code[at + 1] & 3 == 3
    return False

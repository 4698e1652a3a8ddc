"""The native engine: `native.c` behind the recorder's seam.

    native.c --cc, once per interpreter--> cache/_native-TAG.so --load--> NativeEngine

Where there is no compiler, no header files or an interpreter whose frames `native.c` does not know, `load` gives None
and the reference engine (engine.py) does the same work, more slowly.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import weakref
from functools import lru_cache
from types import CodeType, FrameType, ModuleType
from typing import Any, Dict, List, Optional, Tuple

from .descriptions import describe
from .engine import _LOOP_OPS, _RESUME, _RETURN_OPS, _YIELD_VALUE, Activation, BudgetStop, SettraceEngine, unwrapped
from .frame import Frame
from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .options import Options
from .scope import CodeInfo, Scope

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "native.c")
VERSIONS = ((3, 11), (3, 13))
"""First and last version of the interpreter whose frames `native.c` knows."""
_FLAGS = ["-O3", "-DNDEBUG", "-fPIC", "-fno-plt", "-shared", "-fno-strict-aliasing", "-fwrapv"]

_loaded: List[Optional[ModuleType]] = []


class NotBuilt(Exception):
    """Why there is no native engine here, in a sentence."""


def engine(options: Options, scope: Scope) -> Optional[SettraceEngine]:
    """The native engine for this interpreter; None where it cannot be had."""
    if load() is None or (_MONITORING is not None and _free_tool() is None):
        return None
    return NativeEngine(options, scope) if _MONITORING is None else MonitoringEngine(options, scope)


def load(path: Optional[str] = None) -> Optional[ModuleType]:
    """The extension at `path`, or else the one for this interpreter, built if need be; None where it cannot be had."""
    if not _loaded:
        try:
            _loaded.append(_import(path or build()))
        except NotBuilt:
            _loaded.append(None)
    return _loaded[0]


@lru_cache(maxsize=None)
def built() -> Optional[str]:
    """The path of the extension, for a process that is to load it and cannot build it."""
    try:
        return build()
    except NotBuilt:
        return None


def build(folder: Optional[str] = None) -> str:
    """The path of the extension for this interpreter, made now if it is not there. Raises NotBuilt."""
    if sys.implementation.name != "cpython" or not VERSIONS[0] <= sys.version_info[:2] <= VERSIONS[1]:
        raise NotBuilt("the native engine knows CPython {}.{} to {}.{}".format(*VERSIONS[0], *VERSIONS[1]))
    try:
        with open(SOURCE, "rb") as file:
            digest = hashlib.sha256(file.read() + " ".join(_FLAGS).encode()).hexdigest()[:16]
    except OSError as exc:
        raise NotBuilt("{} cannot be read: {}".format(SOURCE, exc)) from exc
    tag = "{}-{}".format(sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag, digest)
    folder = folder or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "opencwm"
    )
    path = os.path.join(folder, "_native-{}.so".format(tag))
    if not os.path.exists(path):
        _compile(path)
    return path


def _compile(path: str) -> None:
    include = sysconfig.get_paths()["include"]
    if not os.path.exists(os.path.join(include, "internal", "pycore_frame.h")):
        raise NotBuilt("the header files of this interpreter are not installed")
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle, partial = tempfile.mkstemp(suffix=".so", dir=os.path.dirname(path))
        os.close(handle)
    except OSError as exc:
        raise NotBuilt("{} cannot be written: {}".format(os.path.dirname(path), exc)) from exc
    try:
        done = subprocess.run(
            [compiler, *_FLAGS, "-I" + include, SOURCE, "-o", partial],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        if done.returncode != 0:
            raise NotBuilt("{} failed: {}".format(compiler, done.stdout.decode(errors="replace").strip()[:500]))
        os.chmod(partial, 0o755)  # a sandboxed child is another user
        os.replace(partial, path)
    except (OSError, subprocess.SubprocessError) as exc:
        raise NotBuilt("{} cannot be run: {}".format(compiler, exc)) from exc
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def _import(path: str) -> ModuleType:
    loader = importlib.machinery.ExtensionFileLoader("_native", path)
    spec = importlib.util.spec_from_file_location("_native", path, loader=loader)
    try:
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except ImportError as exc:
        raise NotBuilt("{} cannot be loaded: {}".format(path, exc)) from exc
    return module


class NativeThread:
    """The tape of one thread."""

    def __init__(self, engine: NativeEngine) -> None:
        self.native = engine.native.thread()
        self.writer = engine.writer
        self._own_cut = 0

    @property
    def tape(self) -> NativeThread:
        """The seam's name for what holds the frames."""
        return self

    @property
    def is_live(self) -> bool:
        return bool(self.native.is_live)

    @is_live.setter
    def is_live(self, value: bool) -> None:
        self.native.is_live = value

    @property
    def frames(self) -> List[str]:
        frames: List[str] = self.native.frames()
        return frames

    def text(self, before: str, after: str) -> str:
        return str(self.native.text(before, after))

    @property
    def num_frames(self) -> int:
        return int(self.native.num_frames)

    @property
    def num_bytes(self) -> int:
        return int(self.native.num_bytes)

    @property
    def num_cut(self) -> int:
        """Texts that were cut; `Activation` counts those of a module's names here."""
        return self._own_cut + int(self.native.num_cut)

    @num_cut.setter
    def num_cut(self, value: int) -> None:
        self._own_cut = value - int(self.native.num_cut)

    def to_frames(self) -> List[Frame]:
        return [Frame.from_dict(json.loads(text)) for text in self.frames]


class NativeEngine(SettraceEngine):
    """The same engine with `native.c` in the place of its Python callbacks."""

    name = "native"
    mechanism = "settrace"

    def _new_budget(self) -> Any:
        module = load()
        assert module is not None, "`engine` looks first"
        options, scope = self.options, self.scope
        if scope.codes is None:
            scope.codes = module.Codes()
        self.native: Any = module.Engine(
            weakref.proxy(self),
            options,
            scope,
            scope.codes,
            self.writer,
            describe,
            BudgetStop,
            -1.0 if options.timeout_s is None else options.timeout_s,
            options.values == "repr",
            options.on_budget == "stop_program",
            options.full_after_return,
            _YIELD_VALUE,
            _RESUME,
            tuple(_RETURN_OPS),
            tuple(_LOOP_OPS),
            None if _MONITORING is None else _MONITORING.DISABLE,
        )
        return self.native

    def _thread(self) -> Any:
        return NativeThread(self)

    def start(self) -> None:
        self._before = (sys.gettrace(), getattr(threading, "_trace_hook", None))
        threading.settrace(self._on_new_thread)
        self._main.native.attach()

    def _is_ours(self) -> bool:
        self.was_displaced = any(thread.native.was_displaced for thread in self.threads)
        return sys.gettrace() is self._main.native

    def _on_new_thread(self, py_frame: FrameType, event: str, arg: Any) -> Any:
        thread = self._new_thread()
        thread.native.attach()
        if event == "call":
            thread.native.called(py_frame)

    def _new_thread(self) -> Any:
        thread = self._thread()
        thread.is_live = self._main.is_live
        self.threads.append(thread)
        return thread

    # -- what native.c leaves to Python

    def elsewhere(self, py_frame: FrameType) -> None:
        for thread in self.threads:
            if thread.native.is_here:
                thread.native(py_frame, "call", None)
                return
        self._on_new_thread(py_frame, "call", None)

    def names_of(self, info: CodeInfo, depth: int) -> Activation:
        """Of a module's or class body's activation."""
        return Activation(self._main, info, depth)

    def unwrapped(self, value: Any) -> Any:
        return unwrapped(value)


_MONITORING: Any = getattr(sys, "monitoring", None)
_CALLBACKS: List[Tuple[int, str]] = [
    (getattr(_MONITORING.events, event), callback)
    for callback, events in (
        ("at_start", ("PY_START", "PY_RESUME")),
        ("at_throw", ("PY_THROW",)),
        ("at_line", ("LINE",)),
        ("at_jump", ("JUMP",)),
        ("at_return", ("PY_RETURN", "PY_YIELD")),
        ("at_unwind", ("PY_UNWIND",)),
        ("at_exception", ("RAISE", "STOP_ITERATION")),
    )
    for event in events
    if _MONITORING is not None
]
"""What `sys.monitoring` tells of, and the method of `native.c`'s engine that is told."""


class MonitoringEngine(NativeEngine):
    """On `sys.monitoring` (3.12+): code out of scope runs at full speed, and a program that calls `sys.settrace` does
    not displace us."""

    mechanism = "monitoring"
    _tool = -1

    def __init__(self, options: Options, scope: Scope) -> None:
        super().__init__(options, scope)
        self._by_id: Dict[int, Any] = {}
        self._last_stranger = 0
        """Of the threads that were there before: newer ones have greater ids."""
        self._watched: List[CodeType] = []
        self._local = 0

    def __del__(self) -> None:
        """A recorder that was dropped while it recorded leaves no callbacks behind."""
        if self._tool >= 0:
            self.stop()

    def start(self) -> None:
        events = _MONITORING.events
        tool = _free_tool()
        assert tool is not None, "`engine` looks first"
        self._tool = tool
        _MONITORING.use_tool_id(tool, "opencwm")
        native = self.native
        for event, callback in _CALLBACKS:
            _MONITORING.register_callback(tool, event, getattr(native, callback))
        self._local = events.LINE | events.JUMP | events.PY_RETURN | events.PY_YIELD | events.STOP_ITERATION
        here, self._last_stranger = native.thread_ids()
        self._by_id[here] = self._main
        _MONITORING.restart_events()
        everywhere = events.PY_START | events.PY_RESUME | events.PY_THROW | events.PY_UNWIND | events.RAISE
        _MONITORING.set_events(self._tool, everywhere)

    def stop(self) -> bool:
        for thread in self.threads:
            thread.is_live = False
        self.stop_watching()
        if self._tool >= 0:
            for event, _ in _CALLBACKS:
                _MONITORING.register_callback(self._tool, event, None)
            _MONITORING.free_tool_id(self._tool)
            self._tool = -1
        return True

    def stop_watching(self) -> None:
        """The program's own trace function, coverage's say, stays where it is."""
        if self._tool >= 0:
            _MONITORING.set_events(self._tool, 0)
            for code in self._watched:
                _MONITORING.set_local_events(self._tool, code, 0)

    # -- what native.c leaves to Python

    def thread_here(self, thread_id: int) -> Any:
        thread = self._by_id.get(thread_id)
        if thread is None:
            if thread_id <= self._last_stranger:
                return None
            thread = self._by_id[thread_id] = self._new_thread()
        return thread.native

    def watch(self, code: CodeType) -> None:
        self._watched.append(code)
        _MONITORING.set_local_events(self._tool, code, self._local)


def _free_tool() -> Optional[int]:
    """An id that no tool has taken; those of the debugger, coverage and the profiler are theirs."""
    for tool in (4, 3):
        if _MONITORING.get_tool(tool) is None:
            return tool
    return None

"""Which code is recorded, and what is known about each code object: decided once, looked up at every call.

code object --Scope.info_of--> CodeInfo(file, names, lines, folds) or None: stepped over
"""

from __future__ import annotations

import dis
import keyword
import linecache
import os
import sys
from json.encoder import encode_basestring
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .folding import FOLDED_NAMES, Folds, folds_of
from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .source import SourceFile, source_file

START_MARKER = "  # << START_OF_TRACE"
"""Ends the entry point's `def` line in the context; not repeated in frames."""

OWN_FOLDER = os.path.dirname(os.path.realpath(__file__))
CO_OPTIMIZED, CO_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE, CO_ASYNC_GENERATOR = 0x1, 0x20, 0x80, 0x100, 0x200
_SUSPENDS = CO_GENERATOR | CO_COROUTINE | CO_ITERABLE_COROUTINE | CO_ASYNC_GENERATOR


class CodeInfo:
    """What the recorder knows about one code object in scope."""

    __slots__ = (
        "call_line",
        "can_suspend",
        "co_code",
        "code",
        "file",
        "folds",
        "heads",
        "is_async_generator",
        "is_coroutine",
        "is_function",
        "jump_targets",
        "names",
        "places",
        "source",
    )

    def __init__(self, code: CodeType, file: str, source: SourceFile, fold: bool) -> None:
        scope = source.scope_of(code)
        flags = code.co_flags
        self.code = code  # kept, so that its id stays its own
        self.co_code = code.co_code
        self.file = file
        self.source = source
        self.is_function = bool(flags & CO_OPTIMIZED)
        self.names = _local_names(code)
        self.call_line = 1 if code.co_name == "<module>" else scope.def_line if scope else code.co_firstlineno
        self.can_suspend = bool(flags & _SUSPENDS)
        self.is_coroutine = bool(flags & CO_COROUTINE)
        self.is_async_generator = bool(flags & CO_ASYNC_GENERATOR)
        self.folds: Optional[Folds] = folds_of(code, scope) if fold else None
        self.jump_targets = _backward_jumps(code) if self.folds is not None else {}
        self.places: Dict[int, str] = {}
        self.heads: Dict[int, LineHeads] = {}

    def line_heads(self, depth: int) -> LineHeads:
        heads = self.heads.get(depth)
        if heads is None:
            heads = self.heads[depth] = LineHeads(self, depth)
        return heads

    def place(self, line_no: int) -> str:
        """The keys of a frame that say where it is, as JSON."""
        found = self.places.get(line_no)
        if found is None:
            text = self.source.line(line_no)
            if text.endswith(START_MARKER):
                text = text[: -len(START_MARKER)]
            found = '"file":{},"line_no":{},"source_line":{}'.format(
                encode_basestring(self.file), line_no, encode_basestring(text)
            )
            self.places[line_no] = found
        return found


class LineHeads(Dict[int, str]):
    """Line number -> what the JSON of a `line` frame at this depth begins with."""

    def __init__(self, info: CodeInfo, depth: int) -> None:
        super().__init__()
        self._info = info
        self._depth = depth

    def __missing__(self, line_no: int) -> str:
        head = self[line_no] = f'{{"event":"line","depth":{self._depth},{self._info.place(line_no)}'
        return head


def _local_names(code: CodeType) -> Tuple[str, ...]:
    """All names in the order in which they are shown; what is not an identifier is the interpreter's own."""
    names = list(code.co_varnames)
    names += [name for name in code.co_cellvars if name not in names]
    names += [name for name in code.co_freevars if name not in names]
    return tuple(name for name in names if name.isidentifier() and not keyword.iskeyword(name))


def _backward_jumps(code: CodeType) -> Dict[int, Tuple[int, int]]:
    """3.13 reports a backward jump within a line at the jump: its offset -> the target's offset and line."""
    if sys.version_info < (3, 13):
        return {}
    line_of = {}
    for start, end, line in code.co_lines():
        for offset in range(start, end, 2):
            line_of[offset] = line
    return {
        instruction.offset: (instruction.argval, line_of.get(instruction.argval) or 0)
        for instruction in dis.get_instructions(code)
        if instruction.opname.startswith("JUMP_BACKWARD")
    }


class Scope:
    """The files whose frames are recorded: given ones, those below given folders, or the file that runs first."""

    def __init__(
        self,
        paths: Optional[Sequence[str]] = None,
        sources: Optional[Dict[str, str]] = None,
        fold: bool = True,
        imports: bool = True,
    ) -> None:
        """`imports`: whether the top level of a module that is imported meanwhile is recorded; what it calls always
        is."""
        self._roots = None if paths is None else [_real(path) for path in paths]
        self._texts = dict(sources or {})
        self._fold = fold
        self._imports = imports
        self._infos: Dict[int, Tuple[CodeType, Optional[CodeInfo]]] = {}
        self._files: Dict[str, Optional[str]] = {}
        self._sources: Dict[str, Tuple[Optional[List[str]], SourceFile]] = {}
        """The lines that `linecache` had, and what was made of them."""
        self.codes: Any = None
        """What the native engine knows about code of this scope."""
        if paths is None and sources:
            self._roots = []

    def info_of(self, code: CodeType) -> Optional[CodeInfo]:
        known = self._infos.get(id(code))
        if known is None:
            known = self._infos[id(code)] = (code, self._find(code))
        return known[1]

    def _find(self, code: CodeType) -> Optional[CodeInfo]:
        if self._fold and code.co_name in FOLDED_NAMES:
            return None
        filename = code.co_filename
        if filename not in self._files:
            self._files[filename] = self._relative(filename)
        file = self._files[filename]
        if file is None or (not self._imports and _is_imported(code)):
            return None
        return CodeInfo(code, file, self._source_of(filename), self._fold)

    @property
    def num_codes(self) -> int:
        return len(self._infos)

    def _relative(self, filename: str) -> Optional[str]:
        """The file as frames name it; None where it is out of scope."""
        if filename in self._texts:
            return os.path.basename(filename)
        if filename.startswith("<") and filename.endswith(">"):
            return None
        try:
            path = _real(filename)
        except OSError:  # a relative name, and the program has removed the folder it is in
            return None
        if os.path.dirname(path) == OWN_FOLDER:
            return None
        if self._roots is None:  # nothing was named: the first file that runs is the scope
            self._roots = [path]
        for root in self._roots:
            if path == root:
                return os.path.basename(path)
            if path.startswith(root + os.sep):
                below = path[len(root) + 1 :].replace(os.sep, "/")
                return None if "site-packages/" in below else below  # an environment inside a project's folder
        return None

    def _source_of(self, filename: str) -> SourceFile:
        if filename in self._texts:
            return source_file(self._texts[filename])
        lines = linecache.getlines(filename)
        known = self._sources.get(filename)
        if known is None or known[0] is not lines:
            known = self._sources[filename] = (lines, source_file("".join(lines) if lines else None))
        return known[1]


_shared: Dict[Any, Scope] = {}
MAX_SHARED, MAX_CODES = 16, 10_000
"""Scopes that are remembered, and code objects of one: they keep them alive."""


def shared_scope(paths: Sequence[str], fold: bool) -> Scope:
    """The scope of these files and folders: what an earlier recording found out about their code is known."""
    key = (tuple(paths), fold, None if all(map(os.path.isabs, paths)) else os.getcwd())
    found = _shared.get(key)
    if found is None or found.num_codes > MAX_CODES:
        while len(_shared) >= MAX_SHARED:
            _shared.pop(next(iter(_shared)))
        found = _shared[key] = Scope(paths, None, fold)
    return found


def _is_imported(code: CodeType) -> bool:
    """Whether code that begins to run here is the top level of an imported module, or of a class in one."""
    if code.co_flags & CO_OPTIMIZED:
        return False
    py_frame: Optional[FrameType] = sys._getframe()
    while py_frame is not None and py_frame.f_code is not code:
        py_frame = py_frame.f_back
    while py_frame is not None and not py_frame.f_code.co_flags & CO_OPTIMIZED:
        if py_frame.f_code.co_name == "<module>":
            return py_frame.f_globals.get("__name__") != "__main__"
        py_frame = py_frame.f_back
    return False


def _real(path: str) -> str:
    return os.path.realpath(os.path.abspath(path))


_HIDDEN_TYPES = (ModuleType, FunctionType, BuiltinFunctionType, type)


def shown_globals(namespace: Dict[str, Any]) -> List[Tuple[str, Any]]:
    """What a module's or a class body's frame shows: no dunders, modules, functions or classes. Of a namespace that
    is no dictionary, nothing, since to ask it is to run code of the program's."""
    return [
        (name, value)
        for name, value in (list(dict.items(namespace)) if issubclass(type(namespace), dict) else ())
        if type(name) is str
        and name.isidentifier()
        and not (name.startswith("__") and name.endswith("__"))
        and not issubclass(type(value), _HIDDEN_TYPES)
    ]

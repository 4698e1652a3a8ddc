"""A program, and what it finds around it while it runs in this process: its module, its arguments, its source.

job or source --Program--> Stage(module, argv, path) --exec-->
"""

from __future__ import annotations

import ast
import importlib.util
import linecache
import os
import sys
import tokenize
from types import CodeType, ModuleType
from typing import Any, Dict, Optional, Sequence

from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .source import split_lines

WRAPPER = "\ndef main():  # << START_OF_TRACE\n    return {}\n"
_ABSENT = object()


class Program:
    """A source and how it is run: as a script (`__main__`), or imported and then called."""

    def __init__(
        self,
        source: str,
        *,
        call: Optional[str] = None,
        filename: str = "program.py",
        argv: Sequence[str] = (),
        package: Optional[str] = None,
        folder: Optional[str] = None,
    ) -> None:
        if call is not None:
            ast.parse(call.strip(), mode="eval")
        self.text = source if call is None else source + WRAPPER.format(call)
        self.call = call
        self.filename = filename
        self.argv = [filename, *argv]
        self.package = package
        self.folder = folder
        """What its imports are looked for in first; None: what is there."""
        self.name = "__main__" if call is None else os.path.splitext(os.path.basename(filename))[0]

    @classmethod
    def from_file(cls, path: str, *, call: Optional[str] = None, argv: Sequence[str] = ()) -> Program:
        """As `python PATH` runs it."""
        with tokenize.open(path) as file:  # the encoding that the file declares
            source = file.read()
        folder = os.path.dirname(os.path.abspath(path))
        return cls(source, call=call, filename=path, argv=argv, folder=folder)

    @classmethod
    def from_module(cls, name: str, *, call: Optional[str] = None, argv: Sequence[str] = ()) -> Program:
        """As `python -m NAME` runs it."""
        folder = os.getcwd()
        if folder not in sys.path:
            sys.path.insert(0, folder)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None and call is None:
            spec = importlib.util.find_spec(name + ".__main__")
        if spec is None or spec.origin is None or not os.path.isfile(spec.origin):
            raise ModuleNotFoundError("no module called {!r} that can be run".format(name))
        program = cls.from_file(spec.origin, call=call, argv=argv)
        program.package, program.folder = spec.parent, folder
        return program

    def compile(self) -> CodeType:
        """Raises SyntaxError, or ValueError for a null byte."""
        return compile(self.text, self.filename, "exec", dont_inherit=True)

    @property
    def context(self) -> str:
        """The program as it is compiled, after exactly one newline."""
        return framed(self.text)

    @property
    def entry(self) -> str:
        return "<module>" if self.call is None else "main"


def framed(text: str) -> str:
    return "\n" + text.lstrip("\n") + ("" if text.endswith("\n") else "\n")


class Stage:
    """A module to run a program in, registered while the block lasts; everything is put back afterwards."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.module = ModuleType(program.name)
        self.module.__dict__.update(__file__=program.filename, __package__=program.package)
        is_main = program.call is None
        self._replaces = is_main or program.name not in sys.modules  # never in the way of the program's own imports
        self._before: Dict[str, Any] = {}

    def __enter__(self) -> ModuleType:
        program = self._program
        self._before = {
            "module": sys.modules.get(program.name, _ABSENT),
            "lines": linecache.cache.get(program.filename, _ABSENT),
            "argv": sys.argv,
            "path": list(sys.path),
        }
        if self._replaces:
            sys.modules[program.name] = self.module
        lines = [line + "\n" for line in split_lines(program.text)]
        linecache.cache[program.filename] = (len(program.text), None, lines, program.filename)
        sys.argv = program.argv
        if program.folder is not None:
            sys.path.insert(0, program.folder)
        return self.module

    def __exit__(self, *_: Any) -> None:
        sys.argv = self._before["argv"]
        sys.path[:] = self._before["path"]
        if self._replaces:
            _restore(sys.modules, self.module.__name__, self._before["module"])
        _restore(linecache.cache, self._program.filename, self._before["lines"])


def _restore(table: Any, key: str, value: Any) -> None:
    if value is _ABSENT:
        table.pop(key, None)
    else:
        table[key] = value

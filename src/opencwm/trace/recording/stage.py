"""What a program finds around it while it runs in this process: its module, its arguments, its source."""

from __future__ import annotations

import linecache
import os
import sys
import types
from typing import Any, Sequence

from .source import split_lines

_ABSENT = object()


class Stage:
    """A module to run a program in, registered while the block lasts; everything is put back afterwards."""

    def __init__(self, text: str, filename: str, argv: Sequence[str], *, is_main: bool) -> None:
        stem = os.path.splitext(os.path.basename(filename))[0]
        self.module = types.ModuleType("__main__" if is_main else stem)
        self.module.__dict__["__file__"] = filename
        self._text = text
        self._filename = filename
        self._argv = [filename] + list(argv)
        self._replaces = is_main or stem not in sys.modules  # never in the way of the program's own imports
        self._before = {}  # type: Dict[str, Any]
        self._argv_before = []  # type: List[str]

    def __enter__(self) -> types.ModuleType:
        name = self.module.__name__
        self._before = {
            "module": sys.modules.get(name, _ABSENT),
            "lines": linecache.cache.get(self._filename, _ABSENT),
        }
        if self._replaces:
            sys.modules[name] = self.module
        lines = [line + "\n" for line in split_lines(self._text)]
        linecache.cache[self._filename] = (len(self._text), None, lines, self._filename)
        self._argv_before, sys.argv = sys.argv, self._argv
        return self.module

    def __exit__(self, *_: Any) -> None:
        sys.argv = self._argv_before
        if self._replaces:
            _restore(sys.modules, self.module.__name__, self._before["module"])
        _restore(linecache.cache, self._filename, self._before["lines"])


def _restore(table: Any, key: str, value: Any) -> None:
    if value is _ABSENT:
        table.pop(key, None)
    else:
        table[key] = value

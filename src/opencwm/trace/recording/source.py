"""What a source file says about its lines and scopes: the text of each line, `def` lines, comprehension spans.

    text --ast--> SourceFile(lines, scopes)      code object --scope_of--> Scope(def line, outermost comprehensions)

Lines are split as CPython's tokenizer does, so that line numbers agree (`str.splitlines` knows more line ends).
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from functools import lru_cache
from types import CodeType
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]

_LINE_END = re.compile("\r\n|\r|\n")

Span = Tuple[int, int, int, int]
"""First line, first column, last line, last column; lines 1-based, columns 0-based in UTF-8 bytes."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SCOPED = frozenset((*_FUNCTIONS, ast.Lambda, ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp))
_LEAVES = frozenset((ast.Name, ast.Constant, ast.Pass, ast.Break, ast.Continue, ast.alias))


def split_lines(text: str) -> List[str]:
    """The lines without their ends; nothing after a final line end."""
    lines = _LINE_END.split(text)
    if lines and not lines[-1]:
        lines.pop()
    return lines


class Scope:
    """One code object's part of the source."""

    __slots__ = ("comprehensions", "def_line", "span")

    def __init__(self, def_line: int, span: Optional[Span]) -> None:
        self.def_line = def_line
        """The `def`, not the first decorator."""
        self.span = span
        """Of the body: what the code's own instructions lie in. None: everything."""
        self.comprehensions: List[Span] = []
        """Outermost list, set and dict comprehensions, in order."""


class SourceFile:
    def __init__(self, text: Optional[str]) -> None:
        self.lines = [] if text is None else split_lines(text)
        self._scopes: Dict[Tuple[str, int], List[Scope]] = {}
        tree = _parse(text)
        if tree is not None:
            module = Scope(1, None)
            self._scopes[("<module>", 0)] = [module]
            self._visit_all(tree.body, module)

    def line(self, line_no: int) -> str:
        """The line as written; "" where there is none."""
        return self.lines[line_no - 1] if 0 < line_no <= len(self.lines) else ""

    def scope_of(self, code: CodeType) -> Optional[Scope]:
        """The scope that a code object was compiled from; None where the source is not known."""
        if code.co_name == "<module>":
            found = self._scopes.get(("<module>", 0), [])
        else:
            found = self._scopes.get((code.co_name, code.co_firstlineno), [])
        if len(found) <= 1:
            return found[0] if found else None
        return min((scope for scope in found if _holds(scope, code)), key=_size, default=found[0])

    # -- the walk: who encloses what

    def _visit_all(self, nodes: Any, scope: Scope, is_inside: bool = False) -> None:
        for node in nodes:
            kind = type(node)
            if kind in _SCOPED:
                self._visit(node, scope, is_inside)
            elif kind not in _LEAVES:
                self._visit_all(_children(node), scope, is_inside)

    def _visit(self, node: Any, scope: Scope, is_inside: bool) -> None:
        """`is_inside`: inside a comprehension of this scope already."""
        if isinstance(node, _FUNCTIONS):
            self._visit_definition(node, scope, is_inside)
        elif isinstance(node, ast.Lambda):
            self._visit_all([*node.args.defaults, *filter(None, node.args.kw_defaults)], scope, is_inside)
            inner = self._open("<lambda>", node.lineno, node.lineno, _span(node.body))
            self._visit_all([node.body], inner)
        elif isinstance(node, ast.GeneratorExp):
            first = node.generators[0]
            self._visit_all([first.iter], scope, is_inside)
            inner = self._open("<genexpr>", node.lineno, node.lineno, _span(node))
            self._visit_all([node.elt, first.target, *first.ifs, *node.generators[1:]], inner)
        else:
            if not is_inside:
                scope.comprehensions.append(_span(node))
            self._visit_all(_children(node), scope, True)

    def _visit_definition(self, node: Any, scope: Scope, is_inside: bool) -> None:
        first_line = min([node.lineno] + [decorator.lineno for decorator in node.decorator_list])
        inner = self._open(node.name, first_line, node.lineno, _span(node))
        body = {id(child) for child in node.body}
        self._visit_all(node.body, inner)
        self._visit_all((child for child in _children(node) if id(child) not in body), scope, is_inside)

    def _open(self, name: str, first_line: int, def_line: int, span: Span) -> Scope:
        scope = Scope(def_line, span)
        self._scopes.setdefault((name, first_line), []).append(scope)
        return scope


@lru_cache(maxsize=8)
def source_file(text: Optional[str]) -> SourceFile:
    """The same file is often recorded again; nothing changes a SourceFile once it is made."""
    return SourceFile(text)


def _children(node: Any) -> Iterator[Any]:
    """As `ast.iter_child_nodes`, without what has no fields of its own (operators and the like)."""
    for name in node._fields:
        value = getattr(node, name, None)
        if type(value) is list:
            for item in value:
                if isinstance(item, ast.AST):
                    yield item
        elif isinstance(value, ast.AST) and value._fields:
            yield value


def _parse(text: Optional[str]) -> Optional[ast.Module]:
    if text is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the program's own compilation has its say
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # not Python, or too deep for `ast`: lines only
        return None


def _span(node: Any) -> Span:
    return (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)


def _size(scope: Scope) -> Tuple[int, int]:
    first, first_column, last, last_column = scope.span or (0, 0, sys.maxsize, 0)
    return (last - first, last_column - first_column)


def _holds(scope: Scope, code: CodeType) -> bool:
    return scope.span is None or all(is_within(position, scope.span) for position in positions(code) if position)


def is_within(inner: Span, outer: Span) -> bool:
    return inner[:2] >= outer[:2] and inner[2:] <= outer[2:]


def positions(code: CodeType) -> Iterator[Optional[Span]]:
    """The span of each instruction (two bytes of code each); None where it has none. Nothing before 3.11."""
    if not hasattr(code, "co_positions"):
        return
    for line, end_line, column, end_column in code.co_positions():
        if line is None or end_line is None or column is None or end_column is None or (column == end_column == 0):
            yield None
        else:
            yield (line, column, end_line, end_column)

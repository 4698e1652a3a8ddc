"""The source that a trace of a repository needs, and no more.

    lines that a trace quotes, lines that ran in calls it steps over --gather--> parts of files, under their paths

Whole, comments included: the functions of which a line is quoted or ran, with the heads of the classes around them, and
the constants and imports that these use. Of other functions and classes that they mention, in this file or imported
from another of the repository, the head: `def f(x): ...`. Docstrings are left out, since their doctests give answers
away. What is quoted must be there; the rest is taken in this order, while it fits.

Attributes are looked up on `self`, `cls`, modules and classes only; what other names stood for is known by what ran.
"""

import ast
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from opencwm.data.dedup import FUNCTIONS
from opencwm.data.repositories.sources import Line, Sources, SourceTree, Unit, binds, first_line, has_own_lines
from opencwm.trace.stream import START_MARKER

MAX_STATEMENT_LINES = 12
"""Longer constants are shown as `NAME = ...`."""
FILE_CHARS = 40
"""What a file's heading and blank lines count for."""

Found = tuple[SourceTree, ast.stmt, tuple[ast.ClassDef, ...]]
"""A statement, where it is, and the classes around it."""


def gather(
    sources: Sources, quoted: Mapping[Line, str], ran: Iterable[Line], entry: Line, *, max_chars: int
) -> str | None:
    """The context of a trace whose entry point's `def` is at `entry`.

    None where a line is not in the files as it is quoted, lies outside every definition, or where what must be there
    does not fit.
    """
    context = _Context(sources, max_chars)
    if not all(context.quote(line, text) for line, text in quoted.items()) or context.left < 0:
        return None
    for line in ran:
        context.add_ran(line)
    context.add_mentioned()
    return context.text(entry)


class _Context:
    def __init__(self, sources: Sources, max_chars: int) -> None:
        self.left = max_chars
        """Characters that may still be added; below 0 where what must be there is too long."""
        self._sources = sources
        self._quoted: dict[str, set[int]] = {}
        self._trees: dict[str, SourceTree] = {}
        self._wholes: dict[ast.stmt, tuple[SourceTree, Unit]] = {}
        self._classes: dict[ast.ClassDef, SourceTree] = {}
        self._briefs: dict[ast.stmt, str] = {}
        self._imports: dict[ast.stmt, dict[str, ast.alias]] = {}

    def quote(self, line: Line, text: str) -> bool:
        """The line and what it is part of must be there; False where it cannot."""
        tree, line_no = self._sources.tree(line[0]), line[1]
        if tree is None or line_no > len(tree.lines) or tree.lines[line_no - 1] != text:
            return False
        self._quoted.setdefault(tree.path, set()).add(line_no)
        unit = tree.unit_at(line_no)
        if unit is not None and unit.node not in self._wholes:
            self._take(tree, unit)
        return unit is not None

    def add_ran(self, line: Line) -> None:
        tree = self._sources.tree(line[0])
        unit = None if tree is None else tree.unit_at(line[1])
        if tree is None or unit is None or unit.node in self._wholes or not isinstance(unit.node, FUNCTIONS):
            return
        if self._cost(tree, self._lines_of(tree, unit), unit.classes) <= self.left:
            self._take(tree, unit)

    def _take(self, tree: SourceTree, unit: Unit) -> None:
        self.left -= self._cost(tree, self._lines_of(tree, unit), unit.classes)
        self._wholes[unit.node] = (tree, unit)
        self._open(tree, unit.classes)

    def _open(self, tree: SourceTree, classes: Iterable[ast.ClassDef]) -> None:
        self._trees[tree.path] = tree
        for node in classes:
            self._classes.setdefault(node, tree)

    def _cost(self, tree: SourceTree, lines: Iterable[str], classes: Iterable[ast.ClassDef]) -> int:
        """Characters that these lines would add, with the heads around them."""
        heads = (line for node in classes if node not in self._classes for line in _head(tree, node))
        return sum(len(line) + 1 for line in (*lines, *heads)) + (0 if tree.path in self._trees else FILE_CHARS)

    def _lines_of(self, tree: SourceTree, unit: Unit) -> list[str]:
        return [tree.lines[n - 1] for n in self._numbers_of(tree, unit)]

    def _numbers_of(self, tree: SourceTree, unit: Unit) -> list[int]:
        dropped = _docstring_lines(unit.node) - self._quoted.get(tree.path, set())
        return [n for n in range(unit.start, unit.end + 1) if n not in dropped]

    # -- what is mentioned

    def add_mentioned(self) -> None:
        """What the whole functions mention, and what the constants among that are made of."""
        waiting = deque((tree, unit.node, unit.classes) for tree, unit in self._wholes.values())
        while waiting:
            tree, node, classes = waiting.popleft()
            for name, member in _mentions(node):
                found = self._found(tree, name, member, classes)
                is_new = found is not None and self._add(*found)
                if found is not None and is_new and node in self._wholes and not _is_definition(found[1]):
                    waiting.append(found)
        for node, tree in list(self._classes.items()):
            for part in (*node.bases, *node.decorator_list):
                for name, member in _mentions(part):
                    found = self._found(tree, name, member, ())
                    if found is not None:
                        self._add(*found)
            for field in node.body:
                if isinstance(field, ast.AnnAssign):  # what a dataclass is made of
                    self._add(tree, field, (node,))

    def _found(
        self, tree: SourceTree, name: str, member: str | None, classes: tuple[ast.ClassDef, ...]
    ) -> Found | None:
        if member is not None and name in ("self", "cls"):
            own = tree.bound_in(classes[-1], member) if classes else None
            return None if own is None else (tree, own, classes)
        self._add_import(tree, name)
        module = None if member is None else self._sources.module_named(tree, name)
        found = self._sources.find(tree, name) if module is None else self._sources.find(module, member or "")
        if found is None:
            return None
        if module is None and member is not None and isinstance(found[1], ast.ClassDef):
            inner = found[0].bound_in(found[1], member)
            if inner is not None:
                return found[0], inner, (found[1],)
        return (*found, ())

    def _add(self, tree: SourceTree, node: ast.stmt, classes: tuple[ast.ClassDef, ...]) -> bool:
        """A class's head, a function's, or a statement, if it is not there yet and fits."""
        if node in self._wholes or node in self._briefs or node in self._classes:
            return False
        is_class = isinstance(node, ast.ClassDef) and has_own_lines(node)
        brief = None if is_class else _in_brief(tree, node)
        if isinstance(node, ast.ClassDef) and is_class:
            classes = (*classes, node)
        elif brief is None:
            return False
        cost = self._cost(tree, [] if brief is None else [brief], classes)
        if cost > self.left:
            return False
        self.left -= cost
        self._open(tree, classes)
        if brief is not None:
            self._briefs[node] = brief
        return True

    def _add_import(self, tree: SourceTree, name: str) -> None:
        node = tree.bound(name)
        if not isinstance(node, ast.Import | ast.ImportFrom) or node in self._wholes:
            return
        alias = next((each for each in node.names if (each.asname or each.name.partition(".")[0]) == name), None)
        names = self._imports.setdefault(node, {})
        if alias is not None and name not in names:
            cost = self._cost(tree, [ast.unparse(_import_of(node, [alias]))], ())
            if cost <= self.left:
                self.left -= cost
                self._open(tree, ())
                names[name] = alias

    # -- the text

    def text(self, entry: Line) -> str:
        """Each file's parts under its path, the entry point's file last."""
        order = [*sorted(self._trees.keys() - {entry[0]}), entry[0]]
        return "\n" + "\n\n".join(self._file_text(self._trees[file], entry) for file in order) + "\n"

    def _file_text(self, tree: SourceTree, entry: Line) -> str:
        return "\n".join([f"# {tree.path}", *self._body(tree, tree.module.tree.body, entry)])

    def _body(self, tree: SourceTree, body: Iterable[ast.stmt], entry: Line) -> Iterator[str]:
        was_apart, is_first = False, True
        for node in body:
            lines = list(self._statement(tree, node, entry))
            if not lines:
                continue
            is_apart = _is_definition(node) and node not in self._briefs
            if not is_first and (is_apart or was_apart):
                yield ""
            yield from lines
            was_apart, is_first = is_apart, False

    def _statement(self, tree: SourceTree, node: ast.stmt, entry: Line) -> Iterator[str]:
        if node in self._wholes:
            for n in self._numbers_of(*self._wholes[node]):
                yield tree.lines[n - 1] + (START_MARKER if (tree.path, n) == entry else "")
        elif isinstance(node, ast.ClassDef) and node in self._classes:
            yield from _head(tree, node)
            inner = list(self._body(tree, node.body, entry))
            yield from inner or [" " * node.body[0].col_offset + "..."]
        elif node in self._briefs:
            yield from self._briefs[node].split("\n")
        elif self._imports.get(node):
            yield ast.unparse(_import_of(node, list(self._imports[node].values())))


def _is_definition(node: ast.stmt) -> bool:
    return isinstance(node, (*FUNCTIONS, ast.ClassDef))


def _head(tree: SourceTree, node: ast.ClassDef) -> list[str]:
    """The lines of a class before its body, without what stands between the two."""
    parts = [*node.bases, *(each.value for each in node.keywords)]
    last = max([node.lineno, *(part.end_lineno or 0 for part in parts)])
    body = first_line(node.body[0])
    while last < body - 1 and not tree.lines[last - 1].rstrip().endswith(":"):
        last += 1
    return tree.lines[first_line(node) - 1 : last]


@lru_cache(maxsize=4096)  # a suite has many episodes of the same functions
def _docstring_lines(node: ast.stmt) -> frozenset[int]:
    """Lines that hold nothing but a docstring, of this definition and of those inside it."""
    found: set[int] = set()
    for each in ast.walk(node):
        if isinstance(each, (*FUNCTIONS, ast.ClassDef)) and len(each.body) > 1 and ast.get_docstring(each) is not None:
            string = each.body[0]
            assert string.end_lineno is not None
            if each.lineno < string.lineno and string.end_lineno < first_line(each.body[1]):
                found.update(range(string.lineno, string.end_lineno + 1))
    return frozenset(found)


def _in_brief(tree: SourceTree, node: ast.stmt) -> str | None:
    """A function's head; another statement as it is, or shortened where it is long. At its place in its class."""
    indent = " " * node.col_offset
    if isinstance(node, FUNCTIONS):
        head = type(node)(**{**vars(node), "body": [ast.Expr(ast.Constant(...))]})
        text = ast.unparse(head).replace(":\n    ...", ": ...")
        return "\n".join(indent + line for line in text.split("\n"))
    assert node.end_lineno is not None
    if node.end_lineno - node.lineno < MAX_STATEMENT_LINES:
        return "\n".join(tree.lines[first_line(node) - 1 : node.end_lineno])
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return f"{indent}{' = '.join(map(ast.unparse, targets))} = ..."
    return None


def _import_of(node: ast.stmt, names: list[ast.alias]) -> ast.stmt:
    if isinstance(node, ast.ImportFrom):
        return ast.ImportFrom(module=node.module, names=names, level=node.level)
    return ast.Import(names=names)


@lru_cache(maxsize=4096)
def _mentions(node: ast.AST) -> tuple[tuple[str, str | None], ...]:
    """Names that a node takes from outside itself, each with the attribute that is asked of it."""
    bound: set[str] = set()
    if not isinstance(node, ast.expr):
        bound = {name for each in ast.walk(node) if each is not node for name in binds(each)}
        bound -= {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}
    seen: dict[tuple[str, str | None], None] = {}
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
            if each.value.id not in bound or each.value.id in ("self", "cls"):
                seen[each.value.id, each.attr] = None
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load) and each.id not in bound:
            seen[each.id, None] = None
    return tuple(seen)

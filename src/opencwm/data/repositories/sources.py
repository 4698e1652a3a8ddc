"""The Python files of a repository: their functions, their statements, and where a name of theirs is defined.

    path, text --SourceTree--> units (statements of modules and classes), functions by the line of their `def`
    Sources --find--> the statement behind a name, followed through the repository's imports

Names are resolved by the text, as an editor does; nothing is imported.
"""

import ast
import io
import os
import tokenize
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from opencwm.data.dedup import FUNCTIONS, NAMED, body_key
from opencwm.data.self_contained import ModuleSource
from opencwm.trace.recording.source import split_lines

Line = tuple[str, int]
"""A file of the repository, and the number of a line in it."""
Definition = ast.FunctionDef | ast.AsyncFunctionDef
MAX_HOPS = 4
"""So many modules may hand a name on before it is defined."""
SKIPPED_FOLDERS = frozenset({".git", ".tox", ".nox", ".venv", "venv", "node_modules", "site-packages", "__pycache__"})


@dataclass(frozen=True, eq=False, slots=True)
class Unit:
    """A statement of a module, or of a class in it, that is no such class itself."""

    node: ast.stmt
    classes: tuple[ast.ClassDef, ...]
    """Those around it, outermost first."""
    start: int
    """First line, a decorator's included."""
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    file: str
    line_no: int
    """Of its `def`."""
    qualname: str
    parameters: frozenset[str]
    """Private names left out, which the compiler changes inside classes."""
    suspends: bool
    """A generator or coroutine."""
    key: str
    """Name and normalised body: equal functions of two commits have equal keys."""


class SourceTree:
    """One file. Raises SyntaxError or ValueError where it is not Python."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.lines = split_lines(text)
        self.module = ModuleSource.parse(text)
        self._units = list(_units(self.module.tree.body, ()))
        self._starts = [unit.start for unit in self._units]

    def unit_at(self, line_no: int) -> Unit | None:
        """The unit of which this is a line; None for heads of classes, and between units."""
        index = bisect_right(self._starts, line_no) - 1
        return self._units[index] if index >= 0 and line_no <= self._units[index].end else None

    def bound_in(self, node: ast.ClassDef, name: str) -> ast.stmt | None:
        """The last statement of a class that binds the name."""
        return next((each for each in reversed(node.body) if name in bound_names(each)), None)

    def bound(self, name: str) -> ast.stmt | None:
        """The last statement of the module that binds the name."""
        return self.module.bindings.get(name, [None])[-1]

    @cached_property
    def functions(self) -> dict[int, Function]:
        """By the line of their `def`; methods and functions inside functions included."""
        return {function.line_no: function for function in self._functions(self.module.tree, "")}

    def _functions(self, parent: ast.AST, prefix: str) -> Iterator[Function]:
        for node in ast.iter_child_nodes(parent):
            inside = prefix
            if isinstance(node, FUNCTIONS):
                yield self._function(node, prefix + node.name)
                inside = f"{prefix}{node.name}.<locals>."
            elif isinstance(node, ast.ClassDef):
                inside = f"{prefix}{node.name}."
            yield from self._functions(node, inside)

    def _function(self, node: Definition, qualname: str) -> Function:
        given = node.args
        parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        yields = any(isinstance(each, ast.Yield | ast.YieldFrom) for each in _own_nodes(node))
        return Function(
            file=self.path,
            line_no=node.lineno,
            qualname=qualname,
            parameters=frozenset(each.arg for each in parameters if each and not each.arg.startswith("__")),
            suspends=yields or isinstance(node, ast.AsyncFunctionDef),
            key=f"{node.name} {body_key(node)}",
        )


class Sources:
    """The Python files of a repository, parsed when they are asked for."""

    def __init__(self, files: Iterable[str], read: Callable[[str], bytes]) -> None:
        """`files` are relative to the repository, with `/`; `read` gives a file's bytes."""
        self._files = frozenset(file for file in files if file.endswith(".py"))
        self._read = read
        self._trees: dict[str, SourceTree | None] = {}
        self._by_name: dict[str, list[str]] = {}
        for file in sorted(self._files):
            self._by_name.setdefault(_module_parts(file)[-1], []).append(file)

    @classmethod
    def of_folder(cls, root: Path) -> "Sources":
        """The files below a folder, environments and tools' own folders left out; or one file."""
        if root.is_file():
            return cls([root.name], lambda file: root.with_name(file).read_bytes())
        files: list[str] = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
            files.extend(Path(folder, name).relative_to(root).as_posix() for name in names)
        return cls(files, lambda file: (root / file).read_bytes())

    @property
    def is_empty(self) -> bool:
        return not self._files

    def tree(self, file: str) -> SourceTree | None:
        """None where there is no such file, or none in the Python that this is."""
        if file not in self._trees:
            try:
                self._trees[file] = SourceTree(file, _decoded(self._read(file))) if file in self._files else None
            except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
                self._trees[file] = None
        return self._trees[file]

    def functions(self) -> Iterator[Function]:
        for file in sorted(self._files):
            if (tree := self.tree(file)) is not None:
                yield from tree.functions.values()

    def function_at(self, line: Line) -> Function | None:
        """The function whose `def` is on this line."""
        tree = self.tree(line[0])
        return None if tree is None else tree.functions.get(line[1])

    def find(self, tree: SourceTree, name: str, hops: int = MAX_HOPS) -> tuple[SourceTree, ast.stmt] | None:
        """Where a module's name is defined in this repository, followed through imports, `*` included."""
        statement = tree.bound(name)
        if statement is not None and not isinstance(statement, ast.Import | ast.ImportFrom):
            return tree, statement
        if not hops or isinstance(statement, ast.Import):
            return None
        stars = tree.module.bindings.get("*", []) if statement is None else []
        for node in stars if statement is None else [statement]:
            target = self._imported_from(tree, node)
            found = None if target is None else self.find(target, _original(node, name), hops - 1)
            if found is not None:
                return found
        return None

    def module_named(self, tree: SourceTree, name: str) -> SourceTree | None:
        """The module of this repository that a name of a module stands for."""
        statement = tree.bound(name)
        file = None
        if isinstance(statement, ast.Import):
            file = self._file_of(_original(statement, name), 0, tree.path)
        elif isinstance(statement, ast.ImportFrom):
            dotted = ".".join(filter(None, (statement.module, _original(statement, name))))
            file = self._file_of(dotted, statement.level, tree.path)
        return None if file is None else self.tree(file)

    def _imported_from(self, tree: SourceTree, node: ast.stmt) -> SourceTree | None:
        if not isinstance(node, ast.ImportFrom):
            return None
        file = self._file_of(node.module or "", node.level, tree.path)
        return None if file is None else self.tree(file)

    def _file_of(self, name: str, level: int, importer: str) -> str | None:
        """A module's file; of several whose paths end alike, the shortest."""
        parts = tuple(name.split(".")) if name else ()
        if level:
            parents = PurePosixPath(importer).parents
            if level > len(parents):
                return None
            base = parents[level - 1].joinpath(*parts)
            return next((file for file in (f"{base}.py", f"{base}/__init__.py") if file in self._files), None)
        alike = [file for file in self._by_name.get(parts[-1], ()) if _module_parts(file)[-len(parts) :] == parts]
        return min(alike, key=len, default=None)


def first_line(node: ast.stmt) -> int:
    """Of a statement, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def has_own_lines(node: ast.stmt) -> bool:
    """A class whose body begins below its head."""
    return isinstance(node, ast.ClassDef) and first_line(node.body[0]) > node.lineno


def bound_names(statement: ast.AST) -> set[str]:
    """What a statement binds, in its own scope and in those inside it; of a function or class, its name."""
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        return {statement.name}
    return {name for node in ast.walk(statement) for name in binds(node)}


def binds(node: ast.AST) -> Iterator[str]:
    """Names that this one node binds, wherever that is."""
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            yield node.id
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, NAMED) and node.name:
        yield node.name


def _units(body: Iterable[ast.stmt], classes: tuple[ast.ClassDef, ...]) -> Iterator[Unit]:
    for node in body:
        assert node.end_lineno is not None
        if isinstance(node, ast.ClassDef) and has_own_lines(node):
            yield from _units(node.body, (*classes, node))
        else:
            yield Unit(node, classes, first_line(node), node.end_lineno)


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function that are not those of a function inside it."""
    for node in ast.iter_child_nodes(function):
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.Lambda)):
            yield from _own_nodes(node)


def _original(node: ast.stmt, name: str) -> str:
    """What is imported under this name, by its own name."""
    aliases = node.names if isinstance(node, ast.Import | ast.ImportFrom) else []
    return next((each.name for each in aliases if (each.asname or each.name) == name), name)


def _module_parts(file: str) -> tuple[str, ...]:
    return tuple(file.removesuffix(".py").removesuffix("/__init__").split("/"))


def _decoded(data: bytes) -> str:
    """As the interpreter and the recorder read it."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return io.TextIOWrapper(io.BytesIO(data), encoding).read()

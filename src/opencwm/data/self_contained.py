"""Cut one function out of its module, with just what it needs: helpers, constants, imports.

    module source + "f" --> source of f, the helpers it calls, the constants and imports they use | None

What it imports by name from other modules of its package is cut out of those and put in front.

None where the cut-out would not be a pure, small program: it reads or writes the outside world (I/O, clocks, random
numbers, processes, threads, interpreter state), writes a global, needs a name that is not defined by a plain top-level
statement of its module, imports under another name, or is too long. Purity is judged by names, before anything is run,
so it errs on the strict side; what slips through meets the sandbox.

The text is the author's, comments included; docstrings are left out, since doctests in them give the answers away.
"""

import ast
import dataclasses
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from opencwm.data.dedup import BUILTINS, FUNCTIONS
from opencwm.data.literal_calls import absolute_name, is_literal

MAX_FUNCTION_LINES = 60
MAX_CLASS_LINES = 100
MAX_LINES = 110
MAX_CHARS = 4_000
PURE_MODULES = frozenset(
    "abc array ast base64 binascii bisect calendar cmath codecs collections collections.abc colorsys contextlib copy "
    "dataclasses datetime decimal difflib enum errno fnmatch fractions functools graphlib hashlib heapq hmac html "
    "ipaddress itertools json keyword math numbers operator posixpath pprint re reprlib shlex statistics string struct "
    "textwrap token types typing unicodedata urllib.parse warnings weakref zlib".split()
)
LAZY = "from __future__ import annotations\n"
"""With it, names in annotations need not exist."""
ANNOTATIONS = ("annotation", "returns")
NAMED = (*FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
IMPURE_BUILTINS = frozenset(
    "breakpoint compile delattr eval exec exit globals help id input locals memoryview open print quit setattr vars "
    "__import__ __build_class__ copyright credits license hash".split()
)
IMPURE_ATTRIBUTES = frozenset("now today utcnow choice random shuffle write flush read readline environ".split())
ALLOWED_DUNDERS = frozenset({"__name__", "__init__", "__class__", "__doc__"})
MUTATING_METHODS = frozenset(
    "add append appendleft clear discard extend insert pop popitem popleft remove reverse setdefault sort "
    "update".split()
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleSource:
    """A parsed module and the top-level statements that bind each name."""

    text: str
    tree: ast.Module
    bindings: dict[str, list[ast.stmt]]
    is_lazy: bool
    """Whether annotations are not evaluated."""
    name: str = ""
    """Dotted."""
    package: str = ""
    """What its relative imports are relative to."""

    @classmethod
    def parse(cls, text: str, name: str = "", *, is_package: bool = False) -> "ModuleSource":
        """Raises SyntaxError or ValueError where the text is not Python."""
        tree = ast.parse(text)
        bindings: dict[str, list[ast.stmt]] = {}
        for statement in tree.body:
            for bound in _bound_by(statement):
                bindings.setdefault(bound, []).append(statement)
        is_lazy = any(
            isinstance(each, ast.ImportFrom) and each.module == "__future__" and each.names[0].name == "annotations"
            for each in tree.body
        )
        package = name if is_package else name.rpartition(".")[0]
        return cls(text=text, tree=tree, bindings=bindings, is_lazy=is_lazy, name=name, package=package)

    def inside(self, scope: ast.AST) -> "ModuleSource":
        """The module as seen from inside a function: the functions defined there hide names of the module."""
        local: dict[str, list[ast.stmt]] = {}
        for node in ast.walk(scope):
            if isinstance(node, ast.FunctionDef) and node is not scope:
                local.setdefault(node.name, []).append(node)
        return dataclasses.replace(self, bindings={**self.bindings, **local})


Others = Callable[[str], ModuleSource | None]
"""Dotted name -> a module of the same package; None for all others."""


def cut_out(module: ModuleSource, name: str, others: Others = lambda _: None) -> str | None:
    """The self-contained source of the module's function or class `name`, or None where there is no pure, small one."""
    cut = _CutOut(others)
    if not cut.take(module, name):
        return None
    modules = list(cut.in_order(module))
    if _writes_a_global([statement for each in modules for statement in cut.statements_of(each)]):
        return None
    return _join([(each, cut.statements_of(each)) for each in modules])


class _CutOut:
    """What has been taken so far: statements of the module, and of others that it imports from."""

    def __init__(self, others: Others) -> None:
        self._others = others
        self._done: set[tuple[str, str]] = set()
        self._chosen: dict[str, dict[int, ast.stmt]] = {}
        self._edges: dict[str, dict[str, ModuleSource]] = {}
        """Module -> the modules that something was taken from for its sake."""
        self._owners: dict[str, str] = {}
        """Name -> what it means in the cut-out; it can mean one thing only."""

    def take(self, module: ModuleSource, wanted: str) -> bool:
        """Take what binds the name, and all that it needs; False where that cannot be had."""
        if wanted == "main":  # the recorder's wrapper
            return False
        if (module.name, wanted) in self._done:
            return True
        self._done.add((module.name, wanted))
        statements = module.bindings.get(wanted, [])
        if not statements and wanted in BUILTINS and wanted not in IMPURE_BUILTINS:
            return self._own(wanted, "builtins")
        if len(statements) != 1:
            return False
        statement = statements[0]
        if isinstance(statement, ast.ImportFrom) and not _is_usable(statement):
            return self._take_from(module, statement, wanted)
        if not _is_usable(statement) or not self._own_all(module, statement):
            return False
        self._chosen.setdefault(module.name, {})[statement.lineno] = statement
        needed = sorted(set(_free_names(statement, is_lazy=module.is_lazy)))
        return all(self.take(module, each) for each in needed)

    def _take_from(self, module: ModuleSource, statement: ast.ImportFrom, wanted: str) -> bool:
        """The name is imported: take it where it is from, if that is a module of the package and does not rename it."""
        alias = next(each for each in statement.names if (each.asname or each.name) == wanted)
        origin = absolute_name(statement, module.package)
        other = self._others(origin) if alias.name == wanted and origin != module.name else None
        if other is None:
            return False
        self._edges.setdefault(module.name, {})[other.name] = other
        return self.take(other, wanted)

    def _own_all(self, module: ModuleSource, statement: ast.stmt) -> bool:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            origin = getattr(statement, "module", "")
            aliases = [(each.asname or each.name, f"{origin}.{each.name}") for each in statement.names]
            return all([self._own(name, meaning) for name, meaning in aliases])
        return all([self._own(name, f"{module.name}:{statement.lineno}") for name in _bound_by(statement)])

    def _own(self, name: str, meaning: str) -> bool:
        return self._owners.setdefault(name, meaning) == meaning

    def in_order(self, module: ModuleSource, seen: set[str] | None = None) -> Iterator[ModuleSource]:
        """The modules, those that are imported from first."""
        seen = set() if seen is None else seen
        seen.add(module.name)
        for other in self._edges.get(module.name, {}).values():
            if other.name not in seen:
                yield from self.in_order(other, seen)
        yield module

    def statements_of(self, module: ModuleSource) -> list[ast.stmt]:
        chosen = self._chosen.get(module.name, {})
        return [chosen[line] for line in sorted(chosen)]


def _join(parts: list[tuple[ModuleSource, list[ast.stmt]]]) -> str | None:
    is_lazy = any(module.is_lazy and any(map(_is_annotated, statements)) for module, statements in parts)
    text, imports = LAZY if is_lazy else "", set[str]()
    for module, statements in parts:
        lines = module.text.split("\n")  # not splitlines: a form feed does not end a line of Python
        for statement in statements:
            block = _text_of(statement, lines)
            if isinstance(statement, ast.Import | ast.ImportFrom):
                if block in imports:
                    continue
                imports.add(block)
            spacing = "\n\n" if text and isinstance(statement, (*FUNCTIONS, ast.ClassDef)) else ""
            text += spacing + block + "\n"
    if text.count("\n") > MAX_LINES or len(text) > MAX_CHARS:
        return None
    try:
        compile(text, "<cut out>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):  # a `nonlocal` of what is left behind; an indented text that cannot be moved
        return None
    return text


def _text_of(statement: ast.stmt, lines: list[str]) -> str:
    """The statement as written, without docstrings."""
    assert statement.end_lineno is not None
    dropped: set[int] = set()
    for node in ast.walk(statement):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and len(node.body) > 1 and ast.get_docstring(node) is not None:
            string = node.body[0]
            assert string.end_lineno is not None
            if node.body[1].lineno > string.end_lineno and string.lineno > node.lineno:
                dropped.update(range(string.lineno, string.end_lineno + 1))
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(each.lineno for each in decorators)])
    kept = [lines[n - 1] for n in range(first, statement.end_lineno + 1) if n not in dropped]
    body = statement.lineno - first + 1
    while len(kept) > body and not kept[body].strip():
        del kept[body]  # the blank line that followed the docstring
    return textwrap.dedent("\n".join(line.rstrip() for line in kept))


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """Names that a top-level statement binds, at any depth that is not a function's own."""
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node.name


def _is_usable(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        most = MAX_CLASS_LINES if isinstance(statement, ast.ClassDef) else MAX_FUNCTION_LINES
        return _length(statement) <= most and _is_pure(statement)
    if isinstance(statement, ast.Import):
        return all(each.name in PURE_MODULES for each in statement.names)
    if isinstance(statement, ast.ImportFrom):
        return not statement.level and statement.module in PURE_MODULES
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return (
            statement.value is not None and _is_constant(statement.value) and _length(statement) <= MAX_FUNCTION_LINES
        )
    return False


def _is_constant(value: ast.expr) -> bool:
    """A literal, a compiled pattern, or an expression of constants: something a module computes once."""
    if is_literal(value):
        return True
    for node in ast.walk(value):
        if isinstance(node, ast.Lambda | ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
            return False
        if _names_impure(node):
            return False
    return True


def _is_pure(definition: ast.stmt) -> bool:
    for node in ast.walk(definition):
        if isinstance(node, ast.Global | ast.AsyncFunctionDef | ast.Await):
            return False
        if isinstance(node, ast.Import | ast.ImportFrom) and not _is_usable(node):
            return False
        if _names_impure(node):
            return False
    return True


def _names_impure(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in IMPURE_BUILTINS
    return isinstance(node, ast.Attribute) and (node.attr in IMPURE_ATTRIBUTES or _is_dunder(node.attr))


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in ALLOWED_DUNDERS


def _free_names(statement: ast.stmt, *, is_lazy: bool = False) -> Iterator[str]:
    """Names that the statement takes from outside itself; a name that any of its scopes binds counts as its own."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return
    inside: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            inside.add(node.id)
        elif isinstance(node, ast.arg):
            inside.add(node.arg)
        elif isinstance(node, ast.alias):
            inside.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, NAMED) and node.name:
            inside.add(node.name)
    for node in _without_annotations(statement) if is_lazy else ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in inside:
            yield node.id


def _without_annotations(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for field, value in ast.iter_fields(node):
        if field not in ANNOTATIONS:
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, ast.AST):
                    yield from _without_annotations(each)


def _is_annotated(statement: ast.stmt) -> bool:
    return any(getattr(node, field, None) is not None for node in ast.walk(statement) for field in ANNOTATIONS)


def _writes_a_global(statements: list[ast.stmt]) -> bool:
    """Whether a function changes a constant of the module in place: `CACHE[key] = value`, `SEEN.append(x)`."""
    constants = {n for each in statements if isinstance(each, ast.Assign | ast.AnnAssign) for n in _bound_by(each)}
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.value, ast.Name):
                stored = not isinstance(node.ctx, ast.Load)
                mutates = isinstance(node, ast.Attribute) and node.attr in MUTATING_METHODS
                if node.value.id in constants and (stored or mutates):
                    return True
    return False


def _length(statement: ast.stmt) -> int:
    assert statement.end_lineno is not None
    return statement.end_lineno - statement.lineno + 1

"""Calls with literal arguments, wherever they are written: code, tests, doctests.

    file --ast--> calls of known names with literal arguments --> ("textwrap.dedent", "dedent('  a')")

An argument is literal when it can be written down without names, other than builtin types and functions. A name counts
as its value where its scope assigns it once, to a literal, and in the body of a loop over literal items, which is how
table-driven tests are written. Nothing is run.

A call of a method counts as one of its class where the object is made by a literal call in place, or by one that its
name is assigned once: `Stack([1]).push(2)`. What else was done to the object in between is not repeated.

Left out: calls on objects that come from elsewhere (`text.splitlines()` is known to nobody's module), star arguments,
and calls without any argument, which say nothing about inputs.
"""

import ast
import copy
import doctest
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opencwm.data.dedup import BUILTINS, FUNCTIONS

MAX_CALL_CHARS = 240
MAX_LOOP_ITEMS = 8
ARGUMENT_BUILTINS = frozenset(
    "range set frozenset dict list tuple bytes bytearray int str float bool complex len abs min max sum sorted".split()
)

DEFINITIONS = (ast.FunctionDef, ast.ClassDef)

Values = Mapping[str, ast.expr]
"""Names that stand for literals here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What the names of one file stand for, as far as calls are concerned."""

    targets: Mapping[str, str]
    """Name in the file -> dotted name: its own functions and what it imports."""
    tested: str | None = None
    """The module that this file tests, by its own name: `anything.f(1)` may then mean that module's `f`."""


def names_of(tree: ast.Module, module: str, *, is_package: bool = False, tested: str | None = None) -> Names:
    targets: dict[str, str] = {}
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets.update({(each.asname or each.name): each.name for each in node.names})
        elif isinstance(node, ast.ImportFrom):
            origin = absolute_name(node, package)
            targets.update({(each.asname or each.name): f"{origin}.{each.name}" for each in node.names})
    targets.update({each.name: f"{module}.{each.name}" for each in tree.body if isinstance(each, DEFINITIONS)})
    return Names(targets=targets, tested=tested)


def absolute_name(node: ast.ImportFrom, package: str) -> str:
    """The module that `from ... import` means, in a module of this package."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def literal_calls(tree: ast.AST, names: Names) -> Iterator[tuple[str, str]]:
    """(dotted name of what is called, the call with the bare function name), doctests first.

    Methods come under the name of the class and `()`: ("queue.Queue()", "Queue(3).qsize()")."""
    for node in ast.walk(tree):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Module)):
            yield from _doctest_calls(ast.get_docstring(node, clean=False) or "", names)
    yield from _visit(tree, names, {})


def doctest_code(docstring: str) -> str:
    """The code of all examples, one after the other; "" where there are none, or none that can be read."""
    if ">>>" not in docstring:
        return ""
    try:
        code = "".join(example.source for example in doctest.DocTestParser().get_examples(docstring))
        ast.parse(code)
    except (ValueError, SyntaxError, RecursionError):
        return ""
    return code


def _doctest_calls(docstring: str, names: Names) -> Iterator[tuple[str, str]]:
    code = doctest_code(docstring)
    if not code:
        return
    tree = ast.parse(code)
    imported = names_of(tree, "").targets
    known = Names(targets={**names.targets, **{k: v for k, v in imported.items() if not v.startswith(".")}})
    yield from _visit(tree, known, {})


def _visit(node: ast.AST, names: Names, values: Values) -> Iterator[tuple[str, str]]:
    if isinstance(node, (*FUNCTIONS, ast.Module)):
        values = {**values, **_single_assignments(node, names)}
    if isinstance(node, ast.For) and (rows := _loop_rows(node, values)):
        for row in rows:
            for statement in node.body:
                yield from _visit(statement, names, {**values, **row})
        return
    if isinstance(node, ast.Call) and (
        found := _method_call(node, names, values) or _literal_call(node, names, values)
    ):
        yield found
    for child in ast.iter_child_nodes(node):
        yield from _visit(child, names, values)


def _single_assignments(scope: ast.AST, names: Names) -> dict[str, ast.expr]:
    """Names that the scope's statements bind exactly once, to a literal or to an object made of literals."""
    bound: dict[str, list[ast.expr | None]] = {}
    if isinstance(scope, FUNCTIONS):
        every = [*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs]
        bound = {each.arg: [None] for each in every}
    for node in _statements(scope):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            bound.setdefault(node.targets[0].id, []).append(node.value)
        elif isinstance(node, ast.For | ast.AugAssign):
            for each in ast.walk(node.target):
                if isinstance(each, ast.Name):
                    bound.setdefault(each.id, []).append(None)
    single = {name: values[0] for name, values in bound.items() if len(values) == 1}
    return {name: value for name, value in single.items() if value is not None and _is_known(value, names)}


def _is_known(value: ast.expr, names: Names) -> bool:
    """Whether the expression is a literal, or a call of something that may be a class, with literals."""
    if not isinstance(value, ast.Call):
        return is_literal(value)
    arguments = [*value.args, *(each.value for each in value.keywords)]
    return is_literal(value) or (_target(value.func, names) is not None and all(map(is_literal, arguments)))


def _statements(scope: ast.AST) -> Iterator[ast.AST]:
    """All statements of the scope, those of inner scopes left out."""
    for field in ("body", "orelse", "finalbody", "handlers"):
        for node in getattr(scope, field, ()):
            yield node
            if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                yield from _statements(node)


def _loop_rows(loop: ast.For, values: Values) -> list[dict[str, ast.expr]]:
    """The bindings of the loop's targets for each of its first items, where the items are literals."""
    items = values.get(loop.iter.id) if isinstance(loop.iter, ast.Name) else loop.iter
    if not isinstance(items, ast.List | ast.Tuple):
        return []
    rows = []
    for item in items.elts[:MAX_LOOP_ITEMS]:
        if isinstance(loop.target, ast.Name) and is_literal(item):
            rows.append({loop.target.id: item})
        elif isinstance(loop.target, ast.Tuple) and isinstance(item, ast.Tuple | ast.List):
            pairs = zip(loop.target.elts, item.elts, strict=False)
            rows.append({t.id: v for t, v in pairs if isinstance(t, ast.Name) and is_literal(v)})
    return rows


def _literal_call(node: ast.Call, names: Names, values: Values) -> tuple[str, str] | None:
    target = _target(node.func, names)
    if target is None or not (node.args or node.keywords):
        return None
    call = _with_literals(node, ast.Name(id=target.rpartition(".")[2]), values)
    return _written(target, call)


def _method_call(node: ast.Call, names: Names, values: Values) -> tuple[str, str] | None:
    """A method called on an object that is made of literals: a call of its class."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr.startswith("_"):
        return None
    made = _substituted(node.func.value, values)
    target = _target(made.func, names) if isinstance(made, ast.Call) else None
    if not isinstance(made, ast.Call) or target is None:
        return None
    if not (made.args or made.keywords or node.args or node.keywords):
        return None
    instance = _with_literals(made, ast.Name(id=target.rpartition(".")[2]), values)
    if instance is None:
        return None
    return _written(f"{target}()", _with_literals(node, ast.Attribute(value=instance, attr=node.func.attr), values))


def _with_literals(node: ast.Call, func: ast.expr, values: Values) -> ast.Call | None:
    """The call of `func` with the arguments of `node`, if they are literals."""
    arguments = [_substituted(value, values) for value in node.args]
    keywords = [ast.keyword(arg=each.arg, value=_substituted(each.value, values)) for each in node.keywords]
    if any(each.arg is None for each in keywords):
        return None
    if not all(map(is_literal, [*arguments, *(each.value for each in keywords)])):
        return None
    return ast.Call(func=func, args=arguments, keywords=keywords)


def _written(target: str, call: ast.Call | None) -> tuple[str, str] | None:
    text = "" if call is None else ast.unparse(call)
    return (target, text) if 0 < len(text) <= MAX_CALL_CHARS else None


def _target(func: ast.expr, names: Names) -> str | None:
    """The dotted name that is called, or None where it cannot be known."""
    if isinstance(func, ast.Name):
        return names.targets.get(func.id)
    attributes: list[str] = []
    root: ast.expr = func
    while isinstance(root, ast.Attribute):
        attributes.insert(0, root.attr)
        root = root.value
    if isinstance(root, ast.Name) and root.id in names.targets:
        return ".".join([names.targets[root.id], *attributes])
    return f"{names.tested}.{attributes[-1]}" if names.tested and attributes else None


class _Substitute(ast.NodeTransformer):
    def __init__(self, values: Values) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self.values.get(node.id)
        return node if value is None else value


def _substituted(value: ast.expr, values: Values) -> ast.expr:
    if not values or isinstance(value, ast.Constant):
        return value
    result: ast.expr = _Substitute(values).visit(copy.deepcopy(value))
    return result


def is_literal(node: ast.expr) -> bool:
    """Whether the expression can be written anywhere: constants, displays, signs, a few builtins and calls of them."""
    if isinstance(node, ast.Constant):
        return node.value is not Ellipsis
    if isinstance(node, ast.Name):
        return node.id in ARGUMENT_BUILTINS and node.id in BUILTINS
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(map(is_literal, node.elts))
    if isinstance(node, ast.Dict):
        return all(key is not None and is_literal(key) for key in node.keys) and all(map(is_literal, node.values))
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub | ast.UAdd) and isinstance(node.operand, ast.Constant)
    if isinstance(node, ast.BinOp):
        return _is_small_arithmetic(node)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and is_literal(node.func) and all(map(is_literal, node.args))
    return False


def _is_small_arithmetic(node: ast.BinOp) -> bool:
    """`"ab" * 3`, `2 ** 10`, `"a" + "b"`: with small constants, so that evaluating it costs nothing."""
    sides = (node.left, node.right)
    small = all(isinstance(each, ast.Constant) and not _is_large(each.value) for each in sides)
    return small and isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Pow)


def _is_large(value: object) -> bool:
    return isinstance(value, int | float | complex) and abs(value) > 100

"""When two programs are the same program: normal forms of sources, and keys made of them.

    source --parse--> AST --canonical names, no docstrings, no annotations--> normal form --hash--> key

Two sources with equal keys differ only in the names that they bind, in layout, comments, docstrings and type
annotations. Names that a source does not bind itself and that are builtins (`len`, `ValueError`) stand for
themselves, all others are numbered in order of appearance; attributes and constants stay. A *program* key covers the
call as well, so the same function on another input is another item.

Left out: semantic equality (`x + 1` against `1 + x`) and near duplicates; `decontaminate.py` has the token n-grams.
"""

import ast
import builtins
import copy
import hashlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

BUILTINS = frozenset(dir(builtins))
KEY_BYTES = 16
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NAMED = (*FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
BINDERS = (*NAMED, ast.Name, ast.arg, ast.alias)
SKIPPED_FIELDS = frozenset({"ctx", "annotation", "returns", "type_comment", "kind", "type_ignores", "simple"})


def source_key(source: str) -> str:
    """The key of a whole source; raises SyntaxError where it is not Python."""
    return _hash(normal_form(_parse(source)))


def program_key(source: str, call: str | None) -> str:
    """The key of a source together with the call that is made on it."""
    return program_keys(source, [call])[1][0]


def program_keys(source: str, calls: Sequence[str | None]) -> tuple[str, list[str]]:
    """The source's key, and the program's for each of the calls on it; the source is looked at once."""
    tree = _parse(source)
    names, parts = _Names(tree), list[str]()
    _write(tree, names, parts)
    form = "".join(parts)
    return _hash(form), [_hash(form + ("" if call is None else _call_form(call, names))) for call in calls]


def _call_form(call: str, names: "_Names") -> str:
    """The call's normal form, its names numbered after those of the source."""
    parts: list[str] = []
    after = copy.copy(names)
    after.numbers = dict(names.numbers)
    _write(_parse(call), after, parts)
    return "".join(parts)


def function_keys(source: str) -> dict[str, str]:
    """Key of the normalised body -> name, for every function in the source, nested ones and methods included."""
    functions = [node for node in ast.walk(_parse(source)) if isinstance(node, FUNCTIONS)]
    siblings = frozenset(node.name for node in functions)
    return {body_key(node, siblings): node.name for node in functions}


def body_key(function: ast.FunctionDef | ast.AsyncFunctionDef, siblings: frozenset[str] = frozenset()) -> str:
    """The key of a function's body alone: its name, parameters and decorators do not matter. `siblings` are the other
    functions of its source, whose keyword arguments are names like any other."""
    parts: list[str] = []
    names = _Names(function)
    names.functions |= siblings
    _write(_without_docstring(function, function.body), names, parts)
    return _hash("".join(parts))


def _parse(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the author's invalid escapes are not our user's business
        return ast.parse(source)


def normal_form(tree: ast.AST) -> str:
    """The tree as text in which only what the module docstring names is left; equal texts mean equal programs."""
    parts: list[str] = []
    _write(tree, _Names(tree), parts)
    return "".join(parts)


class _Names:
    """Numbers names in order of appearance; knows which builtins the tree has rebound, and which calls are its own."""

    def __init__(self, tree: ast.AST) -> None:
        self.numbers: dict[str, int] = {}
        self.functions: set[str] = set()
        self.bound: set[str] = set()
        for node in _walk(tree):
            if isinstance(node, BINDERS):
                self.bound.update(_bound_names(node))
                if isinstance(node, FUNCTIONS):
                    self.functions.add(node.name)

    def of(self, name: str) -> str:
        if name in BUILTINS and name not in self.bound:
            return name
        return f"v{self.numbers.setdefault(name, len(self.numbers))}"


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """`ast.walk` in another order, in half the time."""
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                stack.extend([item for item in value if isinstance(item, ast.AST)])
            elif isinstance(value, ast.AST):
                stack.append(value)


def _bound_names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, NAMED) and node.name:
        yield node.name


def _write(node: object, names: _Names, parts: list[str]) -> None:
    """Append the normal form of a node, a list of nodes or a constant."""
    if isinstance(node, ast.Name):
        parts.append(names.of(node.id) + " ")
    elif isinstance(node, ast.Constant):
        parts.append(f"{type(node.value).__name__}:{node.value!r} ")
    elif isinstance(node, ast.AST):
        _write_node(node, names, parts)
    elif isinstance(node, list):
        parts.append("[")
        for item in node:
            _write(item, names, parts)
        parts.append("]")
    else:
        parts.append(f"{node!r} ")


def _write_node(node: ast.AST, names: _Names, parts: list[str]) -> None:
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        node = ast.Assign(targets=[node.target], value=node.value)
    parts.append(type(node).__name__ + "(")
    own_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names.functions
    for field in node._fields:
        if field in SKIPPED_FIELDS:
            continue
        value: Any = getattr(node, field, None)
        if field == "body" and isinstance(value, list):
            value = _without_docstring(node, value)
        if own_call and field == "keywords":
            _write_keywords(value, names, parts)
        elif isinstance(value, str) and _is_binding(node, field):
            parts.append(names.of(value) + " ")
        elif isinstance(node, ast.Global | ast.Nonlocal):
            parts.extend(names.of(name) + " " for name in value)
        else:
            _write(value, names, parts)
    parts.append(")")


def _write_keywords(keywords: list[ast.keyword], names: _Names, parts: list[str]) -> None:
    """Keywords of a call to a function of the source itself: their names are its parameters, so they are renamed."""
    for keyword in keywords:
        parts.append(f"{names.of(keyword.arg)}=" if keyword.arg else "**")
        _write(keyword.value, names, parts)


def _is_binding(node: ast.AST, field: str) -> bool:
    """Whether this text field names something that the source binds (and not an attribute, module or keyword)."""
    if isinstance(node, ast.alias):
        return field == "asname"
    if isinstance(node, ast.arg):
        return field == "arg"
    if isinstance(node, ast.MatchMapping):
        return field == "rest"
    return isinstance(node, NAMED) and field == "name"


def _without_docstring(node: ast.AST, body: list[ast.stmt]) -> list[ast.stmt]:
    if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Module)) and ast.get_docstring(node, clean=False) is not None:
        return body[1:]
    return body


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).hexdigest()

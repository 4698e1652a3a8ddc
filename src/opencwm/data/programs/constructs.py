"""Which constructs a program contains, read off its syntax tree, so that nothing is claimed that is not there."""

import ast
import re
from collections.abc import Callable

CORE = (
    "integers", "floor_division", "strings", "string_methods", "f_strings", "lists", "list_methods", "dicts",
    "dict_methods", "sets", "tuples", "slices", "for_loops", "while_loops", "nested_loops", "break_continue",
    "branches", "elif", "conditional_expressions", "boolean_operators", "chained_comparisons", "nested_calls",
    "recursion",
    "comprehensions", "generators", "lambdas", "exceptions", "early_returns", "default_arguments", "classes",
    "augmented_assignment", "unpacking", "is_none",
)  # fmt: skip
"""Every one of these is in at least a twentieth of the programs at full difficulty."""
RARE = (
    "floats", "bit_operations", "loop_else", "star_arguments", "closures", "assertions", "raise", "finally",
    "docstrings", "annotations", "keyword_arguments", "inheritance",
)  # fmt: skip
STRING_METHODS = frozenset(
    "upper lower title strip lstrip rstrip replace split join startswith endswith find rfind rindex isdigit isalpha "
    "isalnum isupper islower istitle zfill center ljust rjust capitalize swapcase removeprefix removesuffix "
    "format isspace".split()
)
LIST_METHODS = frozenset("append insert remove extend sort reverse".split())
DICT_METHODS = frozenset("get setdefault items keys values update popitem".split())
SET_METHODS = frozenset(
    "add discard union difference intersection symmetric_difference difference_update intersection_update".split()
)
LOOPS = (ast.For, ast.While)


def constructs_of(source: str) -> frozenset[str]:
    """The constructs of a source, by the names in `CORE` and `RARE`."""
    return _Reader().read(ast.parse(source), source)


class _Reader:
    def __init__(self) -> None:
        self.found: set[str] = set()
        self.functions: set[str] = set()
        self.returns: list[ast.Return] = []
        """Of the function that is being read."""

    def read(self, tree: ast.Module, source: str) -> frozenset[str]:
        self.functions = set(re.findall(r"def (\w+)", source))
        for node in tree.body:
            self._visit(node, 0, None)
        return frozenset(self.found)

    def _visit(self, node: ast.AST, loops: int, function: ast.FunctionDef | None) -> None:
        kind = type(node)
        reader = _READERS.get(kind)
        if reader is not None:
            reader(self, node)
        if isinstance(node, LOOPS):
            if loops:
                self.found.add("nested_loops")
            loops += 1
        elif isinstance(node, ast.FunctionDef):
            self._function(node, function)
            return
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.functions:
            self.found.add("recursion" if function is not None and node.func.id == function.name else "nested_calls")
        for name in kind._fields:
            child = getattr(node, name, None)
            if isinstance(child, list):
                for each in child:
                    if isinstance(each, ast.AST):
                        self._visit(each, loops, function)
            elif isinstance(child, ast.AST):
                self._visit(child, loops, function)

    def _function(self, node: ast.FunctionDef, outer: ast.FunctionDef | None) -> None:
        if outer is not None:
            self.found.add("closures")
        before, self.returns = self.returns, []
        for child in ast.iter_child_nodes(node):
            self._visit(child, 0, node)
        if len(self.returns) > 1 or (self.returns and self.returns[0] is not node.body[-1]):
            self.found.add("early_returns")
        self.returns = before
        if ast.get_docstring(node, clean=False) is not None:
            self.found.add("docstrings")
        arguments = node.args
        if arguments.defaults:
            self.found.add("default_arguments")
        if arguments.vararg is not None:
            self.found.add("star_arguments")
        if node.returns is not None or any(each.annotation for each in arguments.args):
            self.found.add("annotations")

    def return_(self, node: ast.Return) -> None:
        self.returns.append(node)

    def constant(self, node: ast.Constant) -> None:
        kinds = {int: "integers", str: "strings", float: "floats"}
        if type(node.value) in kinds:
            self.found.add(kinds[type(node.value)])

    def binary(self, node: ast.BinOp | ast.AugAssign) -> None:
        if isinstance(node, ast.AugAssign):
            self.found.add("augmented_assignment")
        if isinstance(node.op, ast.FloorDiv):
            self.found.add("floor_division")
        elif isinstance(node.op, ast.BitAnd | ast.BitOr | ast.BitXor | ast.LShift | ast.RShift):
            self.found.add("bit_operations")
        elif isinstance(node.op, ast.Div):
            self.found.add("floats")

    def call(self, node: ast.Call) -> None:
        if node.keywords and isinstance(node.func, ast.Name) and node.func.id in self.functions:
            self.found.add("keyword_arguments")
        if any(isinstance(each, ast.Starred) for each in node.args):
            self.found.add("star_arguments")
        if isinstance(node.func, ast.Attribute):
            name = node.func.attr
            for names, construct in METHODS:
                if name in names:
                    self.found.add(construct)
        elif isinstance(node.func, ast.Name):
            construct_of = {"set": "sets", "str": "strings", "list": "lists", "dict": "dicts", "int": "integers"}
            if node.func.id in construct_of:
                self.found.add(construct_of[node.func.id])

    def compare(self, node: ast.Compare) -> None:
        if len(node.ops) > 1:
            self.found.add("chained_comparisons")
        if isinstance(node.ops[0], ast.Is | ast.IsNot):
            self.found.add("is_none")

    def branch(self, node: ast.If) -> None:
        self.found.add("branches")
        if len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
            self.found.add("elif")

    def loop(self, node: ast.For | ast.While) -> None:
        self.found.add("for_loops" if isinstance(node, ast.For) else "while_loops")
        if node.orelse:
            self.found.add("loop_else")

    def attempt(self, node: ast.Try) -> None:
        self.found.add("exceptions")
        if node.finalbody:
            self.found.add("finally")

    def tuple_(self, node: ast.Tuple) -> None:
        self.found.add("unpacking" if isinstance(node.ctx, ast.Store) else "tuples")

    def list_(self, node: ast.List) -> None:
        self.found.add("lists")

    def class_(self, node: ast.ClassDef) -> None:
        self.found.add("classes")
        if node.bases:
            self.found.add("inheritance")


def _says(*names: str) -> Callable[[_Reader, ast.AST], None]:
    return lambda reader, node: reader.found.update(names)


METHODS = (
    (STRING_METHODS, "string_methods"),
    (LIST_METHODS, "list_methods"),
    (DICT_METHODS, "dict_methods"),
    (SET_METHODS, "sets"),
)
_READERS: dict[type, Callable[[_Reader, "ast.AST"], None]] = {
    ast.Constant: _Reader.constant,  # type: ignore[dict-item]
    ast.BinOp: _Reader.binary,  # type: ignore[dict-item]
    ast.AugAssign: _Reader.binary,  # type: ignore[dict-item]
    ast.Call: _Reader.call,  # type: ignore[dict-item]
    ast.Compare: _Reader.compare,  # type: ignore[dict-item]
    ast.If: _Reader.branch,  # type: ignore[dict-item]
    ast.For: _Reader.loop,  # type: ignore[dict-item]
    ast.While: _Reader.loop,  # type: ignore[dict-item]
    ast.Return: _Reader.return_,  # type: ignore[dict-item]
    ast.Try: _Reader.attempt,  # type: ignore[dict-item]
    ast.Tuple: _Reader.tuple_,  # type: ignore[dict-item]
    ast.List: _Reader.list_,  # type: ignore[dict-item]
    ast.ClassDef: _Reader.class_,  # type: ignore[dict-item]
    ast.JoinedStr: _says("f_strings", "strings"),
    ast.Dict: _says("dicts"),
    ast.Set: _says("sets"),
    ast.ListComp: _says("comprehensions", "lists"),
    ast.SetComp: _says("comprehensions", "sets"),
    ast.DictComp: _says("comprehensions", "dicts"),
    ast.GeneratorExp: _says("generators"),
    ast.Yield: _says("generators"),
    ast.Lambda: _says("lambdas"),
    ast.IfExp: _says("conditional_expressions"),
    ast.BoolOp: _says("boolean_operators"),
    ast.Slice: _says("slices"),
    ast.Break: _says("break_continue"),
    ast.Continue: _says("break_continue"),
    ast.Raise: _says("raise", "exceptions"),
    ast.Assert: _says("assertions"),
}

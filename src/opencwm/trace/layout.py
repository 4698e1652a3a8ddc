"""Which statement of the program a frame stands at, and how statements lie inside one another.

    context --parse--> Layout --statement_at(line)--> Place(node, ...) --holds--> is this line in that one's body?

A line belongs to the innermost statement whose header or whole text covers it. Everything here is about the text of
the program; what really ran is in the trace. A context that is no whole program (a model's, a compressed one) has no
places, and a narration then keeps to what the frames say by themselves.
"""

import ast
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

from opencwm.trace.recording.frame import Frame
from opencwm.trace.recording.source import split_lines
from opencwm.trace.stream import without_marker

Statement = ast.stmt | ast.ExceptHandler | ast.match_case
COMPOUND = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Layout:
    """The statements of one context, by line."""

    def __init__(self, context: str, frames: Sequence[Frame]) -> None:
        self.lines = [without_marker(line) for line in split_lines(context.removeprefix("\n"))]
        counts = Counter(self.lines)
        self._once = {text: number for number, text in enumerate(self.lines, 1) if counts[text] == 1}
        placed = (each for each in frames if each.source_line in self._once)
        self._shift = next((each.line_no - self._once[each.source_line] for each in placed), 0)
        """A context does not begin with the empty lines that a file may begin with."""
        self._at: dict[int, Statement] = {}
        self._parent: dict[ast.AST, ast.AST] = {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes in somebody's program
                tree = ast.parse(context.removeprefix("\n"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                self._parent[child] = node
        for statement in _statements(tree):  # outer ones first, so that inner ones win
            if any(is_one_line(each) and self.body_holds(each, statement) for each in self.enclosing(statement)):
                continue  # `if x: return y` is one line and told as one
            first, last = _span(statement)
            for line in range(first, last + 1):
                self._at[line] = statement

    def statement_of(self, frame: Frame) -> Statement | None:
        """The statement a frame stands at; None where that cannot be told."""
        return self._at.get(self.line_of(frame) or 0)

    def line_of(self, frame: Frame) -> int | None:
        """The line of the context, from 1, that a frame stands at; None where that cannot be told."""
        text = without_marker(frame.source_line)
        number = frame.line_no - self._shift
        if 0 < number <= len(self.lines) and self.lines[number - 1] == text:
            return number
        return self._once.get(text)

    def holds(self, outer: ast.AST, inner: ast.AST | None) -> bool:
        """Whether `inner` lies inside `outer`, in the same function; a thing does not lie inside itself."""
        while inner is not None and inner in self._parent:
            inner = self._parent[inner]
            if inner is outer:
                return True
            if isinstance(inner, (*DEFINITIONS, ast.Lambda)):
                return False
        return False

    def body_holds(self, outer: ast.AST, inner: Statement | None) -> bool:
        """Whether `inner` is, or lies inside, a statement of the first body of `outer` (not of its `else`)."""
        body = getattr(outer, "body", [])
        return inner is not None and any(each is inner or self.holds(each, inner) for each in body)

    def enclosing(self, inner: ast.AST) -> Iterator[ast.AST]:
        """What a statement lies in, from inside out, up to its function."""
        while inner in self._parent:
            inner = self._parent[inner]
            if isinstance(inner, DEFINITIONS):
                return
            yield inner

    def function_of(self, inner: ast.AST) -> str | None:
        """Name of the function that a statement defines or lies in, with its class where it is a method."""
        while not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if inner not in self._parent:
                return None
            inner = self._parent[inner]
        outer = self._parent.get(inner)
        return f"{outer.name}.{inner.name}" if isinstance(outer, ast.ClassDef) else inner.name

    def text_of(self, node: ast.expr | ast.stmt | ast.pattern) -> str:
        """A piece of the program: as written where that is one line, else as it would be written on one."""
        if node.lineno == node.end_lineno:
            line = self.lines[node.lineno - 1].encode("utf-8", errors="surrogatepass")
            return line[node.col_offset : node.end_col_offset].decode("utf-8", errors="replace")
        return " ".join(ast.unparse(node).split())

    def is_elif(self, statement: ast.AST) -> bool:
        parent = self._parent.get(statement)
        line = self.lines[statement.lineno - 1] if isinstance(statement, ast.If) else ""
        return isinstance(parent, ast.If) and parent.orelse == [statement] and line.lstrip().startswith("elif")


def is_one_line(statement: ast.AST) -> bool:
    """A compound statement whose body begins on the line of its header."""
    body = getattr(statement, "body", None)
    if not isinstance(statement, COMPOUND) or not body:
        return False
    first = body[0]
    return not isinstance(first, ast.match_case) and bool(first.lineno <= _header_end(statement))


def body_shows(statement: ast.AST, *, is_precise: bool) -> bool:
    """Whether running the body must give a `line` frame: not where nothing is left of it when it is compiled.

    `is_precise`: from Python 3.10 on (PEP 626), jumps and `pass` have line events, too.
    """
    body = getattr(statement, "body", [])
    silent = (ast.Global, ast.Nonlocal, *(() if is_precise else (ast.Pass, ast.Continue, ast.Break)))
    return bool(body) and not all(
        isinstance(each, silent)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        or (isinstance(each, ast.AnnAssign) and each.value is None)
        for each in body
    )


def _statements(tree: ast.AST) -> Iterator[Statement]:
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            yield node
        if not isinstance(node, ast.expr):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))


def _span(statement: Statement) -> tuple[int, int]:
    if isinstance(statement, ast.match_case):
        last = statement.guard.end_lineno if statement.guard is not None else statement.pattern.end_lineno
        return statement.pattern.lineno, last or statement.pattern.lineno
    if isinstance(statement, (*DEFINITIONS, *COMPOUND, ast.ExceptHandler)):
        first = min([statement.lineno, *(each.lineno for each in getattr(statement, "decorator_list", []))])
        return first, _header_end(statement)
    return statement.lineno, statement.end_lineno or statement.lineno


def _header_end(statement: ast.stmt | ast.ExceptHandler) -> int:
    """The last line that belongs to the header alone, or to header and body."""
    parts = [getattr(statement, name, None) for name in ("test", "target", "iter", "subject", "type", "returns")]
    ends = [part.end_lineno for part in parts if isinstance(part, ast.expr)]
    for item in getattr(statement, "items", []):
        ends += [part.end_lineno for part in (item.context_expr, item.optional_vars) if part is not None]
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        arguments = statement.args
        each: list[ast.arg | ast.expr] = [
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            *arguments.defaults,
        ]
        ends += [argument.end_lineno for argument in each]
    return max([statement.lineno, *(end for end in ends if end is not None)])

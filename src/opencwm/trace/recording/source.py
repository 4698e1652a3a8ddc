"""What is known of a code object before it runs: its lines, and where its comprehensions are.

Comprehensions are part of their line (trace format, section 3). They are found in the syntax tree; which events belong
to one is told by the position of the instruction that an event stands at, so that the same program gives the same
frames whether the interpreter gives comprehensions a py_frame of their own (up to 3.11) or inlines them (from 3.12).
"""

import ast
import dis
import re
import sys
import types
from typing import Dict, List, Optional, Tuple

MARKER = "  # << START_OF_TRACE"
COMPREHENSION_NAMES = ("<listcomp>", "<setcomp>", "<dictcomp>")
Span = Tuple[int, int, int, int]  # line, column, end line, end column; as bytes, like instruction positions

_NEWLINE = re.compile(r"\r\n|\n|\r")


def split_lines(source: str) -> List[str]:
    """Lines as CPython's tokenizer splits them."""
    return _NEWLINE.split(source)


def with_call(source: str, call: str) -> str:
    """A source with the wrapper that makes `call` its entry point."""
    return source + "\ndef main():" + MARKER + "\n    return " + call + "\n"


def outermost_comprehensions(tree: ast.AST) -> List[Span]:
    spans = []  # type: List[Span]

    def visit(node: ast.AST) -> None:
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp)):
            end_line, end_col = node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]
            spans.append((node.lineno, node.col_offset, end_line, end_col))
            return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return spans


class CodeInfo:
    """One code object of a traced file."""

    def __init__(self, code: types.CodeType, file: str, lines: List[str], spans: List[Span]) -> None:
        self.code = code
        self.file = file
        self.lines = lines
        self.names = names_in_order(code)
        self.is_function = bool(code.co_flags & 0x1)  # CO_OPTIMIZED: locals in slots, not in a names dict
        self.is_generator = bool(code.co_flags & (0x20 | 0x80 | 0x200))
        self.is_coroutine = bool(code.co_flags & (0x80 | 0x100))
        self.spans = spans
        self.first_line = def_line(code, lines)
        self.inside = {}  # type: Dict[int, int]
        """Instruction offset -> which comprehension it belongs to."""
        self.starts = {}  # type: Dict[int, int]
        """Comprehension -> offset of its first instruction."""
        if spans:
            self._locate()
        self._line_of = None  # type: Optional[List[Optional[int]]]
        self.targets = _jump_targets(code) if sys.version_info >= (3, 13) and spans else {}

    def _locate(self) -> None:
        if sys.version_info >= (3, 11):
            for i, (line, end_line, column, end_column) in enumerate(self.code.co_positions()):  # type: ignore[attr-defined]
                if line is None or end_line is None or column is None or end_column is None:
                    continue
                for number, span in enumerate(self.spans):
                    if span[:2] <= (line, column) and (end_line, end_column) <= span[2:]:
                        self.inside[2 * i] = number
                        self.starts.setdefault(number, 2 * i)
            return
        # no positions: a comprehension runs from the loading of its code to its call
        loading = None  # type: Optional[int]
        numbers = iter(range(len(self.spans)))
        for instruction in dis.get_instructions(self.code):
            argval = instruction.argval
            if isinstance(argval, types.CodeType) and argval.co_name in COMPREHENSION_NAMES:
                loading = next(numbers, 0)
                self.starts[loading] = instruction.offset
            if loading is not None:
                self.inside[instruction.offset] = loading
                if instruction.opname == "CALL_FUNCTION" and instruction.arg == 1:
                    loading = None

    def line_at(self, offset: int) -> Optional[int]:
        """The line of the instruction at `offset`."""
        positions = getattr(self.code, "co_positions", None)
        if positions is None:
            return None
        if self._line_of is None:
            self._line_of = [position[0] for position in positions()]
        return self._line_of[offset // 2]

    def source_line(self, line_no: int) -> str:
        if 1 <= line_no <= len(self.lines):
            return self.lines[line_no - 1]
        return ""


def names_in_order(code: types.CodeType) -> Tuple[str, ...]:
    """Declaration order: variables, then cells not among them, then free variables; identifiers only."""
    names = list(code.co_varnames)
    names += [name for name in code.co_cellvars if name not in names]
    names += [name for name in code.co_freevars if name not in names]
    return tuple(name for name in names if name.isidentifier())


def def_line(code: types.CodeType, lines: List[str]) -> int:
    """The line of the `def` itself, past its decorators."""
    line_no = code.co_firstlineno
    if code.co_name.startswith("<"):
        return line_no
    wanted = re.compile(r"\s*(async\s+)?(def|class)\s+" + re.escape(code.co_name) + r"\b")
    for candidate in range(line_no, min(len(lines), line_no + 200) + 1):
        if wanted.match(lines[candidate - 1]):
            return candidate
    return line_no


def _jump_targets(code: types.CodeType) -> Dict[int, int]:
    return {
        instruction.offset: instruction.argval
        for instruction in dis.get_instructions(code)
        if "JUMP_BACKWARD" in instruction.opname
    }


class Sources:
    """The files of a scope, each parsed once; code objects looked up by identity while they live."""

    def __init__(self) -> None:
        self._files = {}  # type: Dict[str, Tuple[str, List[str], List[Span]]]
        self._infos = {}  # type: Dict[int, Tuple[types.CodeType, Optional[CodeInfo]]]

    def add(self, filename: str, shown_as: str, source: str, *, fold: bool) -> None:
        """Make the code compiled under `filename` known; SyntaxError where it does not parse."""
        spans = outermost_comprehensions(ast.parse(source)) if fold else []
        lines = [line.replace(MARKER, "") if line.endswith(MARKER) else line for line in split_lines(source)]
        self._files[filename] = (shown_as, lines, spans)

    def info(self, code: types.CodeType) -> Optional[CodeInfo]:
        """None for code outside the scope, and for comprehensions that are folded."""
        known = self._infos.get(id(code))  # a code object's own hash walks its constants
        if known is None:
            known = self._infos[id(code)] = (code, self._make(code))
        return known[1]

    def _make(self, code: types.CodeType) -> Optional[CodeInfo]:
        known = self._files.get(code.co_filename)
        if known is None:
            return None
        shown_as, lines, spans = known
        if spans and code.co_name in COMPREHENSION_NAMES:
            return None
        return CodeInfo(code, shown_as, lines, spans)

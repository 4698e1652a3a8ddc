"""Comprehensions folded into their line: the same frames on every version, whether they are inlined or not.

    code + spans (3.11+) or bytecode (3.8-3.10) --folds_of--> Folds: offset -> comprehension, and where each begins
    line event at an offset --Folding.line--> the line to show, or nothing

An event inside a comprehension is dropped, except the one at its first instruction, which shows the comprehension's
first line; so is the next event after it on that line, unless a backward jump (a new round of a loop) led there.
"""

from __future__ import annotations

import dis
import sys
from types import CodeType
from typing import Dict, List, Optional, Tuple

from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .source import Scope, is_within, positions

FOLDED_NAMES = ("<listcomp>", "<setcomp>", "<dictcomp>")
_OPEN_CALLS = ("GET_ITER", "GET_AITER")


class Folds:
    """Where the comprehensions of one code object lie in its instructions."""

    __slots__ = ("first_line", "inside", "starts")

    def __init__(self) -> None:
        self.inside: Dict[int, int] = {}
        """Offset of an instruction -> index of the comprehension it belongs to."""
        self.starts: set[int] = set()
        """Offsets of the instructions that a comprehension begins with."""
        self.first_line: List[int] = []
        """By index."""


def folds_of(code: CodeType, scope: Optional[Scope]) -> Optional[Folds]:
    """None where the code has no comprehension."""
    if sys.version_info < (3, 11):
        return _folds_by_bytecode(code)
    if scope is None or not scope.comprehensions:
        return None
    return _folds_by_position(code, scope)


def _folds_by_position(code: CodeType, scope: Scope) -> Optional[Folds]:
    folds = Folds()
    folds.first_line = [span[0] for span in scope.comprehensions]
    spans = list(positions(code))
    instructions = code.co_code
    begins: Dict[int, Tuple[object, int]] = {}
    last_index = None
    for i, span in enumerate(spans):
        index = None
        if span is not None:
            index = next((n for n, outer in enumerate(scope.comprehensions) if is_within(span, outer)), None)
        if index is None:
            last_index = None
            continue
        offset = 2 * i
        folds.inside[offset] = index
        mark = (span, instructions[offset])
        if index not in begins:
            begins[index] = mark
        if last_index != index and mark == begins[index]:  # again in a copy, as of a `finally` block
            folds.starts.add(offset)
        last_index = index
    _leave_out_loops(code, folds)
    return folds if folds.inside else None


def _leave_out_loops(code: CodeType, folds: Folds) -> None:
    """`for x in [...]:` may have the position of its list: what a loop around a comprehension jumps back to."""
    for instruction in dis.get_instructions(code):
        if not instruction.opname.startswith("JUMP_BACKWARD"):
            continue
        target = instruction.argval
        index = folds.inside.get(target)
        if index is not None and target not in folds.starts and folds.inside.get(instruction.offset) != index:
            del folds.inside[target]


def _folds_by_bytecode(code: CodeType) -> Optional[Folds]:
    """Before 3.11: from `LOAD_CONST <code>` to the call that runs it."""
    folds = Folds()
    open_codes: List[Tuple[bool, int]] = []
    outermost: Optional[int] = None
    line = code.co_firstlineno
    instructions = list(dis.get_instructions(code))
    for i, instruction in enumerate(instructions):
        line = instruction.starts_line or line
        value = instruction.argval
        if instruction.opname == "LOAD_CONST" and isinstance(value, CodeType):
            is_folded = value.co_name in FOLDED_NAMES
            if is_folded or value.co_name == "<genexpr>":
                if is_folded and outermost is None:
                    outermost = len(open_codes)
                    folds.first_line.append(line)
                    folds.starts.add(instruction.offset)
                open_codes.append((is_folded, instruction.offset))
        if outermost is not None:
            folds.inside[instruction.offset] = len(folds.first_line) - 1
        is_call = instruction.opname == "CALL_FUNCTION" and instruction.arg == 1
        if open_codes and is_call and instructions[i - 1].opname in _OPEN_CALLS:
            open_codes.pop()
            if outermost == len(open_codes):
                outermost = None
    return folds if folds.inside else None


class Folding:
    """Which line events of one activation are shown."""

    __slots__ = ("_folds", "_has_jumped", "_inside", "_last_offset", "_shown_line")

    def __init__(self, folds: Folds) -> None:
        self._folds = folds
        self._inside: Optional[int] = None
        self._last_offset = -1
        self._has_jumped = False
        self._shown_line = 0

    def line(self, offset: int, line_no: int) -> Optional[int]:
        """The line to show for a line event at this instruction; None: the event is dropped."""
        folds = self._folds
        index = folds.inside.get(offset)
        if index is not None and offset not in folds.starts:
            self._inside = index
            self._last_offset = offset
            return None
        is_jump = offset <= self._last_offset
        self._last_offset = offset
        self._has_jumped = self._has_jumped or is_jump
        left, self._inside = self._inside, index
        if index is not None:
            line_no = folds.first_line[index]
            if line_no == self._shown_line and not self._has_jumped:
                return None
        elif left is not None and line_no == folds.first_line[left] and not is_jump:
            return None
        self.show(line_no)
        return line_no

    def show(self, line_no: int) -> None:
        """A frame of this activation shows this line."""
        self._shown_line = line_no
        self._has_jumped = False

    def line_at(self, offset: int, line_no: int) -> int:
        """The line of an instruction that is no line event: the comprehension's first one, inside a comprehension."""
        index = self._folds.inside.get(offset)
        return line_no if index is None else self._folds.first_line[index]

    def is_inside(self, offset: int) -> bool:
        return offset in self._folds.inside

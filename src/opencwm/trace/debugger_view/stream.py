"""A trajectory as a stream of texts and special tokens, and back again."""

import enum
import json
import re
from collections.abc import Iterator
from typing import Any

from opencwm.errors import DataError
from opencwm.trace.debugger_view.path import ACTIONS, Direction, Move
from opencwm.trace.debugger_view.trajectory import State, Trajectory
from opencwm.trace.stream import UNCHANGED, ParseError, Special, encodable, framed_context


class DebuggerSpecial(enum.Enum):
    """The special tokens that the view adds to those of a trace."""

    SRC_SEP = "<|src_sep|>"
    STEP_INTO = "<|step_into|>"
    STEP_OVER = "<|step_over|>"
    STEP_RETURN = "<|step_return|>"
    BREAKPOINT = "<|breakpoint|>"
    CONTINUE = "<|continue|>"
    EXIT_NORMAL = "<|exit_normal|>"
    EXIT_ERROR = "<|exit_error|>"
    EXIT_NEVER = "<|exit_never|>"
    INV_CALL_SEP = "<|inv_call_sep|>"
    INV_LINE_SEP = "<|inv_line_sep|>"
    INV_LINE_CALL = "<|inv_line_call|>"
    INV_RETURN_SEP = "<|inv_return_sep|>"
    INV_EXCEPTION_SEP = "<|inv_exception_sep|>"
    INV_STEP_INTO = "<|inv_step_into|>"
    INV_STEP_OVER = "<|inv_step_over|>"
    INV_STEP_CALL = "<|inv_step_call|>"
    INV_EXIT_ENTRY = "<|inv_exit_entry|>"
    TRACE_END = "<|trace_end|>"


AnySpecial = Special | DebuggerSpecial
_EVENTS: dict[tuple[Direction, str], AnySpecial] = {
    ("forward", "call"): Special.CALL_SEP,
    ("forward", "line"): Special.LINE_SEP,
    ("forward", "return"): Special.RETURN_SEP,
    ("forward", "exception"): Special.EXCEPTION_SEP,
    ("inverse", "call"): DebuggerSpecial.INV_CALL_SEP,
    ("inverse", "line"): DebuggerSpecial.INV_LINE_SEP,
    ("inverse", "line_call"): DebuggerSpecial.INV_LINE_CALL,
    ("inverse", "return"): DebuggerSpecial.INV_RETURN_SEP,
    ("inverse", "exception"): DebuggerSpecial.INV_EXCEPTION_SEP,
}
_EVENT_OF = {special: key for key, special in _EVENTS.items()}
_ACTIONS = {name: DebuggerSpecial[name.upper()] for names in ACTIONS.values() for name in names}
_ACTION_OF: dict[AnySpecial, str] = {special: name for name, special in _ACTIONS.items()}
_EXITS = {
    "normal": DebuggerSpecial.EXIT_NORMAL,
    "error": DebuggerSpecial.EXIT_ERROR,
    "never": DebuggerSpecial.EXIT_NEVER,
    "entry": DebuggerSpecial.INV_EXIT_ENTRY,
}
_EXIT_OF: dict[AnySpecial, str] = {special: name for name, special in _EXITS.items()}
_BY_TEXT: dict[str, AnySpecial] = {special.value: special for special in (*Special, *DebuggerSpecial)}
_SPECIALS = re.compile("(" + "|".join(map(re.escape, _BY_TEXT)) + ")")


def pieces(trajectory: Trajectory) -> Iterator[str | AnySpecial]:
    """The stream: texts and the special tokens between them."""
    yield Special.BEGIN_OF_TEXT
    yield Special.TRACE_CONTEXT_START
    yield encodable(trajectory.context)
    shown: dict[str, str] = {}
    for index, state in enumerate(trajectory.states):
        yield Special.FRAME_SEP
        yield _EVENTS[trajectory.direction, state.event]
        yield DebuggerSpecial.SRC_SEP
        yield encodable(state.source_line)
        yield Special.ARG_SEP
        if state.locals is None:
            yield json.dumps(state.value or "")
        else:
            yield json.dumps(state.locals if trajectory.shown_in_full[index] else _changes(state.locals, shown))
            shown = state.locals
        if index < len(trajectory.moves):
            move = trajectory.moves[index]
            yield Special.ACTION_SEP
            yield _ACTIONS[move.action]
            if move.source_line is not None:
                yield encodable(move.source_line)
    if trajectory.exit is not None:
        yield Special.FRAME_SEP
        yield _EXITS[trajectory.exit]
        yield DebuggerSpecial.TRACE_END


def _changes(state: dict[str, str], shown: dict[str, str]) -> dict[str, str]:
    changed = {name: text for name, text in state.items() if shown.get(name) != text}
    return changed if len(changed) == len(state) else {**changed, UNCHANGED: UNCHANGED}


def render(trajectory: Trajectory) -> str:
    """The stream as one string; a DataError where a text of the trace contains a special token's string."""
    out = []
    for piece in pieces(trajectory):
        if isinstance(piece, str) and (found := _SPECIALS.search(piece)):
            raise DataError(f"this trajectory has no text form: its program or a value contains {found.group()!r}")
        out.append(piece if isinstance(piece, str) else piece.value)
    return "".join(out)


def parse(text: str) -> Trajectory:
    """What a text says, up to the first thing that is wrong with it, which is in the result's `error`."""
    return _Reader(text).read()


class _Malformed(Exception):
    pass


class _Reader:
    def __init__(self, text: str) -> None:
        self._items: list[tuple[int, str | AnySpecial]] = []
        index = 0
        for number, part in enumerate(_SPECIALS.split(text)):
            if part:
                self._items.append((index, _BY_TEXT[part] if number % 2 else part))
            index += len(part)
        self._items.append((index, ""))  # the end
        self._at = 0
        self._states: list[State] = []
        self._moves: list[Move] = []
        self._full: list[bool] = []
        self._shown: dict[str, str] = {}
        self._direction: Direction | None = None

    def read(self) -> Trajectory:
        context, exit, error = "", None, None
        try:
            self._expect(Special.BEGIN_OF_TEXT)
            self._expect(Special.TRACE_CONTEXT_START)
            context = framed_context(self._text())
            while exit is None and not self._is_over:
                if self._moves and len(self._moves) < len(self._states):
                    raise _Malformed("a state follows a state without an action")
                self._expect(Special.FRAME_SEP)
                exit = self._exit()
                if exit is None:
                    self._state()
            if exit is not None:
                self._expect(DebuggerSpecial.TRACE_END)
            if not self._is_over:
                raise _Malformed("something follows the end")
        except _Malformed as exc:
            index = self._items[min(self._at, len(self._items) - 1)][0]
            error = ParseError(index=index, reason=str(exc), frame=len(self._states) if context else None)
        return Trajectory(
            direction=self._direction or "forward",
            context=context,
            states=tuple(self._states),
            moves=tuple(self._moves),
            exit=exit,
            shown_in_full=tuple(self._full),
            error=error,
        )

    @property
    def _is_over(self) -> bool:
        return self._at >= len(self._items) - 1

    @property
    def _item(self) -> str | AnySpecial:
        return self._items[min(self._at, len(self._items) - 1)][1]

    def _expect(self, special: AnySpecial) -> None:
        if self._is_over or self._item is not special:
            raise _Malformed(f"{special.value} is missing")
        self._at += 1

    def _text(self) -> str:
        if self._is_over or not isinstance(self._item, str):
            return ""
        self._at += 1
        return str(self._items[self._at - 1][1])

    def _exit(self) -> str | None:
        item = self._item
        exit = None if isinstance(item, str) else _EXIT_OF.get(item)
        if exit is None:
            return None
        if (exit == "entry") != (self._direction == "inverse") or len(self._moves) != len(self._states):
            raise _Malformed(f"{_EXITS[exit].value} cannot stand here")
        self._at += 1
        return exit

    def _state(self) -> None:
        item = self._item
        if isinstance(item, str) or item not in _EVENT_OF:
            raise _Malformed("a state starts with something that is no event")
        direction, event = _EVENT_OF[item]
        if self._direction not in (None, direction):
            raise _Malformed("the direction changes")
        self._direction = direction
        self._at += 1
        self._expect(DebuggerSpecial.SRC_SEP)
        source_line = self._text()
        self._expect(Special.ARG_SEP)
        state = State(event=event, source_line=source_line, **self._argument(event))
        move = None
        if self._item is Special.ACTION_SEP:
            self._at += 1
            move = self._move()
        self._states.append(state)
        if move is not None:
            self._moves.append(move)

    def _argument(self, event: str) -> dict[str, Any]:
        start = self._at
        try:
            data = json.loads(self._text())
        except (ValueError, RecursionError) as exc:
            self._at = start
            raise _Malformed(f"what the state holds is not JSON: {exc}") from exc
        if event in ("return", "exception"):
            if not isinstance(data, str):
                raise _Malformed("the value is not a JSON string")
            self._full.append(False)
            return {"value": data}
        if not isinstance(data, dict) or not all(isinstance(text, str) for text in data.values()):
            raise _Malformed("locals are not names with texts")
        is_full = data.pop(UNCHANGED, None) is None
        self._full.append(is_full)
        self._shown = data if is_full else {**self._shown, **data}
        return {"locals": self._shown}

    def _move(self) -> Move:
        item = self._item
        action = None if isinstance(item, str) else _ACTION_OF.get(item)
        if action is None or action.startswith("inv_") != (self._direction == "inverse"):
            raise _Malformed("no action follows the state")
        self._at += 1
        return Move(action=action, source_line=self._text() if action == "breakpoint" else None)

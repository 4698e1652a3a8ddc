"""Where an execution stands and what can be told of its next frame, without knowing what the program means.

    frames so far --Execution: activations, what each line did the last time--> event, SOURCE, LOCALS, VALUE of the next

A frame is mostly known before it is written. Its event and SOURCE are those that came the last time after the frame
before it, or the next line of the file. LOCALS names what this activation showed last, with `".."` for what the line
that ran does not bind, and everything in full after a callee's `return`. A value that changed is often a literal, the
next item of a loop, a sum, or what a callee returned.

All of it is a guess for `trace_drafts.py`, made with regular expressions over lines; nothing is ever run.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opencwm.trace.stream import UNCHANGED, without_marker

LONGEST = 1000
"""Characters of a line or a value that is looked into."""
_NAME = r"[^\W\d]\w*"
_DEF = re.compile(rf"\s*(?:async )?def ({_NAME})\((.*)\).*:$")
_FOR = re.compile(r"\s*for (.+?) in (.+):$")
_ASSIGN = re.compile(rf"\s*({_NAME}(?:, {_NAME})*)(?:: [^=]+)? ([-+*/%&|^]|//|\*\*|>>|<<|)= (.+)$")
_IN_PLACE = re.compile(rf"\s*(?:del )?({_NAME})(?:\.\w+\(|\[)")
_APPEND = re.compile(rf"\s*({_NAME})\.append\((.+)\)$")
_BINDING = re.compile(rf" as ({_NAME}):")
_CALL = re.compile(rf"\b({_NAME})\(")

Guess = tuple[str, bool]
"""The text of a value, and whether it may go on: then only its beginning is known."""
Place = tuple[str, str]
"""An event and a SOURCE."""


@dataclass(frozen=True, slots=True)
class Activation:
    shown: Mapping[str, str] = field(default_factory=dict)
    """Name -> text of its value, as it was shown last."""
    line: str = ""
    """SOURCE of its last frame."""
    is_full: bool = False
    """A callee has returned: the next frame shows every local in full."""
    rounds: Mapping[str, int] = field(default_factory=dict)
    """How many rounds of each `for` line have begun before this one."""


class Program:
    """The lines of a context, and what has been seen of their execution."""

    def __init__(self, context: str) -> None:
        lines = [without_marker(line) for line in context.split("\n")]
        self.lines = [line for line in lines if line.strip() and len(line) <= LONGEST]
        self.defs = {found[1]: line for line in self.lines if (found := _DEF.match(line))}
        self.after: dict[Place, Place] = {}
        """What came the last time after a frame; after a `return`, by the caller's line."""
        self.changed: dict[str, frozenset[str]] = {}
        """The names that a line bound anew the last time it ran."""

    def below(self, line: str) -> str:
        """The line that runs after `line`, if it is no jump: the next one, or the head of the loop that it ends."""
        if line not in self.lines:
            return ""
        at = self.lines.index(line)
        following = self.lines[at + 1] if at + 1 < len(self.lines) else ""
        if indent(following) >= indent(line):
            return following
        width = indent(line)
        for earlier in reversed(self.lines[:at]):
            if indent(earlier) < width:
                width = indent(earlier)
                if width >= indent(following) and re.match(r"\s*(for|while) ", earlier):
                    return earlier
                if _DEF.match(earlier):
                    break
        return following

    def past(self, line: str) -> str:
        """The line after the block that `line` begins."""
        at = self.lines.index(line) + 1 if line in self.lines else len(self.lines)
        return next((later for later in self.lines[at:] if indent(later) <= indent(line)), "")

    def callee(self, line: str) -> str:
        """The `def` line of the first function of this program that `line` calls."""
        if _DEF.match(line):
            return ""
        return next((self.defs[name] for name in _CALL.findall(line) if name in self.defs), "")


class Execution:
    """The activations that are open, and what can be told from them."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._stack: tuple[Activation, ...] = ()
        self._before: Place = ("", "")
        """The last frame, as `Program.after` knows it."""
        self._returned = "None"
        self._learns = True

    def copy(self) -> "Execution":
        """To be moved on with guesses, from which nothing is learnt."""
        other = Execution(self._program)
        other._stack, other._before, other._returned = self._stack, self._before, self._returned
        other._learns = False
        return other

    @property
    def is_over(self) -> bool:
        """The entry point was left."""
        return not self._stack and bool(self._before[0])

    @property
    def _top(self) -> Activation:
        return self._stack[-1] if self._stack else Activation()

    def move(self, event: str, names: Mapping[str, str], line: str, value: str) -> None:
        """Past a frame, with its LOCALS, SOURCE and VALUE as written; learns what it teaches about the program."""
        top, known = self._top, self._program
        line = line if len(line) <= LONGEST else ""
        if self._learns:
            known.after[self._before] = (event, line)
        if event == "call":
            self._stack = (*self._stack, Activation(shown=names, line=line))
        elif event == "line":
            shown = {name: top.shown.get(name, text) if text == UNCHANGED else text for name, text in names.items()}
            if self._learns and top.line:
                known.changed[top.line] = frozenset(name for name in shown if shown[name] != top.shown.get(name))
            rounds = top.rounds
            if _FOR.match(line):  # reached from its body, it begins another round; from elsewhere, its first
                rounds = {**rounds, line: rounds.get(line, 0) + 1 if indent(top.line) > indent(line) else 0}
            self._stack = (*self._stack[:-1], Activation(shown=shown, line=line, rounds=rounds))
        elif event == "return":
            self._returned, self._stack = value, self._stack[:-1]
            if self._stack:
                self._stack = (*self._stack[:-1], replace(self._top, is_full=True))
        self._before = (event, self._top.line) if event == "return" else (event, line)

    def next(self) -> Place:
        """The event and SOURCE of the frame after the last one."""
        event, line = self._before
        known = self._program
        if event == "line" and _FOR.match(line):
            items = self._items(line)
            if items is not None:
                is_over = self._top.rounds.get(line, 0) >= len(items)
                following = known.past(line) if is_over else known.below(line)
                if following:
                    return "line", following
        if self._before in known.after:
            return known.after[self._before]
        if event == "call":
            return "line", known.below(line)
        if event == "exception":
            return "return", line
        if event == "line" and (callee := known.callee(line)):
            return "call", callee
        if re.match(r"\s*return\b", line):
            return "return", line
        following = known.below(line)
        if not following or _DEF.match(following):
            return "return", line
        return "line", following

    def sources(self, event: str) -> Iterator[str]:
        """The lines that SOURCE may be after `event`, the likelier first."""
        expected, line = self.next()
        current, known = self._top.line, self._program
        if event == expected:
            yield line
        yield {"call": known.callee(current), "line": known.below(current)}.get(event, current)
        yield known.past(current)
        yield from known.lines

    def value(self, event: str, line: str) -> str | None:
        """The text of VALUE after `event` and SOURCE, where it can be told."""
        if event == "exception":
            return None
        found = re.match(r"\s*return\b ?(.*)$", line)
        if found is None or not found[1] or self._before[0] == "exception":
            return "None"
        return self._value_of(found[1])

    def locals(self, event: str) -> dict[str, Guess]:
        """LOCALS after `event`: names and texts, as far as they can be told."""
        if event == "call":
            return self._arguments()
        top = self._top
        # what the line that ran binds by its looks, and what it changed the last time it ran, where that was seen
        bound = targets(top.line) if self._before[0] != "call" else {}
        changed = self._program.changed.get(top.line, frozenset(bound)) if self._before[0] != "call" else frozenset()
        if (found := _FOR.match(top.line)) and (items := self._items(top.line)) is not None:
            changed = frozenset(bound) if top.rounds.get(top.line, 0) < len(items) else frozenset()
        guesses: dict[str, Guess] = {}
        for name, text in top.shown.items():
            guesses[name] = (
                self._changed(name, text) if name in changed else (text if top.is_full else UNCHANGED, False)
            )
        for name in bound:  # new names come last
            if name not in guesses and (name in changed or not found):
                guesses[name] = self._changed(name, None)
        return guesses

    def _arguments(self) -> dict[str, Guess]:
        event, line = self.next()
        found = _DEF.match(line if event == "call" else self._program.callee(self._top.line))
        if found is None:
            return {}
        names = [part.split(":")[0].split("=")[0].strip(" *") for part in split_commas(found[2])]
        call = re.search(rf"\b{found[1]}\((.*)\)", self._top.line)
        given = split_commas(call[1]) if call else []
        guesses: dict[str, Guess] = {}
        for index, name in enumerate(name for name in names if name and name != "/"):
            text = self._value_of(given[index].removeprefix(f"{name}=")) if index < len(given) else None
            guesses[name] = ("", True) if text is None else (text, False)
        return guesses

    def _changed(self, name: str, old: str | None) -> Guess:
        """What the line that ran leaves in a name; open where only its beginning can be told."""
        line, value = self._top.line, None
        if (found := _FOR.match(line)) and (items := self._items(line)) is not None:
            at = self._top.rounds.get(line, 0)
            names = [part.strip(" ()") for part in found[1].split(",")]
            if at < len(items) and name in names:
                item = items[at]
                if len(names) == 1:
                    return repr(item), False
                if isinstance(item, (tuple, list)) and len(item) == len(names):
                    return repr(item[names.index(name)]), False
        elif (found := _APPEND.match(line)) and old is not None:
            value = self._sum(old, f"[{given}]" if (given := self._value_of(found[2])) else None, "+")
        elif (found := _ASSIGN.match(line)) and found[1] == name:
            given = self._value_of(found[3])
            value = self._sum(old, given, found[2]) if found[2] else given
        if value is not None:
            return value, False
        if not old or old[0] not in "[{(":
            return "", True
        return old[:-1] + (", " if _APPEND.match(line) and len(old) > 2 else ""), True

    def _sum(self, old: str | None, new: str | None, operator: str) -> str | None:
        left, right = literal(old), literal(new)
        if type(left) is not type(right) or operator not in ("+", "-"):
            return None
        if isinstance(left, int):
            return repr(left + right if operator == "+" else left - right)
        return repr(left + right) if operator == "+" and isinstance(left, (str, list, tuple)) else None

    def _value_of(self, expression: str) -> str | None:
        """The text of a value that is known: a name's, a literal's, a sum of such, or what a callee just returned."""
        shown = self._top.shown
        if expression in shown:
            return shown[expression]
        if self._before[0] == "return" and (found := re.match(rf"({_NAME})\(", expression)):
            return self._returned if found[1] in self._program.defs else None
        if found := re.match(r"(\w+) ([-+]) (\w+)$", expression):
            return self._sum(self._value_of(found[1]), self._value_of(found[3]), found[2])
        if found := re.match(rf"({_NAME})\[(\w+)\]$", expression):
            whole, at = literal(shown.get(found[1])), literal(self._value_of(found[2]))
            try:
                return repr(whole[at]) if whole is not None else None
            except (TypeError, LookupError):
                return None
        if found := re.match(rf"len\(({_NAME})\)$", expression):
            whole = literal(shown.get(found[1]))
            return repr(len(whole)) if hasattr(whole, "__len__") else None
        return None if (value := literal(expression)) is None and expression != "None" else repr(value)

    def _items(self, line: str) -> Sequence[Any] | None:
        """What a `for` line goes over, where that is known."""
        found = _FOR.match(line)
        if found is None:
            return None
        if ranged := re.match(r"range\((.+)\)$", found[2]):
            bounds = [literal(self._value_of(part)) for part in split_commas(ranged[1])]
            whole = (
                all(type(bound) is int and abs(bound) < 1 << 31 for bound in bounds)
                and 1 <= len(bounds) <= 3
                and 0 not in bounds[2:]
            )
            return range(*bounds) if whole else None
        if counted := re.match(rf"enumerate\(({_NAME})\)$", found[2]):
            items = literal(self._top.shown.get(counted[1]))
            return list(enumerate(items)) if isinstance(items, (list, tuple, str)) else None
        items = literal(self._value_of(found[2]))
        return list(items) if isinstance(items, (list, tuple, str, dict)) else None


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def targets(line: str) -> dict[str, None]:
    """The names that a line may bind or change, in order."""
    if found := _FOR.match(line):
        return dict.fromkeys(part.strip(" ()") for part in found[1].split(","))
    if found := _ASSIGN.match(line):
        return dict.fromkeys(found[1].split(", "))
    found = _IN_PLACE.match(line) or _BINDING.search(line)
    return {found[1]: None} if found else {}


def literal(text: str | None) -> Any:
    """The value of a literal; None for what is none."""
    if text is None or len(text) > LONGEST:
        return None
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def split_commas(text: str) -> list[str]:
    """Parts between the commas that are in no brackets or quotes."""
    parts, depth, quote = [""], 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        depth += (char in "([{") - (char in ")]}") if not quote else 0
        if char == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]

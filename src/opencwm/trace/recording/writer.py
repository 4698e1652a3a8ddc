"""The text of a value, and how it is cut. Never calls a `__repr__` of the program's.

    value --shapes--> pieces of text --write--> text, cut or not
          --------------------------> graph_key: what the value is made of, whatever its text would be

The writer keeps its own stack: a value may be nested deeper than the interpreter's recursion limit.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from .instances import handler_of
from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .options import Options
from .shapes import ATOMS, Handler

ATOM_TEXT = {id(cls): text for cls, text in ATOMS.items()}
LONG_IDS = frozenset((id(str), id(bytes)))


class TextWriter:
    """Writes values under one set of cuts. Keeps what it learned about classes; holds no value of the program."""

    def __init__(self, options: Options) -> None:
        self._max_depth = options.max_depth
        self._max_items = options.max_items
        self._max_chars = options.max_chars
        self._handlers: Dict[int, Tuple[type, Handler]] = {}

    def cut(self, value: Any) -> Tuple[str, bool]:
        """The text as it is shown, and whether anything of it was left out."""
        text, is_over = self.write(value, is_cut=True, enough=self._max_chars)
        if len(text) > self._max_chars:
            return text[: self._max_chars] + "...", True
        return text, is_over

    def write(self, root: Any, *, is_cut: bool, enough: Optional[int]) -> Tuple[str, bool]:
        """The text, and whether a cut applies inside it: made if `is_cut`, else noticed. Stops past `enough`."""
        max_depth, max_items, max_chars = self._max_depth, self._max_items, self._max_chars
        limit = max_items if is_cut else None
        out: List[str] = []
        size = 0
        is_over = False
        active: Set[int] = set()
        stack: List[Tuple[Any, str, int]] = []
        children: Any = iter((("", root),))
        close, ident = "", 0
        while True:
            for before, item in children:
                if before:
                    out.append(before)
                    size += len(before)
                kind = id(type(item))
                atom = ATOM_TEXT.get(kind)
                shape: Any = atom(item) if atom is not None else self.handler(item)(item, limit)
                if type(shape) is str:
                    if len(shape) > max_chars and kind in LONG_IDS and len(item) > max_chars:
                        is_over = True
                        if is_cut:
                            shape = cut_string(item, kind, max_chars)
                    out.append(shape)
                    size += len(shape)
                    if enough is not None and size > enough:
                        break
                    continue
                opened, inside, closed, num_items, again = shape
                item_ident = id(item)
                if item_ident in active:
                    out.append(again)
                    continue
                out.append(opened)
                size += len(opened)
                if max_depth is not None and len(stack) >= max_depth and num_items:
                    is_over = True
                    if is_cut:
                        out.append(_rest(num_items, closed, ""))
                        continue
                if max_items is not None and num_items > max_items:
                    is_over = True
                    if is_cut:
                        closed = _rest(num_items - max_items, closed, ", " if max_items else "")
                stack.append((children, close, ident))
                children, close, ident = inside, closed, item_ident
                active.add(item_ident)
                break
            else:
                out.append(close)
                size += len(close)
                active.discard(ident)
                if not stack:
                    break
                children, close, ident = stack.pop()
            if enough is not None and size > enough:
                break
        return "".join(out), is_over

    def graph_key(self, root: Any) -> GraphKey:
        """Each object's own text once, and which ones it holds: linear where the text would repeat shared parts."""
        order: Dict[int, int] = {}
        kept: List[Any] = []  # an id is an object's own only while the object lives
        marks: List[Any] = []
        waiting = [root]
        while waiting and len(order) < MAX_NODES:
            item = waiting.pop()
            kind = id(type(item))
            atom = ATOM_TEXT.get(kind)
            shape = atom(item) if atom is not None else self.handler(item)(item, None)
            if isinstance(shape, str):
                marks.append(shape)
                continue
            known = order.get(id(item))
            if known is not None:
                marks.append(known)
                continue
            order[id(item)] = len(order)
            kept.append(item)
            opened, children, closed, _, _ = shape
            held = list(children)
            marks.append((opened, closed, len(held)))
            marks.extend(before for before, _ in held)
            waiting.extend(child for _, child in reversed(held))
        return GraphKey(len(marks), hash(tuple(marks)))

    def dict_of_class(self, cls: type) -> Any:
        """For classes whose instances show their `__dict__` and nothing else: what reads it."""
        known = self._handlers.get(id(cls))
        return None if known is None else getattr(known[1], "dict_of", None)

    def handler(self, item: Any) -> Handler:
        cls = type(item)
        known = self._handlers.get(id(cls))
        if known is None:
            known = self._handlers[id(cls)] = (cls, handler_of(cls))  # the class is kept, so that its id stays its own
        return known[1]


class GraphKey(NamedTuple):
    num_marks: int
    hash: int


MAX_NODES = 100_000
"""Objects of one value that are looked at."""


def cut_string(value: Any, kind: int, limit: int) -> str:
    return "{}...(+{})".format(ATOM_TEXT[kind](value[:limit]), len(value) - limit)


def _rest(num_left: int, close: str, separator: str) -> str:
    """What stands for the items left out, with the closing bracket (of a one-tuple, without its comma)."""
    if close == ">":
        return " ...(+{})>".format(num_left)
    return "{}...(+{}){}".format(separator, num_left, close.lstrip(","))

"""Values as text, and whether a value has changed: the trace format's section 2.

    value --look--> Seen(ref, fingerprint, key, text, is_cut)      changed when the keys differ

The text is written by our own writer, which never calls a `__repr__`; `mode="repr"` calls it, guarded. A key stands
for the *uncut* text: two values have equal keys exactly when their uncut texts are equal (up to `CAP` characters, and
to a 64-bit hash), so a change beyond the cut is seen. Three levels, cheapest first: the same immutable object; equal
bytes from `marshal` for plain containers of plain things; the text itself.

The writer keeps its own stack: a value may be nested deeper than the interpreter's recursion limit.
"""

from __future__ import annotations

import marshal
from typing import Any, Dict, List, Optional, Tuple

from .options import Options
from .shapes import ATOMS, Handler, Shape, class_name, handler_of

CAP = 1_000_000
"""Characters of an uncut text that are compared."""
SHORT = 256
"""Keys up to this length are kept as they are, longer ones as a hash."""
MANY = 20_000
"""Items up to which a container is fingerprinted as a whole."""
PLAIN_DEPTH = 4
"""Nesting up to which a container counts as plain; deeper ones may be cycles."""

Seen = Tuple[Any, Any, str, bool]
"""The object itself if immutable (else a token that no variable holds), its key, its text, whether it was cut."""

_ATOM_TEXT = {id(cls): text for cls, text in ATOMS.items()}
_ATOM_IDS = frozenset(_ATOM_TEXT)
_LONG_IDS = frozenset((id(str), id(bytes)))
_PLAIN_IDS = frozenset(map(id, (list, tuple, dict, set, frozenset)))
_NO_REF = object()


class Writer:
    """Writes values under one set of options. Keeps what it learned about classes; holds no value of the program."""

    def __init__(self, options: Options) -> None:
        self._max_depth = options.max_depth
        self._max_items = options.max_items
        self._max_chars = options.max_value_chars
        self._handlers: Dict[int, Tuple[type, Handler]] = {}

    # -- one value, as one variable or return value shows it

    def look(self, value: Any, last: Optional[Seen] = None) -> Seen:
        """`value` as it is now; `last` itself where nothing has changed since. Never raises."""
        cls = type(value)
        kind = id(cls)
        if kind in _ATOM_IDS:
            return self._look_atom(value, kind)
        try:
            if kind in _PLAIN_IDS:
                seen = self._look_plain(value, cls, last)
                if seen is not None:
                    return seen
            return self._look_any(value)
        except Exception as exc:  # whatever a value does, the program goes on
            text = "<unprintable {}: {}>".format(class_name(cls), class_name(type(exc)))
            return (_NO_REF, text, text, False)

    def text(self, value: Any) -> Tuple[str, bool]:
        """The text of a value that is shown once, and whether it was cut."""
        seen = self.look(value)
        return seen[2], seen[3]

    def _look_atom(self, value: Any, kind: int) -> Seen:
        text = _ATOM_TEXT[kind](value)
        limit = self._max_chars
        if limit is None or len(text) <= limit:
            return (value, text, text, False)
        key = (hash(text), len(text))
        if kind in _LONG_IDS and len(value) > limit:
            return (value, key, _cut_string(value, kind, limit), True)
        return (value, key, text[:limit] + "...", True)

    def _look_plain(self, value: Any, cls: type, last: Optional[Seen]) -> Optional[Seen]:
        """Exact builtin containers of atoms, not deep and not huge; None for all others."""
        num_items = len(value)
        if num_items > MANY:
            return None
        widest = _plain_width(value, cls, PLAIN_DEPTH)
        if widest is None:
            return None
        mark = marshal.dumps(value, 2)  # version 2: later ones write references, which equal values do not share
        key: Any = mark if len(mark) <= SHORT else (hash(mark), len(mark))
        if b"<" in mark or b">" in mark:  # perhaps a set: marshal sorts it, so that its order of iteration is not told
            key = (key, _short(self._plain_text(value)))
        if last is not None and last[1] == key:
            return last
        text, is_cut = self._plain_cut(value, cls, num_items, widest)
        return (_NO_REF, key, text, is_cut)

    def _plain_cut(self, value: Any, cls: type, num_items: int, widest: int) -> Tuple[str, bool]:
        limit = self._max_items
        chars = self._max_chars
        if self._max_depth is not None and self._max_depth < PLAIN_DEPTH:
            return self._cut(value)
        if limit is None or widest <= limit:
            text = self._plain_text(value)
            if chars is None or len(text) <= chars:
                return text, False
        return self._cut(value)

    def _plain_text(self, value: Any) -> str:
        try:
            return repr(value)
        except ValueError:  # an integer past the interpreter's digit limit
            return self._write(value, cut=False)[0]

    def _look_any(self, value: Any) -> Seen:
        uncut, is_over = self._write(value, cut=False)
        if len(uncut) > CAP:
            key: Any = (hash(uncut[:CAP]), _top_length(value))
        else:
            key = _short(uncut)
        if not is_over and (self._max_chars is None or len(uncut) <= self._max_chars):
            return (_NO_REF, key, uncut, False)
        text, is_cut = self._cut(value)
        return (_NO_REF, key, text, is_cut)

    def _cut(self, value: Any) -> Tuple[str, bool]:
        text, is_over = self._write(value, cut=True)
        if self._max_chars is not None and len(text) > self._max_chars:
            return text[: self._max_chars] + "...", True
        return text, is_over

    # -- the writer

    def _write(self, root: Any, cut: bool) -> Tuple[str, bool]:
        """The text, and whether a cut applies inside it: made where `cut`, else only noticed. Stops after `CAP`."""
        max_depth, max_items, max_chars = self._max_depth, self._max_items, self._max_chars
        enough = max_chars if cut else CAP
        out: List[str] = []
        size = 0
        is_over = False
        active: set[int] = set()
        stack: List[Tuple[Any, str, int]] = []
        children: Any = iter((("", root),))
        close, ident = "", 0
        while True:
            for before, item in children:
                if before:
                    out.append(before)
                    size += len(before)
                kind = id(type(item))
                atom = _ATOM_TEXT.get(kind)
                if atom is not None:
                    text = atom(item)
                    if max_chars is not None and len(text) > max_chars and kind in _LONG_IDS and len(item) > max_chars:
                        is_over = True
                        if cut:
                            text = _cut_string(item, kind, max_chars)
                    out.append(text)
                    size += len(text)
                    if enough is not None and size > enough:
                        break
                    continue
                shape = self._handler(item)(item, max_items if cut else None)
                if type(shape) is str:
                    out.append(shape)
                    size += len(shape)
                    if enough is not None and size > enough:
                        break
                    continue
                assert isinstance(shape, Shape)
                opened, inside, closed, num_items, again = shape
                item_ident = id(item)
                if item_ident in active:
                    out.append(again)
                    continue
                out.append(opened)
                size += len(opened)
                if max_depth is not None and len(stack) >= max_depth and num_items:
                    is_over = True
                    if cut:
                        out.append(_rest(num_items, closed, "", 0))
                        continue
                if max_items is not None and num_items > max_items:
                    is_over = True
                    if cut:
                        closed = _rest(num_items - max_items, closed, ", ", max_items)
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

    def _handler(self, item: Any) -> Handler:
        cls = type(item)
        known = self._handlers.get(id(cls))
        if known is None:
            known = self._handlers[id(cls)] = (cls, handler_of(cls))  # the class is kept, so that its id stays its own
        return known[1]


def _rest(num_left: int, close: str, separator: str, num_shown: int) -> str:
    """What stands for the items left out, with the closing bracket (of a one-tuple, without its comma)."""
    if close == ">":
        return " ...(+{})>".format(num_left)
    return "{}...(+{}){}".format(separator if num_shown else "", num_left, close.lstrip(","))


def _plain_width(value: Any, cls: type, depth: int) -> Optional[int]:
    """The length of the longest container in a plain value; None where it is not plain."""
    widest = len(value)
    parts = (value.keys(), value.values()) if cls is dict else (value,)
    for part in parts:
        if _ATOM_IDS.issuperset(map(id, map(type, part))):
            continue
        if depth <= 1:
            return None
        total = widest
        for item in part:
            item_cls = type(item)
            kind = id(item_cls)
            if kind in _ATOM_IDS:
                continue
            if kind not in _PLAIN_IDS:
                return None
            width = _plain_width(item, item_cls, depth - 1)
            total += len(item)
            if width is None or total > MANY:
                return None
            if width > widest:
                widest = width
    return widest


def _cut_string(value: Any, kind: int, limit: int) -> str:
    return "{}...(+{})".format(_ATOM_TEXT[kind](value[:limit]), len(value) - limit)


def _short(text: str) -> Any:
    return text if len(text) <= SHORT else (hash(text), len(text))


def _top_length(value: Any) -> int:
    for cls in (list, tuple, dict, set, frozenset, str, bytes, bytearray):
        if issubclass(type(value), cls):
            return int(cls.__len__(value))
    return 0

"""Values as text, and whether a value has changed: the trace format's section 2.

    value --look--> Seen(ref, key, text, is_cut, snapshot)      changed when the keys differ

A key stands for the *uncut* text: two values have equal keys exactly when their uncut texts are equal (to a 64-bit
hash, and up to `CAP` characters, from where on only the length counts), so a change beyond the cut is seen. Cheapest
first: the same immutable object, or the same ones in the same places of a plain container; equal bytes from `marshal`
for long plain containers; the text itself.

Deviation from the format: instances whose text is longer than `GRAPH_FROM` (a parser, a tree whose nodes know their
parents) are compared by what they are made of, each object once, and not by a text that repeats shared parts without
end. That differs only where equal parts are shared in one value and not in the other.
"""

from __future__ import annotations

import itertools
import marshal
from typing import Any, Dict, List, Optional, Set, Tuple

from .guarded_repr import GuardedRepr
from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .options import Options
from .shapes import class_name
from .snapshot import ATOM_IDS, PLAIN_IDS, Snapshot, are_atoms, take
from .writer import ATOM_TEXT, LONG_IDS, GraphKey, TextWriter, cut_string

CAP = 1_000_000
"""Characters of an uncut text that are compared."""
GRAPH_FROM = 20_000
"""Characters of an instance's text from which it is compared as a graph."""
SHORT = 256
"""Keys up to this length are kept as they are, longer ones as a hash."""
MANY = 20_000
"""Items up to which a container is fingerprinted as a whole."""
SMALL = 500
"""Objects that a snapshot may keep alive to be remembered beyond its variable."""
MAX_KNOWN = 4_000
PLAIN_DEPTH = 4
"""Nesting up to which a container counts as plain; deeper ones may be cycles."""

_NO_REF = object()

_UNMARKED_IDS = frozenset(map(id, (bytes, set, frozenset, type(NotImplemented))))
"""What `marshal` does not tell exactly: sets are sorted."""
_ATOM_OR_PLAIN_IDS = ATOM_IDS | PLAIN_IDS

Seen = Tuple[Any, Any, str, bool, Optional[Snapshot]]
"""The object itself if immutable (else a token that no variable holds), its key, its text, whether that was cut, and
what tells in a hurry that it is as it was."""


class Writer:
    """Looks at values under one set of options. Holds no value of the program's but immutable atoms."""

    def __init__(self, options: Options) -> None:
        self._max_items = options.max_items
        self._max_chars = options.max_chars
        self._is_deep_cut = options.max_depth is not None and options.max_depth < PLAIN_DEPTH
        self._texts = TextWriter(options)
        self._known: Dict[int, Seen] = {}
        """What was seen at an address last: no promise what is there now, but its snapshot can tell."""
        self._repr = GuardedRepr(options.max_chars) if options.values == "repr" else None

    def look(self, value: Any, last: Optional[Seen] = None) -> Seen:
        """`value` as it is now; `last` itself where nothing has changed since. Raises RecursionError alone."""
        cls = type(value)
        kind = id(cls)
        try:
            atom = ATOM_TEXT.get(kind)
            if atom is not None:
                text = atom(value)
                if len(text) <= self._max_chars:
                    return (value, text, text, False, None)
                return self._look_long_atom(value, kind, text, self._max_chars)
            if self._repr is not None:
                text, is_cut, key = self._repr.look(value)
                return (_NO_REF, key, text, is_cut, None)
            if last is not None and last[4] is not None and last[4].holds(value):
                return last
            if kind in PLAIN_IDS:
                seen = self._look_plain(value, cls, last)
                if seen is not None:
                    return seen if seen is last else (*seen[:4], take(value, self._texts.dict_of_class))
            known = self._known.get(id(value))
            if known is not None and known[4] is not None and known[4].holds(value):
                return known
            return self._remember(value, self._look_any(value, kind, last))
        except RecursionError:
            raise  # the program's stack is at its end; no value's text needs any
        except Exception as exc:  # whatever a value does, the program goes on
            text = "<unprintable {}: {}>".format(class_name(cls), class_name(type(exc)))
            return (_NO_REF, text, text, False, None)

    def text(self, value: Any) -> Tuple[str, bool]:
        """The text of a value that is shown once, and whether it was cut."""
        seen = self.look(value)
        return seen[2], seen[3]

    def _look_long_atom(self, value: Any, kind: int, text: str, limit: int) -> Seen:
        key = (hash(text), len(text))
        if kind in LONG_IDS and len(value) > limit:
            return (value, key, cut_string(value, kind, limit), True, None)
        return (value, key, text[:limit] + "...", True, None)

    def _remember(self, value: Any, seen: Seen) -> Seen:
        """With a snapshot, for the next look at it: of this variable, or of another one that holds the same object."""
        if seen[4] is None:
            snapshot = take(value, self._texts.dict_of_class)
            if snapshot is None:
                return seen
            seen = (*seen[:4], snapshot)
        snapshot = seen[4]
        if snapshot is not None and snapshot.size <= SMALL:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[id(value)] = seen
        return seen

    # -- exact builtin containers of atoms, not deep and not huge

    def _look_plain(self, value: Any, cls: type, last: Optional[Seen]) -> Optional[Seen]:
        """None for all others."""
        if len(value) > MANY:
            return self._look_long(value) if cls is list or cls is tuple else None
        found = _plain(value, cls)
        if found is None:
            return None
        widest, kinds = found
        max_chars, max_items = self._max_chars, self._max_items
        if max_items is None or max(widest, len(value)) <= max_items:
            uncut = self._plain_text(value)
            if not self._is_deep_cut and len(uncut) <= max_chars:
                return (_NO_REF, uncut, uncut, False, None)
            key: Any = _short(uncut)
        elif kinds.isdisjoint(_UNMARKED_IDS):
            mark = marshal.dumps(value, 2)  # version 2: later ones write references, which equal values do not share
            key = (hash(mark), len(mark))
        else:
            key = _short(self._plain_text(value))
        if last is not None and last[1] == key:
            return last
        text, is_cut = self._few_items(value, cls, widest) or self._texts.cut(value)
        return (_NO_REF, key, text, is_cut, None)

    def _few_items(self, value: Any, cls: type, widest: int) -> Optional[Tuple[str, bool]]:
        """The text of a sequence or dict of which the first items are shown, where no other cut applies."""
        limit = self._max_items
        if limit is None or limit < 2 or widest > limit or len(value) <= limit or self._is_deep_cut:
            return None
        if cls is list or cls is tuple:
            shown = value[:limit]
        elif cls is dict:
            shown = dict(itertools.islice(value.items(), limit))
        else:
            return None
        text = self._plain_text(shown)
        text = "{}, ...(+{}){}".format(text[:-1], len(value) - limit, text[-1])
        return None if len(text) > self._max_chars else (text, True)

    def _look_long(self, value: Any) -> Optional[Seen]:
        """A long list or tuple of atoms: the text is taken from pieces, until it is long enough to be compared."""
        pieces: List[str] = []
        size = 0
        for start in range(0, len(value), MANY):
            part = list(value[start : start + MANY])
            if not are_atoms(part):
                return None
            pieces.append(self._plain_text(part)[1:-1])
            size += len(pieces[-1]) + 2
            if size > CAP:
                break
        key = (hash(("[" if type(value) is list else "(") + ", ".join(pieces)[: CAP - 1]), len(value))
        text, is_cut = self._texts.cut(value)
        return (_NO_REF, key, text, is_cut, None)

    def _plain_text(self, value: Any) -> str:
        try:
            return repr(value)
        except ValueError:  # an integer past the interpreter's digit limit
            return self._texts.write(value, is_cut=False, enough=CAP)[0]

    # -- everything else

    def _look_any(self, value: Any, kind: int, last: Optional[Seen]) -> Seen:
        if last is not None and type(last[1]) is GraphKey and self._texts.graph_key(value) == last[1]:
            return last
        is_builtin = kind in PLAIN_IDS
        enough = CAP if is_builtin else GRAPH_FROM
        uncut, is_over = self._texts.write(value, is_cut=False, enough=enough)
        if not is_builtin and len(uncut) > GRAPH_FROM:
            key: Any = self._texts.graph_key(value)
        elif len(uncut) > CAP:
            key = (hash(uncut[:CAP]), len(value))
        else:
            key = _short(uncut)
        if not is_over and len(uncut) <= min(self._max_chars, enough):
            return (_NO_REF, key, uncut, False, None)
        text, is_cut = self._texts.cut(value)
        return (_NO_REF, key, text, is_cut, None)


def _plain(value: Any, cls: type) -> Optional[Tuple[int, Set[int]]]:
    """The length of the longest container inside a plain value, and the types of all that it holds; None where it is
    not plain. Level by level: what is done for all items of a level at once is fast."""
    level: List[Any] = [value]
    kinds = {id(cls)}
    widest = total = 0
    for _ in range(PLAIN_DEPTH):
        dicts = [item for item in level if type(item) is dict]
        if dicts:
            level = [item for item in level if type(item) is not dict] + [item.values() for item in dicts] + dicts
        items = level[0] if len(level) == 1 else list(itertools.chain.from_iterable(level))
        found = set(map(id, map(type, items)))
        kinds |= found
        if found <= ATOM_IDS:
            return widest, kinds
        if not found <= _ATOM_OR_PLAIN_IDS:
            return None
        level = list(items) if found <= PLAIN_IDS else [item for item in items if id(type(item)) in PLAIN_IDS]
        sizes = list(map(len, level))
        widest = max(widest, max(sizes))
        total += sum(sizes)
        if total > MANY:
            return None
    return None


def _short(text: str) -> Any:
    return text if len(text) <= SHORT else (hash(text), len(text))

"""What a value was made of, to tell in a hurry that it is as it was.

    value --take--> Snapshot      later: Snapshot.holds(value)  ==>  its text is the one it had

A snapshot of a tree of plain containers and plain instances lists, node by node, the type, the keys and the atoms. The
same types with the same atom *objects* in the same places give the same text: no text is written to find out, and no
code of the program's runs. It keeps nothing but atoms alive; where a value is of another form, there is none.
"""

from __future__ import annotations

from operator import is_
from typing import Any, Callable, List, Optional, Tuple

from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .writer import ATOM_TEXT

ATOM_IDS = frozenset(ATOM_TEXT)
PLAIN_IDS = frozenset(map(id, (list, tuple, dict, set, frozenset)))
MAX_NODES = 200

DictOf = Callable[[type], Optional[Callable[[Any], Any]]]
"""Reads the `__dict__` of instances that show it and nothing else; None for other classes."""


_Node = Tuple[type, Optional[Callable[[Any], Any]], Optional[Tuple[Any, ...]], Any, bool]
"""The type, what reads its instances' `__dict__`, the keys, the parts (an atom as it is; `_BELOW` for a node of its
own, which comes later in the list; an `_Again` for one above), and whether those are atoms alone."""


class _Again:
    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


_BELOW = _Again(-1)


def are_atoms(items: Any) -> bool:
    return ATOM_IDS.issuperset(map(id, map(type, items)))


class Snapshot:
    __slots__ = ("_has_cycles", "_nodes", "size")

    def __init__(self, nodes: List[_Node], has_cycles: bool) -> None:
        self._nodes = nodes
        self._has_cycles = has_cycles
        self.size = sum(len(node[3]) for node in nodes)
        """How many objects it may keep alive."""

    def holds(self, root: Any) -> bool:
        """True: every text of `root` is what it was. False: perhaps not."""
        values = [root]
        for value, (kind, dict_of, keys, parts, has_only_atoms) in zip(values, self._nodes):  # noqa: B905
            if type(value) is not kind:
                return False
            items: Any = value if dict_of is None else dict_of(value)
            if keys is not None:
                if type(items) is not dict or len(items) != len(keys) or not all(map(is_, items, keys)):
                    return False
                items = items.values()
            if len(items) != len(parts):
                return False
            if has_only_atoms:
                if not all(map(is_, items, parts)):
                    return False
                continue
            for item, part in zip(items, parts):  # noqa: B905
                if item is part:
                    continue
                if part is _BELOW:
                    values.append(item)
                elif type(part) is not _Again or item is not values[part.index]:
                    return False
        return not self._has_cycles or len(set(map(id, values))) == len(values)


def take(root: Any, dict_of_class: DictOf) -> Optional[Snapshot]:
    """None where `root` holds anything but atoms, plain containers and plain instances, or too many of them."""
    values = [root]
    above = [-1]
    nodes: List[_Node] = []
    has_cycles = False
    for i, value in enumerate(values):  # grows as it goes
        kind = type(value)
        dict_of = None if id(kind) in PLAIN_IDS else dict_of_class(kind)
        if dict_of is None and id(kind) not in PLAIN_IDS:
            return None
        items = value if dict_of is None else dict_of(value)
        keys = None
        if dict_of is not None or kind is dict:
            if type(items) is not dict:
                return None
            keys = tuple(items)
            if not are_atoms(keys):
                return None
            items = items.values()
        held = tuple(items)
        if are_atoms(held):
            nodes.append((kind, dict_of, keys, held, True))
            continue
        parts: List[Any] = []
        for item in held:
            if id(type(item)) in ATOM_IDS:
                parts.append(item)
                continue
            index = i
            while index >= 0 and values[index] is not item:
                index = above[index]
            if index >= 0:
                has_cycles = True
                parts.append(_Again(index))
            else:
                parts.append(_BELOW)
                values.append(item)
                above.append(i)
        if len(values) > MAX_NODES:
            return None
        nodes.append((kind, dict_of, keys, parts, False))
    return Snapshot(nodes, has_cycles)

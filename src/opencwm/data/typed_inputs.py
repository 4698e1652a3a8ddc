"""Inputs made from types: a function's annotations, and the types of what it is known to be called with.

    annotations, known calls --strategies (hypothesis)--> values of each parameter --> "f([3, -1], key='ab')"

Where a parameter has been seen with values, new ones resemble them (signs, lengths, characters, keys of records); where
it is annotated, they are of that type, as `hypothesis.strategies.from_type` makes them, but small enough to read.
The same function and seed give the same calls, on every machine with the same version of hypothesis.

Left out: functions with a parameter of which nothing is known and which has no default, values that cannot be written
down as literals, and methods.
"""

import ast
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opencwm.data.literal_calls import MAX_CALL_CHARS, is_literal
from opencwm.data.literals import literal_text
from opencwm.errors import ConfigError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    Strategy = SearchStrategy[Any]

ENTROPY_BYTES = 512
"""What one call is made from."""
TRIES = 3
"""Attempts per wanted call."""
MAX_ITEMS = 5
SEQUENCES = frozenset("list List Sequence MutableSequence Iterable Collection Reversible Container".split())
MAPPINGS = frozenset("dict Dict Mapping MutableMapping".split())
SETS = frozenset("set Set AbstractSet MutableSet".split())
ANYTHING = frozenset("Any object Hashable T".split())


def typed_calls(source: str, name: str, known: Sequence[str], *, count: int, seed: str) -> list[str]:
    """At most `count` calls of the source's function `name`, all different and not among the known ones.

    Raises ConfigError where hypothesis is not installed.
    """
    if count == 0:
        return []
    function = next(
        (each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef) and each.name == name), None
    )
    arguments = None if function is None else _arguments(function, known)
    if arguments is None:
        return []
    found: dict[str, None] = {}
    seen = set(known)
    for args, named in _draw(arguments, count * TRIES, seed):
        texts = [*map(literal_text, args), *(f"{key}={literal_text(value)}" for key, value in named.items())]
        call = f"{name}({', '.join(texts)})"
        if len(call) <= MAX_CALL_CHARS and call not in seen and texts and _is_written(call):
            found[call] = None
            if len(found) == count:
                break
    return list(found)


def has_typed_inputs(function: ast.FunctionDef) -> bool:
    """Whether annotations alone suffice to make calls of it."""
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return any(each.annotation is not None for each in every) and _arguments(function, ()) is not None


def _is_written(call: str) -> bool:
    node = ast.parse(call, mode="eval").body
    return isinstance(node, ast.Call) and all(map(is_literal, [*node.args, *(each.value for each in node.keywords)]))


def _draw(arguments: "Strategy", count: int, seed: str) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Values from a strategy, each made of random bytes of our own: nothing else that hypothesis might use (its
    database, constants of loaded modules, the clock) has a say."""
    from hypothesis import HealthCheck, given, settings

    drawn: list[tuple[list[Any], dict[str, Any]]] = []

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(arguments)
    def collect(value: tuple[list[Any], dict[str, Any]]) -> None:
        drawn.append(value)

    rng = random.Random(f"{seed}/typed")
    for _ in range(count):
        collect.hypothesis.fuzz_one_input(rng.randbytes(ENTROPY_BYTES))  # type: ignore[attr-defined]
        yield from drawn
        drawn.clear()


def _arguments(function: ast.FunctionDef, known: Sequence[str]) -> "Strategy | None":
    """Positional and named arguments for the function; None where a parameter that it needs is unknown."""
    strategies = _strategies()
    places = [*function.args.posonlyargs, *function.args.args]
    num_needed = len(places) - len(function.args.defaults)
    seen = _seen(function, known)
    args: list[Strategy] = []
    named: dict[str, Strategy] = {}
    for index, place in enumerate(places):
        values = _values_of(place, seen)
        if index < num_needed:
            if values is None:
                return None
            args.append(values)
        elif values is not None and index >= len(function.args.posonlyargs):
            named[place.arg] = values
    needed: dict[str, Strategy] = {}
    for place, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        values = _values_of(place, seen)
        if values is None and default is None:
            return None
        if values is not None:
            (named if default is not None else needed)[place.arg] = values
    rest = None if function.args.vararg is None else _values_of(function.args.vararg, seen, is_rest=True)
    return strategies.arguments(args, rest, needed, named)


def _values_of(parameter: ast.arg, seen: Mapping[str, Sequence[Any]], *, is_rest: bool = False) -> "Strategy | None":
    strategies = _strategies()
    from_values = strategies.like(seen[parameter.arg]) if seen.get(parameter.arg) else None
    from_annotation = None if parameter.annotation is None else strategies.annotated(parameter.annotation)
    if from_annotation is None and is_rest and from_values is None:
        return None
    both = [each for each in (from_values, from_annotation) if each is not None]
    return strategies.any_of(both) if both else None


def _seen(function: ast.FunctionDef, known: Sequence[str]) -> dict[str, list[Any]]:
    """Parameter -> the literal values that the known calls give it."""
    places = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    rest = function.args.vararg.arg if function.args.vararg else None
    seen: dict[str, list[Any]] = {}
    for call in known:
        node = ast.parse(call, mode="eval").body
        if not isinstance(node, ast.Call):
            continue
        pairs = [(places[i] if i < len(places) else rest, arg) for i, arg in enumerate(node.args)]
        for name, value in [*pairs, *((each.arg, each.value) for each in node.keywords)]:
            try:
                seen.setdefault(name or "", []).append(ast.literal_eval(value))
            except (ValueError, TypeError, MemoryError, RecursionError):
                continue
    return seen


@cache
def _strategies() -> "_Strategies":
    return _Strategies()


class _Strategies:
    """What is built of hypothesis, which is imported only here: it takes a while."""

    def __init__(self) -> None:
        is_ours = "hypothesis" not in sys.modules
        try:
            from hypothesis import configuration
            from hypothesis import strategies as st
        except ImportError as exc:
            raise ConfigError("inputs made from types need hypothesis", fix="pip install 'opencwm[data]'") from exc
        if is_ours:  # else it keeps a table of characters in a folder of its own, wherever the user is
            folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
            configuration.set_hypothesis_home_dir(folder / "opencwm" / "hypothesis")
        self.st = st
        small, wide = st.integers(-10, 10), st.integers(-1000, 1000)
        words = st.text("abcdefgxyzABCZ0123456789 _-.,:/'\"()[]\n", max_size=12)
        self.atoms: dict[str, Strategy] = {
            "int": small | wide,
            "float": st.integers(-400, 400).map(lambda n: n / 4) | st.integers(-(10**6), 10**6).map(lambda n: n / 1000),
            "bool": st.booleans(),
            "str": words,
            "bytes": st.binary(max_size=10),
            "bytearray": st.binary(max_size=10).map(bytearray),
            "complex": st.builds(complex, small, small),
            "None": st.none(),
            "range": st.builds(range, st.integers(0, 12)),
        }
        self.atoms["NoneType"] = self.atoms["None"]
        self.atoms.update({name: self.atoms["str"] for name in ("AnyStr", "Text", "LiteralString")})
        self.atoms.update({name: self.atoms["int"] for name in ("SupportsIndex", "SupportsInt", "Integral")})
        self.atoms.update({name: small | self.atoms["float"] for name in ("Number", "Real", "SupportsFloat")})
        self.anything = small | words | st.lists(small, max_size=MAX_ITEMS)

    def any_of(self, strategies: Sequence["Strategy"]) -> "Strategy":
        return self.st.one_of(*strategies)

    def arguments(
        self,
        args: Sequence["Strategy"],
        rest: "Strategy | None",
        needed: Mapping[str, "Strategy"],
        optional: Mapping[str, "Strategy"],
    ) -> "Strategy":
        """(positional arguments, named arguments), the optional ones sometimes."""
        more = self.st.just([]) if rest is None else self.st.lists(rest, max_size=3)
        positional = self.st.builds(lambda first, last: [*first, *last], self.st.tuples(*args), more)
        return self.st.tuples(positional, self.st.fixed_dictionaries(dict(needed), optional=dict(optional)))

    # -- from annotations

    def annotated(self, node: ast.expr) -> "Strategy | None":
        """Values of an annotation; None where it is not understood. Nothing of it is evaluated."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                return self.annotated(ast.parse(node.value, mode="eval").body)
            except (SyntaxError, ValueError, RecursionError):
                return None
        if isinstance(node, ast.Constant) and node.value is None:
            return self.atoms["None"]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._union([node.left, node.right])
        if isinstance(node, ast.Subscript):
            items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return self._generic(_last_name(node.value), items)
        return self._named(_last_name(node))

    def _named(self, name: str) -> "Strategy | None":
        if name in self.atoms:
            return self.atoms[name]
        if name in ANYTHING:
            return self.anything
        any_items: list[ast.expr] = [ast.Name(id="Any")]
        if name in MAPPINGS:
            return self._generic(name, [ast.Name(id="str"), *any_items])
        if name in SEQUENCES | SETS | {"tuple", "Tuple", "frozenset", "FrozenSet"}:
            is_set = name in SETS or name.lower() == "frozenset"
            items: list[ast.expr] = [ast.Name(id="int")] if is_set else any_items
            return self._generic(name, [*items, ast.Constant(value=...)] if name.lower() == "tuple" else items)
        return None

    def _generic(self, name: str, items: Sequence[ast.expr]) -> "Strategy | None":
        if name == "Literal":
            values = [each.value for each in items if isinstance(each, ast.Constant)]
            return self.st.sampled_from(values) if values else None
        if name == "Annotated":
            return self.annotated(items[0])
        if name in ("Optional", "Union"):
            return self._union([*items, *([ast.Constant(value=None)] if name == "Optional" else [])])
        is_open = len(items) == 2 and isinstance(items[1], ast.Constant) and items[1].value is ...
        inner = [self.annotated(each) for each in (items[:1] if is_open else items)]
        parts = [each for each in inner if each is not None]
        if len(parts) < len(inner) or not parts:
            return None
        lists = self.st.lists(parts[0], max_size=MAX_ITEMS)
        if name.lower() == "tuple":
            return lists.map(tuple) if is_open else self.st.tuples(*parts)
        if name in MAPPINGS and len(parts) == 2:
            return self._mapping(*parts)
        if name in SETS or name.lower() == "frozenset":
            return _hashable(lists).map(frozenset if name.lower() == "frozenset" else set)
        return lists if name in SEQUENCES else None

    def _mapping(self, keys: "Strategy", values: "Strategy") -> "Strategy":
        pairs = self.st.lists(self.st.tuples(keys, values), max_size=MAX_ITEMS)
        return pairs.filter(lambda pairs: all(map(_is_hashable, (key for key, _ in pairs)))).map(dict)

    def _union(self, nodes: Sequence[ast.expr]) -> "Strategy | None":
        """Of those alternatives that are understood: the others are left out."""
        parts = [part for part in map(self.annotated, nodes) if part is not None]
        return self.any_of(parts) if parts else None

    # -- from values

    def like(self, values: Sequence[Any]) -> "Strategy | None":
        """Values of the types of the given ones, of about their size."""
        kinds = dict.fromkeys(type(value) for value in values)
        parts = [self._like_one(kind, [value for value in values if type(value) is kind]) for kind in kinds]
        known = [part for part in parts if part is not None]
        return self.any_of(known) if known else None

    def _like_one(self, kind: type, values: Sequence[Any]) -> "Strategy | None":
        st = self.st
        if kind is int:
            most = max(10, 2 * max(map(abs, values)))
            integers: Strategy = st.integers(0 if min(values) >= 0 else -most, most)
            return integers
        if kind is float and min(values) >= 0:
            floats: Strategy = self.atoms["float"].map(abs)
            return floats
        if kind in (str, bytes):
            return self._like_text(kind, values)
        if kind is dict:
            return self._like_dict(values)
        if kind in (list, set, frozenset, tuple):
            size = max(map(len, values))
            if kind is tuple and len(set(map(len, values))) == 1 and 0 < size <= MAX_ITEMS:
                return self._record([[value[at] for value in values] for at in range(size)])
            items = self.like([item for value in values for item in value])
            lists = st.just([]) if items is None else st.lists(items, max_size=max(3, min(10, size + 2)))
            made: Strategy = (lists if kind in (list, tuple) else _hashable(lists)).map(kind)
            return made
        return self.atoms.get(kind.__name__)

    def _record(self, columns: Sequence[Sequence[Any]]) -> "Strategy | None":
        """Tuples of one value like those of each column."""
        parts = [part for part in map(self.like, columns) if part is not None]
        return self.st.tuples(*parts) if len(parts) == len(columns) else None

    def _like_text(self, kind: type, values: Sequence[Any]) -> "Strategy":
        """Of the characters that were seen, or what was seen, put together anew."""
        st = self.st
        size = min(40, 2 + max(map(len, values)))
        letters = sorted(set().union(*values)) or sorted("ab" if kind is str else b"ab")
        join: Callable[[list[Any]], Any] = "".join if kind is str else bytes
        made: Strategy = st.lists(st.sampled_from(letters), max_size=size).map(join)
        pieces = sorted({value[: len(value) // 2] for value in values} | {value[len(value) // 2 :] for value in values})
        both: Strategy = st.tuples(st.sampled_from(pieces), st.sampled_from(pieces)).map(lambda pair: pair[0] + pair[1])
        return made | both

    def _like_dict(self, values: Sequence[dict[Any, Any]]) -> "Strategy | None":
        """Records keep their keys; other dicts keep the types of both."""
        st = self.st
        shapes = {tuple(value) for value in values}
        if len(shapes) == 1 and 0 < len(values[0]) <= MAX_ITEMS and all(isinstance(key, str) for key in values[0]):
            names = list(values[0])
            fields = self._record([[value[name] for value in values] for name in names])
            return None if fields is None else fields.map(lambda items: dict(zip(names, items, strict=True)))
        keys = self.like([key for value in values for key in value])
        items = self.like([item for value in values for item in value.values()])
        return st.just({}) if keys is None or items is None else self._mapping(keys, items)


def _hashable(lists: "Strategy") -> "Strategy":
    return lists.filter(lambda items: all(map(_is_hashable, items)))


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _last_name(node: ast.expr) -> str:
    """`typing.List` -> `List`; "" for what is no name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""

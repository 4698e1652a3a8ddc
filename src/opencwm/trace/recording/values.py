"""What a value looks like in a trace: text, written without running any code of the program.

    Writer(options).show(value) -> Shown(text, key)

`text` is what the trace holds, cut to its limits; `key` stands for the uncut text, so that a change beyond a cut is
still a change. Builtin types are written as `repr` writes them, instances of the program's classes from their
attributes, everything else by its class. No address and no counter ever appears. Nothing here calls a `__repr__`, a
property or a `__getattribute__` of the program's, except where `values="repr"` asks for it.
"""

import collections
import datetime
import decimal
import enum
import fractions
import hashlib
import pathlib
import sys
import types
import uuid
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

UNCUT_CHARS = 1000000
"""Past this many characters the comparison of uncut texts stops."""
ATOMS = frozenset({int, bool, type(None), float, complex, str, bytes})
CONTAINERS = frozenset({list, tuple, dict, set, frozenset})

_get_mro = type.__dict__["__mro__"].__get__
_get_type_dict = type.__dict__["__dict__"].__get__
_get_type_name = type.__dict__["__name__"].__get__


class Shown(NamedTuple):
    text: str
    key: object
    """Equal for two values exactly when their uncut texts are equal."""


class _Full(Exception):
    """The limit of the text being written is reached."""


class Cuts(NamedTuple):
    max_depth: Optional[int]
    max_items: Optional[int]
    max_value_chars: Optional[int]


UNCUT = Cuts(None, None, None)


class Writer:
    def __init__(self, mode: str, cuts: Cuts) -> None:
        self.mode = mode
        self.cuts = cuts

    def show(self, value: Any) -> Shown:
        """Text and key of one value; never raises."""
        kind = type(value)
        if kind in ATOMS or (kind in CONTAINERS and _is_small(value, self.cuts)):
            try:
                text = repr(value)
            except ValueError:  # an integer past the interpreter's limit of digits
                text = ""
            limit = self.cuts.max_value_chars
            if text and (limit is None or len(text) <= limit):
                return Shown(text, text)
        if self.mode == "repr":
            return self._by_repr(value)
        written = _Text(self.cuts, limit=None)
        text = written.of(value)
        if not written.cut:
            return Shown(text, text)
        return Shown(text, _key(value))

    def _by_repr(self, value: Any) -> Shown:
        try:
            text = repr(value)
        except Exception as exc:  # the program's own __repr__ may raise anything
            text = "<unprintable {}: {}>".format(class_name(type(value)), class_name(type(exc)))
        if type(text) is not str:
            text = str.__str__(text)
        if text == "..":
            text = "<{} ..>".format(class_name(type(value)))
        limit = self.cuts.max_value_chars
        if limit is None or len(text) <= limit:
            return Shown(text, text)
        return Shown(text[:limit] + "...", _hash(text, len(text)))


def _is_small(value: Any, cuts: Cuts) -> bool:
    """Whether a container holds few atoms and nothing else, so that `repr` is safe and no cut can apply."""
    if len(value) > 8 and cuts.max_items is not None and len(value) > cuts.max_items:
        return False
    if cuts.max_depth is not None and cuts.max_depth < 2:
        return False
    if type(value) is dict:
        return all(type(k) in ATOMS and type(v) in ATOMS for k, v in value.items())
    for item in value:
        if type(item) not in ATOMS:
            return False
    return True


def _key(value: Any) -> object:
    text = _Text(UNCUT, limit=UNCUT_CHARS).of(value)
    length = len(value) if type(value) in CONTAINERS or type(value) in ATOMS and hasattr(value, "__len__") else -1
    return _hash(text, length)


def _hash(text: str, length: int) -> Tuple[bytes, int]:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), length


def class_name(cls: type) -> str:
    return str(_get_type_name(cls))


class _Text:
    """One text being written; `cut` says whether anything was left out."""

    def __init__(self, cuts: Cuts, limit: Optional[int]) -> None:
        self.cuts = cuts
        self.limit = limit
        self.cut = False
        self._parts = []  # type: List[str]
        self._size = 0
        self._open = set()  # type: set

    def of(self, value: Any) -> str:
        try:
            self._write(value, 0)
        except _Full:
            pass
        except RecursionError:
            self._parts.append("...")
            self.cut = True
        text = "".join(self._parts)
        most = self.cuts.max_value_chars
        if self.limit is not None:
            return text[: self.limit]
        # the cut of one string may end past the limit by its quotes and its mark: that is not a second cut
        if most is not None and len(text) > most and not (type(value) in (str, bytes) and self.cut):
            self.cut = True
            text = text[:most] + "..."
        return text

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._size += len(text)
        if self.limit is not None and self._size >= self.limit:
            raise _Full
        most = self.cuts.max_value_chars
        if most is not None and self._size > 2 * most + 64 and len(self._open) > 0:
            self.cut = True  # far past what will be shown
            raise _Full

    def _write(self, value: Any, depth: int) -> None:
        try:
            kind = type(value)
            writer = _WRITERS.get(kind)
            if writer is not None:
                writer(self, value, depth)
            else:
                self._other(kind, value, depth)
        except (_Full, RecursionError):
            raise
        except Exception as exc:  # a half-built or lying object: the trace says so and goes on
            self._put("<unprintable {}: {}>".format(class_name(type(value)), class_name(type(exc))))

    # Atoms

    def _repr(self, value: Any, depth: int) -> None:
        self._put(repr(value))

    def _int(self, value: int, depth: int) -> None:
        try:
            self._put(int.__repr__(value))
        except ValueError:
            self._put(hex(value))

    def _string(self, value: Any, depth: int) -> None:
        most = self.cuts.max_value_chars
        if most is not None and len(value) > most:
            self.cut = True
            self._put("{}...(+{})".format(repr(value[:most]), len(value) - most))
        else:
            self._put(repr(value))

    # Containers

    def _items(self, items: Iterable[Any], count: int, depth: int, write: Callable[[Any, int], None]) -> None:
        most = self.cuts.max_items
        for i, item in enumerate(items):
            if most is not None and i >= most:
                self.cut = True
                self._put(", ...(+{})".format(count - most) if i else "...(+{})".format(count))
                return
            if i:
                self._put(", ")
            write(item, depth)

    def _bracketed(
        self, value: Any, depth: int, left: str, right: str, items: Iterable[Any], count: int,
        write: Optional[Callable[[Any, int], None]] = None, again: str = "...",
    ) -> None:  # fmt: skip
        if id(value) in self._open:
            self._put(left + again + right)
            return
        if self.cuts.max_depth is not None and depth >= self.cuts.max_depth and count:
            self.cut = True
            self._put("{}...(+{}){}".format(left, count, right))
            return
        self._open.add(id(value))
        try:
            self._put(left)
            self._items(items, count, depth + 1, write or self._write)
            self._put(right)
        finally:
            self._open.discard(id(value))

    def _pair(self, pair: Tuple[Any, Any], depth: int) -> None:
        self._write(pair[0], depth)
        self._put(": ")
        self._write(pair[1], depth)

    def _list(self, value: List[Any], depth: int) -> None:
        self._bracketed(value, depth, "[", "]", list.__iter__(value), list.__len__(value))

    def _tuple(self, value: Tuple[Any, ...], depth: int) -> None:
        count = tuple.__len__(value)
        self._bracketed(value, depth, "(", ",)" if count == 1 else ")", tuple.__iter__(value), count)

    def _dict(self, value: Dict[Any, Any], depth: int) -> None:
        self._bracketed(value, depth, "{", "}", dict.items(value), dict.__len__(value), self._pair)

    def _set(self, value: Any, depth: int) -> None:
        if not set.__len__(value):
            self._put("set()")
        else:
            self._bracketed(value, depth, "{", "}", set.__iter__(value), set.__len__(value))

    def _frozenset(self, value: Any, depth: int) -> None:
        count = frozenset.__len__(value)
        if not count:
            self._put("frozenset()")
        else:
            self._bracketed(value, depth, "frozenset({", "})", frozenset.__iter__(value), count)

    def _deque(self, value: Any, depth: int) -> None:
        base = collections.deque
        limit = base.maxlen.__get__(value)  # type: ignore[attr-defined]
        end = "])" if limit is None else "], maxlen={})".format(limit)
        self._bracketed(value, depth, "deque([", end, base.__iter__(value), base.__len__(value))

    def _ordered_dict(self, value: Any, depth: int) -> None:
        count = dict.__len__(value)
        items = collections.OrderedDict.items(value)
        if not count:
            self._put("OrderedDict()")
        elif sys.version_info >= (3, 12):
            self._bracketed(value, depth, "OrderedDict({", "})", items, count, self._pair)
        else:
            self._bracketed(value, depth, "OrderedDict([", "])", items, count)

    def _default_dict(self, value: Any, depth: int) -> None:
        self._put("defaultdict(")
        factory = collections.defaultdict.default_factory.__get__(value)  # type: ignore[attr-defined]
        self._write(factory, depth)
        self._put(", ")
        self._dict(value, depth)
        self._put(")")

    def _counter(self, value: Any, depth: int) -> None:
        items = list(dict.items(value))
        if not items:
            self._put("Counter()")
            return
        if all(type(count) in (int, bool, float) for _, count in items):
            items.sort(key=lambda pair: pair[1], reverse=True)
        self._bracketed(value, depth, "Counter({", "})", items, len(items), self._pair)

    def _view(self, value: Any, depth: int) -> None:
        name = class_name(type(value)).replace("odict_", "odict_")
        self._bracketed(value, depth, name + "([", "])", list(value), len(value))

    # Things with a name

    def _function(self, value: Any, depth: int) -> None:
        self._put("<function {}>".format(value.__qualname__))

    def _method(self, value: Any, depth: int) -> None:
        self._put("<function {}>".format(getattr(value.__func__, "__qualname__", "?")))

    def _class(self, value: type, depth: int) -> None:
        self._put("<class {}>".format(class_name(value)))

    def _module(self, value: Any, depth: int) -> None:
        self._put("<module {}>".format(types.ModuleType.__getattribute__(value, "__name__")))

    def _builtin(self, value: Any, depth: int) -> None:
        self._put("<built-in {}>".format(value.__name__))

    # Everything else

    def _other(self, kind: type, value: Any, depth: int) -> None:
        mro = _get_mro(kind)
        if type in mro:
            self._class(value, depth)
            return
        if enum.Enum in mro and "__repr__" not in _user_dicts(mro, enum.Enum):
            self._put("<{}.{}: ".format(class_name(kind), value._name_))
            self._write(value._value_, depth)
            self._put(">")
            return
        if BaseException in mro:
            self._put(class_name(kind))
            self._tuple_args(value, depth)
            return
        if tuple in mro and "_fields" in _all_names(mro) and len(mro) <= 4:
            self._named_tuple(kind, value, depth)
            return
        if any(issubclass_of(mro, base) for base in (pathlib.PurePath,)):
            self._put("{}({!r})".format(class_name(kind), value.as_posix()))
            return
        heap = [cls for cls in mro if is_python_class(cls)]
        if not heap:
            self._put("<{}>".format(class_name(kind)))
            return
        if "__dataclass_fields__" in _all_names(mro) and _generated_repr(mro):
            self._dataclass(kind, value, depth)
            return
        self._instance(kind, mro, value, depth)

    def _tuple_args(self, value: BaseException, depth: int) -> None:
        args = BaseException.args.__get__(value)  # type: ignore[attr-defined]
        self._bracketed(value, depth, "(", ")", args, len(args))

    def _named_tuple(self, kind: type, value: Any, depth: int) -> None:
        pairs = list(zip(kind._fields, tuple.__iter__(value)))  # type: ignore[attr-defined]
        self._bracketed(value, depth, class_name(kind) + "(", ")", pairs, len(pairs), self._field)

    def _field(self, pair: Tuple[str, Any], depth: int) -> None:
        self._put(pair[0] + "=")
        self._write(pair[1], depth)

    def _dataclass(self, kind: type, value: Any, depth: int) -> None:
        fields = [f.name for f in kind.__dataclass_fields__.values() if f.repr and f._field_type.name == "_FIELD"]  # type: ignore[attr-defined]
        attributes = dict(_attributes(_get_mro(kind), value))
        pairs = [(name, attributes[name]) for name in fields if name in attributes]
        qualname = type.__dict__["__qualname__"].__get__(kind)
        self._bracketed(value, depth, qualname + "(", ")", pairs, len(pairs), self._field)

    def _instance(self, kind: type, mro: Tuple[type, ...], value: Any, depth: int) -> None:
        name = class_name(kind)
        if id(value) in self._open:
            self._put("<{} ...>".format(name))
            return
        attributes = list(_attributes(mro, value))
        base = next((cls for cls in mro if cls in _WRITERS and cls is not object), None)
        if self.cuts.max_depth is not None and depth >= self.cuts.max_depth and attributes:
            self.cut = True
            self._put("<{} ...(+{})>".format(name, len(attributes)))
            return
        self._put("<" + name)
        if base is not None:
            self._put(" ")
            _WRITERS[base](self, value, depth)
        self._open.add(id(value))
        try:
            most = self.cuts.max_items
            for i, pair in enumerate(attributes):
                if most is not None and i >= most:
                    self.cut = True
                    self._put(" ...(+{})".format(len(attributes) - most))
                    break
                self._put(" ")
                self._field(pair, depth + 1)
        finally:
            self._open.discard(id(value))
        self._put(">")


def issubclass_of(mro: Tuple[type, ...], base: type) -> bool:
    return base in mro


def is_python_class(cls: type) -> bool:
    """Whether a class was made by a class statement (it has a place for instances' attributes or its own module)."""
    return "__module__" in _get_type_dict(cls) and bool(cls.__flags__ & (1 << 9))


def _user_dicts(mro: Tuple[type, ...], until: type) -> Dict[str, Any]:
    found = {}  # type: Dict[str, Any]
    for cls in mro[: mro.index(until)]:
        found.update(_get_type_dict(cls))
    return found


def _all_names(mro: Tuple[type, ...]) -> set:
    return {name for cls in mro for name in _get_type_dict(cls)}


def _generated_repr(mro: Tuple[type, ...]) -> bool:
    """Whether the `__repr__` that an instance has was written by the dataclass decorator."""
    for cls in mro:
        method = _get_type_dict(cls).get("__repr__")
        if method is not None:
            inner = getattr(method, "__wrapped__", None)
            return inner is not None and "__create_fn__" in getattr(inner, "__qualname__", "")
    return False


def _attributes(mro: Tuple[type, ...], value: Any) -> Iterator[Tuple[str, Any]]:
    """`__dict__` in its order, then bound slots, base first; read through the types' own descriptors."""
    for cls in mro:
        descriptor = _get_type_dict(cls).get("__dict__")
        if isinstance(descriptor, types.GetSetDescriptorType):
            yield from dict(descriptor.__get__(value)).items()
            break
    for cls in reversed(mro):
        for name, member in _get_type_dict(cls).items():
            if isinstance(member, types.MemberDescriptorType) and name not in ("__dict__", "__weakref__"):
                if not is_python_class(cls):
                    continue
                try:
                    yield name, member.__get__(value)
                except AttributeError:  # an unbound slot
                    continue


_WRITERS = {
    type(None): _Text._repr, bool: _Text._repr, int: _Text._int, float: _Text._repr, complex: _Text._repr,
    str: _Text._string, bytes: _Text._string, bytearray: _Text._repr, range: _Text._repr,
    type(Ellipsis): _Text._repr, type(NotImplemented): _Text._repr,
    list: _Text._list, tuple: _Text._tuple, dict: _Text._dict, set: _Text._set, frozenset: _Text._frozenset,
    collections.deque: _Text._deque, collections.OrderedDict: _Text._ordered_dict,
    collections.defaultdict: _Text._default_dict, collections.Counter: _Text._counter,
    type({}.keys()): _Text._view, type({}.values()): _Text._view, type({}.items()): _Text._view,
    decimal.Decimal: _Text._repr, fractions.Fraction: _Text._repr, uuid.UUID: _Text._repr,
    datetime.date: _Text._repr, datetime.time: _Text._repr, datetime.datetime: _Text._repr,
    datetime.timedelta: _Text._repr,
    types.FunctionType: _Text._function, types.MethodType: _Text._method, type: _Text._class,
    types.ModuleType: _Text._module, types.BuiltinFunctionType: _Text._builtin,
}  # type: Dict[type, Callable[[_Text, Any, int], None]]  # fmt: skip

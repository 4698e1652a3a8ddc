"""The one table of how values are taken apart: for each type, what its text opens with, holds and closes with.

    value --Handler--> (open, children, close) --writer.py--> text

Nothing here runs user code: types are found by identity, contents are read through the builtin types' own slots.
Not here: instances of the program's classes (instances.py); cuts, cycles and nesting (writer.py).
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import itertools
import operator
import pathlib
import types
import uuid
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Tuple

from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]

Child = Tuple[str, Any]
"""What is written before a child, and the child."""


Shape = Tuple[str, Iterator[Child], str, int, str]
"""What the text opens with, the children, what it closes with, how many items there are (shown or not), and what is
written when the value is met inside itself. A plain tuple: one is made for every container of every value."""


class As:
    """A value of a subclass, to be written as its builtin base would be."""

    __slots__ = ("handler", "value")

    def __init__(self, handler: Handler, value: Any) -> None:
        self.handler = handler
        self.value = value


Handler = Callable[[Any, Optional[int]], "Shape | str"]
"""Takes a value apart; at most so many items are produced (None: all)."""

mro_of: Callable[[type], Tuple[type, ...]] = type.__dict__["__mro__"].__get__
class_name: Callable[[type], str] = type.__dict__["__name__"].__get__
qualified_name: Callable[[type], str] = type.__dict__["__qualname__"].__get__
namespace_of: Callable[[type], Dict[str, Any]] = type.__dict__["__dict__"].__get__


def inherits(mro: Tuple[type, ...], base: type) -> bool:
    """By identity: `in` would ask a metaclass of the program's."""
    return any(cls is base for cls in mro)


# -- atoms: immutable, no children ------------------------------------------------------------------------------------


def int_text(value: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:  # past the interpreter's digit limit
        return hex(int.__index__(value)) if type(value) is int else int.__format__(value, "#x")


ATOMS: Dict[type, Callable[[Any], str]] = {
    int: int_text,
    str: str.__repr__,
    float: float.__repr__,
    bool: bool.__repr__,
    type(None): repr,
    bytes: bytes.__repr__,
    complex: complex.__repr__,
    type(Ellipsis): repr,
    type(NotImplemented): repr,
}


# -- builtin containers -----------------------------------------------------------------------------------------------


def _commas(items: Iterable[Any]) -> Iterator[Child]:
    return zip(itertools.chain(("",), itertools.repeat(", ")), items)  # noqa: B905


def _pairs(items: Iterable[Tuple[Any, Any]]) -> Iterator[Child]:
    separator = ""
    for key, value in items:
        yield separator, key
        yield ": ", value
        separator = ", "


def _sequence(
    open: str, close: str, again: str, iterate: Callable[[Any], Iterable[Any]], length: Callable[[Any], int]
) -> Handler:
    def handler(value: Any, limit: Optional[int]) -> Shape:
        num_items = length(value)
        items = iterate(value)
        if limit is not None and num_items > limit:
            items = itertools.islice(items, limit)
        return (open, _commas(items), close, num_items, again)

    return handler


def _tuple(value: Any, limit: Optional[int]) -> Shape:
    num_items = tuple.__len__(value)
    items = itertools.islice(tuple.__iter__(value), limit)
    return ("(", _commas(items), ",)" if num_items == 1 else ")", num_items, "(...)")


def _set(value: Any, limit: Optional[int]) -> Shape | str:
    num_items = set.__len__(value)
    if not num_items:
        return "set()"
    return ("{", _commas(itertools.islice(set.__iter__(value), limit)), "}", num_items, "...")


def _frozenset(value: Any, limit: Optional[int]) -> Shape | str:
    num_items = frozenset.__len__(value)
    if not num_items:
        return "frozenset()"
    items = itertools.islice(frozenset.__iter__(value), limit)
    return ("frozenset({", _commas(items), "})", num_items, "frozenset(...)")


def _dict(value: Any, limit: Optional[int]) -> Shape:
    return ("{", _pairs(itertools.islice(dict.items(value), limit)), "}", dict.__len__(value), "{...}")


def _ordered_items(value: Any) -> Iterable[Tuple[Any, Any]]:
    """Items in the order of an OrderedDict. To walk it is to hash its keys: not where that is the program's code."""
    if not all(_is_plain_key(key) for key in dict.keys(value)):
        return dict.items(value)
    return ((key, dict.__getitem__(value, key)) for key in collections.OrderedDict.__iter__(value))


def _is_plain_key(key: Any) -> bool:
    if type(key) is tuple:
        return all(any(type(item) is atom for atom in ATOMS) for item in key)
    return any(type(key) is atom for atom in ATOMS)


def _ordered_dict(value: Any, limit: Optional[int]) -> Shape | str:
    num_items = dict.__len__(value)
    if not num_items:
        return "OrderedDict()"
    items = itertools.islice(_ordered_items(value), limit)
    if _ORDERED_DICT_AS_PAIRS:
        pairs = [As(_tuple, item) for item in items]
        return ("OrderedDict([", _commas(pairs), "])", num_items, "...")
    return ("OrderedDict({", _pairs(items), "})", num_items, "...")


_ORDERED_DICT_AS_PAIRS = "[" in repr(collections.OrderedDict(a=1))  # up to 3.11

_default_factory = collections.defaultdict.__dict__["default_factory"].__get__


def _defaultdict(value: Any, limit: Optional[int]) -> Shape:
    factory = _default_factory(value)
    if factory is None:
        name = "None"
    elif issubclass(type(factory), type):
        name = class_name(factory)
    elif type(factory) is types.FunctionType:
        name = factory.__name__
    else:
        name = "<{}>".format(class_name(type(factory)))
    items = itertools.islice(dict.items(value), limit)
    return ("defaultdict({}, {{".format(name), _pairs(items), "})", dict.__len__(value), "defaultdict(...)")


_PLAIN_NUMBERS = {id(int), id(float), id(bool)}


def _counter(value: Any, limit: Optional[int]) -> Shape | str:
    items = list(dict.items(value))
    if not items:
        return "Counter()"
    if all(id(type(count)) in _PLAIN_NUMBERS for _, count in items):
        items.sort(key=operator.itemgetter(1), reverse=True)
    return ("Counter({", _pairs(items[:limit]), "})", len(items), "Counter(...)")


def _deque(value: Any, limit: Optional[int]) -> Shape:
    maxlen = collections.deque.__dict__["maxlen"].__get__(value)
    close = "])" if maxlen is None else "], maxlen={})".format(maxlen)
    items = itertools.islice(collections.deque.__iter__(value), limit)
    return ("deque([", _commas(items), close, collections.deque.__len__(value), "[...]")


def _view(name: str, view_type: Any) -> Handler:
    def handler(value: Any, limit: Optional[int]) -> Shape:
        items = itertools.islice(view_type.__iter__(value), limit)
        return (name + "([", _commas(items), "])", view_type.__len__(value), "...")

    return handler


def _range(value: range, limit: Optional[int]) -> Shape:
    parts = [value.start, value.stop] + ([value.step] if value.step != 1 else [])
    return ("range(", _commas(parts), ")", 0, "...")


def _slice(value: slice, limit: Optional[int]) -> Shape:
    return ("slice(", _commas((value.start, value.stop, value.step)), ")", 0, "...")


def _bytearray(value: Any, limit: Optional[int]) -> str:
    return bytearray.__repr__(bytearray(memoryview(value)))  # quotes as no bytes object does


# -- values of the standard library -----------------------------------------------------------------------------------


def _with_tzinfo(base: Any, *field_names: str) -> Handler:
    """Dates and times whose time zone may be an object of the program's own."""
    fields = [getattr(base, name).__get__ for name in field_names]
    tzinfo_of = base.tzinfo.__get__
    fold_of = base.fold.__get__

    def handler(value: Any, limit: Optional[int]) -> Shape | str:
        naive = base(*[get(value) for get in fields], fold=fold_of(value))
        tzinfo = tzinfo_of(value)
        if tzinfo is None:
            return base.__repr__(naive)  # type: ignore[no-any-return]
        return (base.__repr__(naive)[:-1] + ", tzinfo=", iter((("", tzinfo),)), ")", 0, "...")

    return handler


_CLOCK = ("hour", "minute", "second", "microsecond")
_uuid_int = uuid.UUID.__dict__["int"].__get__


def _uuid(value: Any, limit: Optional[int]) -> str:
    digits = "{:032x}".format(_uuid_int(value))
    return "UUID('{}')".format("-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))


def by_repr(own_repr: Callable[[Any], str]) -> Handler:
    """For types whose `__repr__` is the standard library's and touches nothing but the value itself."""
    return lambda value, limit: own_repr(value)


def _by_own_text(base: Any) -> Handler:
    return by_repr(base.__repr__)


_numerator = fractions.Fraction.__dict__["_numerator"].__get__
_denominator = fractions.Fraction.__dict__["_denominator"].__get__


def _fraction(value: Any, limit: Optional[int]) -> Shape:
    return ("Fraction(", _commas((_numerator(value), _denominator(value))), ")", 0, "...")


_exception_args = BaseException.__dict__["args"].__get__


def exception(value: BaseException, limit: Optional[int]) -> Shape:
    args = _exception_args(value)
    items = itertools.islice(tuple.__iter__(args), limit)
    name = class_name(type(value))
    return (name + "(", _commas(items), ")", tuple.__len__(args), name + "(...)")


# -- things named, not shown ------------------------------------------------------------------------------------------


def _function(value: Any, limit: Optional[int]) -> str:
    return "<function {}>".format(value.__qualname__)


def _built_in(value: Any, limit: Optional[int]) -> str:
    return "<built-in {}>".format(value.__name__)


def a_class(value: Any, limit: Optional[int]) -> str:
    return "<class {}>".format(class_name(value))


_module_dict: Callable[[Any], Any] = vars(types.ModuleType)["__dict__"].__get__


def module(value: Any, limit: Optional[int]) -> str:
    name = (_module_dict(value) or {}).get("__name__")
    return "<module {}>".format(name if type(name) is str else class_name(type(value)))


def nameless(value: Any, limit: Optional[int]) -> str:
    return "<{}>".format(class_name(type(value)))


def _as(value: As, limit: Optional[int]) -> Shape | str:
    return value.handler(value.value, limit)


# -- the table --------------------------------------------------------------------------------------------------------

_ODICT: Any = collections.OrderedDict()
BUILTIN: Dict[type, Handler] = {
    list: _sequence("[", "]", "[...]", list.__iter__, list.__len__),
    tuple: _tuple,
    dict: _dict,
    set: _set,
    frozenset: _frozenset,
    collections.deque: _deque,
    collections.OrderedDict: _ordered_dict,
    collections.defaultdict: _defaultdict,
    collections.Counter: _counter,
    bytearray: _bytearray,
    decimal.Decimal: _by_own_text(decimal.Decimal),
    fractions.Fraction: _fraction,
    datetime.datetime: _with_tzinfo(datetime.datetime, "year", "month", "day", *_CLOCK),
    datetime.date: _by_own_text(datetime.date),
    datetime.time: _with_tzinfo(datetime.time, *_CLOCK),
    datetime.timedelta: _by_own_text(datetime.timedelta),
    uuid.UUID: _uuid,
    BaseException: exception,
}
"""Types that may be subclassed: a subclass shows its base's text first. Most specific first where one is another's."""

FINAL: Dict[type, Handler] = {
    range: _range,
    slice: _slice,
    type({}.keys()): _view("dict_keys", type({}.keys())),
    type({}.values()): _view("dict_values", type({}.values())),
    type({}.items()): _view("dict_items", type({}.items())),
    type(_ODICT.keys()): _view("odict_keys", type(_ODICT.keys())),
    type(_ODICT.values()): _view("odict_values", type(_ODICT.values())),
    type(_ODICT.items()): _view("odict_items", type(_ODICT.items())),
    datetime.timezone: _by_own_text(datetime.timezone),
    types.FunctionType: _function,
    types.BuiltinFunctionType: _built_in,
    type(str.upper): _built_in,
    type(str.__add__): _built_in,
    type("".__add__): _built_in,
    type(dict.__dict__["fromkeys"]): _built_in,
    As: _as,
}
for _path in (
    pathlib.PurePath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    pathlib.Path,
    pathlib.PosixPath,
    pathlib.WindowsPath,
):
    FINAL[_path] = _by_own_text(_path)

"""How instances are taken apart: as the `__repr__` generated for enums, named tuples and dataclasses, else by state.

    class --handler_of--> Handler      from the table (shapes.py), by a base class, or by `__dict__` and slots

State is read through the types' own descriptors, never through a `__getattribute__` or a property of the program's.
"""

from __future__ import annotations

import _io  # type: ignore[import-not-found,unused-ignore]
import collections
import dataclasses
import enum
import functools
import itertools
import sys
import threading
import types
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .shapes import (
    BUILTIN,
    FINAL,
    As,
    Child,
    Handler,
    Shape,
    a_class,
    by_repr,
    class_name,
    exception,
    inherits,
    int_text,
    module,
    mro_of,
    nameless,
    namespace_of,
    qualified_name,
)


class Form(NamedTuple):
    """What a handler does, in the `form` attribute of those that `native.c` can do as well."""

    kind: str
    """instance, dataclass, named tuple or enum."""
    opened: str
    fields: Tuple[str, ...] = ()
    """Of a dataclass or named tuple, in the order of its text."""
    state: Optional[Callable[[Any], Any]] = None
    """A `_state_reader`, with its `dict_of` and `slots`."""
    base: Optional[type] = None
    """Of the builtin types, whose text comes first."""


_THREAD_STATE = frozenset(threading.Thread(name="").__dict__)


def _thread(value: Any, limit: Optional[int]) -> Shape:
    """What the program has put on it: the rest is the interpreter's, with numbers that differ from run to run."""
    shape = _instance_handler(type(value), mro_of(type(value)))(value, None)
    assert not isinstance(shape, str)
    opened, children, closed, _, again = shape
    own = [(label, item) for label, item in children if label[1:-1] not in _THREAD_STATE]
    return (opened, iter(own[:limit]), closed, len(own), again)


_BY_BASE: Tuple[Tuple[Any, Handler], ...] = (
    (type, a_class),
    (types.ModuleType, module),
    (threading.Thread, _thread),
    (BaseException, exception),
    (_io._IOBase, nameless),  # files: their `__dict__` is none of the program's doing
    (type(functools.lru_cache(lambda: None)), nameless),
)
"""Classes whose subclasses are written alike."""


_HARNESS = frozenset(
    (
        ("unittest.case", "_Outcome"),
        ("_pytest.nodes", "Node"),
        ("_pytest.config", "Config"),
        ("_pytest.fixtures", "FixtureRequest"),
        ("_pytest.capture", "CaptureFixture"),
        ("_pytest.logging", "LogCaptureFixture"),
        ("_pytest.monkeypatch", "MonkeyPatch"),
        ("_pytest.tmpdir", "TempPathFactory"),
    )
)
"""Classes of test harnesses whose instances lead to the whole session: a test's `self`, with all of it, would be read
at every line."""


def handler_of(cls: type) -> Handler:
    """How instances of exactly this class are taken apart."""
    for table in (FINAL, BUILTIN):
        for known, handler in table.items():
            if cls is known:
                return handler
    mro = mro_of(cls)
    for base in mro:
        for known, handler in _BY_BASE:
            if base is known:
                return handler
    if not _HARNESS.isdisjoint((namespace_of(base).get("__module__"), class_name(base)) for base in mro):
        return nameless
    return _described(cls, mro) or _instance_handler(cls, mro)


# -- enums, named tuples, dataclasses: as their own generated __repr__ would -------------------------------------------

_NAMED_TUPLE_CODE = collections.namedtuple("_NAMED_TUPLE_CODE", "a").__repr__.__code__


@dataclasses.dataclass
class _Sample:
    a: int = 0


_DATACLASS_CODE = _Sample.__repr__.__code__


def _described(cls: type, mro: Tuple[type, ...]) -> Optional[Handler]:
    owner = next(base for base in mro if "__repr__" in namespace_of(base))
    own_repr = namespace_of(owner)["__repr__"]
    if type(own_repr) is not types.FunctionType:
        return None
    if any(own_repr is known for known in _ENUM_REPRS):
        return _enum_handler(cls, mro)
    if any(own_repr is known for known in _COMPUTED_REPRS):
        return by_repr(own_repr)
    if inherits(mro, tuple) and own_repr.__code__ is _NAMED_TUPLE_CODE:
        return _named_tuple_handler(cls, owner)
    generated = own_repr.__dict__.get("__wrapped__")
    is_generated = type(generated) is types.FunctionType and generated.__code__.co_filename == "<string>"
    if own_repr.__code__ is _DATACLASS_CODE and is_generated and "__dataclass_fields__" in namespace_of(owner):
        return _dataclass_handler(cls, mro, owner)
    return None


_FLAG_REPR = enum.Flag.__dict__["__repr__"]
_ENUM_REPRS = [enum.Enum.__dict__["__repr__"]]
_COMPUTED_REPRS = [getattr(enum, name) for name in ("global_enum_repr", "global_flag_repr") if hasattr(enum, name)]
"""Written by the standard library from the members' names and numbers alone."""
(_ENUM_REPRS if sys.version_info >= (3, 11) else _COMPUTED_REPRS).append(_FLAG_REPR)


def _enum_handler(cls: type, mro: Tuple[type, ...]) -> Handler:
    state = _state_reader(cls, mro)

    def handler(value: Any, limit: Optional[int]) -> Shape | str:
        found = dict(state(value))
        name = found.get("_name_", value)
        if (type(name) is not str and name is not None) or "_value_" not in found:
            return nameless(value, limit)
        opened = "<{}.{}: ".format(class_name(cls), name) if name is not None else "<{}: ".format(class_name(cls))
        return (opened, iter((("", found["_value_"]),)), ">", 0, "...")

    setattr(handler, "form", Form("enum", "<{}.".format(class_name(cls)), ("_name_", "_value_"), state))  # noqa: B010
    return handler


def _named_tuple_handler(cls: type, owner: type) -> Handler:
    fields = namespace_of(owner).get("_fields", ())
    name = class_name(cls)

    def handler(value: Any, limit: Optional[int]) -> Shape:
        labels = itertools.chain((fields[0] + "=",), (", " + field + "=" for field in fields[1:])) if fields else ()
        items = zip(labels, tuple.__iter__(value))  # noqa: B905
        return (name + "(", itertools.islice(items, limit), ")", tuple.__len__(value), name + "(...)")

    setattr(handler, "form", Form("named tuple", name + "(", fields))  # noqa: B010
    return handler


def _dataclass_handler(cls: type, mro: Tuple[type, ...], owner: type) -> Handler:
    fields = [
        name
        for name, field in namespace_of(owner)["__dataclass_fields__"].items()
        if field.repr and field._field_type is dataclasses._FIELD  # type: ignore[attr-defined]
    ]
    state = _state_reader(cls, mro)
    name = qualified_name(cls)

    def handler(value: Any, limit: Optional[int]) -> Shape:
        found = dict(state(value))
        shown: List[Child] = []
        for field in fields:
            if field not in found:
                default = next((namespace_of(base)[field] for base in mro if field in namespace_of(base)), _Sample)
                if default is _Sample or type(default) in (types.MemberDescriptorType, types.GetSetDescriptorType):
                    continue  # not bound yet: inside `__init__`
                found[field] = default
            shown.append((", " + field + "=" if shown else field + "=", found[field]))
        return (name + "(", iter(shown[:limit]), ")", len(shown), "...")

    setattr(handler, "form", Form("dataclass", name + "(", tuple(fields), state))  # noqa: B010
    return handler


# -- instances --------------------------------------------------------------------------------------------------------

_BASE_ATOMS: Dict[type, Callable[[Any], str]] = {
    int: int_text,
    str: str.__repr__,
    float: float.__repr__,
    bytes: bytes.__repr__,
    complex: complex.__repr__,
}


def _state_reader(cls: type, mro: Tuple[type, ...]) -> Callable[[Any], List[Tuple[str, Any]]]:
    """Reads `__dict__` in its order, then the bound slots along the MRO, base first."""
    dict_of = None
    for base in mro:
        found = namespace_of(base).get("__dict__")
        kinds = (types.GetSetDescriptorType, types.MemberDescriptorType)
        if isinstance(found, kinds) and found.__objclass__ is base:
            dict_of = found.__get__
            break
    slots: List[Tuple[str, Any]] = []
    for base in reversed(mro):
        for name in _slot_names(base):
            slot = namespace_of(base).get(name)
            if type(slot) is types.MemberDescriptorType:
                slots.append((name, slot))

    getters = [(name, slot.__get__) for name, slot in slots]

    def read_dict(value: Any) -> List[Tuple[str, Any]]:
        assert dict_of is not None
        return [item for item in dict.items(dict_of(value)) if type(item[0]) is str]

    def read(value: Any) -> List[Tuple[str, Any]]:
        found = [] if dict_of is None else read_dict(value)
        for name, get in getters:
            try:
                found.append((name, get(value)))
            except AttributeError:
                continue
        return found

    if dict_of is None and not slots:
        return _nothing
    found_by = read if slots else read_dict
    setattr(found_by, "dict_of", dict_of)  # noqa: B010
    setattr(found_by, "slots", slots)  # noqa: B010
    return found_by


def _nothing(value: Any) -> List[Tuple[str, Any]]:
    """Of instances without a state that Python code can reach."""
    return []


def _slot_names(base: type) -> List[str]:
    declared = namespace_of(base).get("__slots__", ())
    if type(declared) is str:
        declared = (declared,)
    if type(declared) not in (tuple, list, dict):
        declared = [name for name, item in namespace_of(base).items() if type(item) is types.MemberDescriptorType]
    names = []
    for name in declared:
        if type(name) is not str or name in ("__dict__", "__weakref__"):
            continue
        is_private = name.startswith("__") and not name.endswith("__")
        stripped = class_name(base).lstrip("_")
        names.append("_" + stripped + name if is_private and stripped else name)
    return names


class _Labels(Dict[str, str]):
    """Name -> what is written before its value."""

    def __missing__(self, name: str) -> str:
        label = self[name] = " " + name + "="
        return label


def _instance_handler(cls: type, mro: Tuple[type, ...]) -> Handler:
    state = _state_reader(cls, mro)
    opened = "<" + class_name(cls)
    again = opened + " ...>"
    labels = _Labels()
    builtin = next((base for base in _BASE_ATOMS if inherits(mro, base)), None)
    base_handler: Optional[Handler]
    if builtin is not None:
        base_handler = by_repr(_BASE_ATOMS[builtin])
    else:
        builtin, base_handler = next((pair for pair in _subclassable() if inherits(mro, pair[0])), (None, None))
    if base_handler is None and state is _nothing:
        return nameless

    def handler(value: Any, limit: Optional[int]) -> Shape:
        children = [(labels[name], item) for name, item in state(value)]
        num_items = len(children)
        if limit is not None and num_items > limit:
            children = children[:limit]
        if base_handler is not None:
            children.insert(0, (" ", As(base_handler, value)))
        return (opened, iter(children), ">", num_items, again)

    if base_handler is None and getattr(state, "slots", None) == []:
        setattr(handler, "dict_of", state.dict_of)  # type: ignore[attr-defined]  # noqa: B010
    setattr(handler, "form", Form("instance", opened, (), state, builtin))  # noqa: B010
    return handler


def _subclassable() -> List[Tuple[type, Handler]]:
    """The table with the more specific classes first: a Counter is a dict, a datetime is a date."""
    known = list(BUILTIN.items())
    known.sort(key=lambda item: -len(mro_of(item[0])))
    return known

"""Which classes' instances `native.c` can write, and how: the kinds of its own, by name.

    class --handler_of--> Handler --describe--> ("instance", b"<Point", None, True, (), ())

What it cannot write is "other": a value that holds one anywhere is written by `values.Writer`.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodWrapperType,
    WrapperDescriptorType,
)
from typing import Any, Dict, List, Optional, Tuple

from .instances import Form, handler_of
from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]
from .shapes import a_class, class_name, exception, module, nameless

Description = Tuple[str, bytes, Optional[str], bool, Tuple[Any, ...], Tuple[str, ...]]
"""Its kind, what its text opens with, the kind of its builtin base, whether it has a `__dict__`, its slots (name and
descriptor), the fields of a dataclass or named tuple."""


def describe(cls: type) -> Description:
    """How `native.c` may write the instances of a class: by one of its kinds, or not at all ("other")."""
    try:
        handler = handler_of(cls)
        form = getattr(handler, "form", None)
        if form is not None:
            return _described(form)
        if cls is Fraction:
            slots = tuple((name, vars(cls)[name]) for name in _FRACTION)
            return "Fraction", b"Fraction(", None, False, slots, _FRACTION
        kind = _KINDS.get(id(handler)) or _KINDS.get(id(cls), "other")
        opened = {"constant": "<{}>", "exception": "{}("}.get(kind, "").format(class_name(cls))
        return kind, opened.encode(), None, False, (), ()
    except Exception:  # a class that was tampered with, a name that is no UTF-8: `values.Writer` says what is wrong
        return _OTHER


_FRACTION = ("_numerator", "_denominator")
_OTHER: Description = ("other", b"", None, False, (), ())
_VIEWS: List[Any] = [{}.keys(), {}.values(), {}.items()]
_KINDS: Dict[int, str] = {
    id(known): kind
    for kind, all_known in (
        ("constant", (nameless,)),
        ("exception", (exception,)),
        ("class", (a_class,)),
        ("module", (module,)),
        ("function", (FunctionType,)),
        ("builtin", (BuiltinFunctionType,)),
        ("descriptor", (MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType)),
        ("wrapper", (MethodWrapperType,)),
        ("immutable", [cls for cls in (date, timedelta, Decimal) if type(cls.__repr__) is WrapperDescriptorType]),
        ("time", (datetime, time)),
        *((cls.__name__, (cls,)) for cls in (range, slice, deque, defaultdict, OrderedDict, bytearray)),
        *((type(view).__name__, (type(view),)) for view in _VIEWS),
    )
    for known in all_known
}
"""By handler or class: by address, since a class may have a metaclass of the program's."""
_BASES = {cls: cls.__name__ for cls in (int, str, float, bytes, list, tuple, dict, set, frozenset, deque, defaultdict)}


def _described(form: Form) -> Description:
    state = form.state
    if form.base is not None and form.base not in _BASES:
        return _OTHER
    if not all(type(field) is str for field in form.fields):
        return _OTHER
    return (
        form.kind,
        form.opened.encode(),
        None if form.base is None else _BASES[form.base],
        getattr(state, "dict_of", None) is not None,
        tuple(getattr(state, "slots", ())),
        tuple(form.fields),
    )

"""Every kind of value that `native.c` writes itself: as the reference engine does, and without that engine's help."""

import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import gc
import itertools
import types

import pytest

from opencwm.trace.recording import native
from opencwm.trace.recording.options import Options
from opencwm.trace.recording.recorder import Recorder

pytestmark = pytest.mark.skipif(native.load() is None, reason="there is no native engine here")
OPTIONS = [
    Options(timeout_s=None, on_budget="stop_recording"),
    Options(timeout_s=None, on_budget="stop_recording", max_value_chars=16, max_items=2, max_depth=2),
    Options(timeout_s=None, on_budget="stop_recording", max_value_chars=None, max_items=None, max_depth=None),
]


class Plain:
    def __init__(self, **names):
        vars(self).update(names)


class Slots:
    __slots__ = ("a", "b")


class MoreSlots(Slots):
    __slots__ = ("__dict__", "c")


def of(base):
    return type(base.__name__.title(), (base,), {})


def with_slots(cls, **names):
    made = cls()
    for name, value in names.items():
        setattr(made, name, value)
    return made


@dataclasses.dataclass
class Point:
    x: object
    y: object = "é"
    hidden: int = dataclasses.field(default=3, repr=False)


@dataclasses.dataclass
class SlotPoint:
    __slots__ = ("x", "y")
    x: object
    y: object


Pair = collections.namedtuple("Pair", "a b")


class Zone(datetime.tzinfo):
    def __repr__(self):
        raise AssertionError("code of the program's ran in the writer")


def color():
    return enum.Enum("Color", {"RED": [1]}).RED


def function(qualname="f"):
    def made():
        pass

    made.__qualname__ = qualname
    return made


def attr(name, value):
    return lambda it: setattr(it, name, value)


def ring():
    items = [1]
    items.append({"items": items, "pair": Pair(items, 2), "plain": Plain(items=items)})
    items[1]["plain"].me = items[1]["plain"]
    return items


def graph():
    nodes = [Plain(number=i, links=[]) for i in range(700)]
    for i, node in enumerate(nodes):
        node.links.extend((nodes[i // 2], nodes[i - 1], nodes[7 * i % 700]))
    return Plain(nodes=nodes)


KINDS = {
    "int": (lambda: [5, -1, 2**31, -(2**63), 2**63, True], lambda it: it.__setitem__(5, 1)),
    "str": (lambda: ["a'b", 'a"b', "'\"\\\n\t\x00\x7f", "é\u2028\U0001f600"], lambda it: it.append("x" * 600)),
    "long str": (lambda: ["é" * 600, "'" * 520, "x" * 600], lambda it: it.__setitem__(2, "x" * 599 + "y")),
    "float": (
        lambda: [1.5, -0.0, 1e16, 123456789012345.0, float("nan"), float("-inf")],
        lambda it: it.__setitem__(1, 0.0),
    ),
    "bytes": (lambda: [b"a'", b'"\xff\n', b"y" * 600], lambda it: it.__setitem__(2, b"y" * 599 + b"z")),
    "complex": (lambda: [complex(-0.0, 2)], lambda it: it.__setitem__(0, complex(0.0, 2))),
    "named": (lambda: [None, ..., NotImplemented, False], lambda it: it.__setitem__(3, True)),
    "list": (lambda: [[], [1, 2, 3], [[4]]], lambda it: it[2][0].append(5)),
    "long list": (lambda: list(range(900)), lambda it: it.__setitem__(880, None)),
    "tuple": (lambda: ((), (1,), ([2], 3)), lambda it: it[2][0].append(4)),
    "named tuple": (lambda: Pair([1], 2), lambda it: it.a.append(3)),
    "exception": (lambda: ValueError("odd", [1]), attr("args", ("even",))),
    "range": (lambda: [range(3), range(1, 9, 2), range(-(2**70), 2**70)], lambda it: it.__setitem__(0, range(4))),
    "slice": (lambda: slice([1], None), lambda it: it.start.append(2)),
    "dict": (lambda: {"a": 1, (1, "k"): [2], 3: {}}, lambda it: it.update(a=it.pop("a"))),
    "key of a dict": (lambda: {"a": 1, "b": 2}, lambda it: it.update(c=it.pop("b"))),
    "defaultdict": (lambda: collections.defaultdict(list, a=[1]), lambda it: it["b"].append(2)),
    "factory": (lambda: collections.defaultdict(function().__get__(1)), attr("default_factory", None)),
    "factory's name": (lambda: collections.defaultdict(len), attr("default_factory", function())),
    "OrderedDict": (lambda: collections.OrderedDict(a=[1], b=2), lambda it: it.move_to_end("a")),
    "dict_keys": (lambda: {"a": 1, 2: 3}.keys(), lambda it: gc.get_referents(it)[0].update(b=4)),
    "dict_values": (lambda: {"a": [1]}.values(), lambda it: next(iter(it)).append(2)),
    "dict_items": (lambda: {"a": [1], "b": 5}.items(), lambda it: next(iter(it))[1].append(2)),
    "set": (lambda: {1, "a", (2,)}, lambda it: it.add(3)),
    "frozenset": (lambda: [frozenset(), frozenset([1]), set()], lambda it: it[2].add(1)),
    "deque": (lambda: collections.deque([1, [2]], 70), lambda it: it.extend(range(100))),
    "deque's order": (lambda: collections.deque(range(100)), lambda it: it.rotate(65)),
    "deque's length": (lambda: [collections.deque([1])], lambda it: it.__setitem__(0, collections.deque([1], 5))),
    "instance": (lambda: Plain(a=1, b=[2]), lambda it: it.b.append(it)),
    "attribute": (lambda: Plain(a=1, b=2), lambda it: delattr(it, "a")),
    "name of an attribute": (lambda: Plain(a=1), lambda it: vars(it).update(b=vars(it).pop("a"))),
    "odd attribute": (lambda: Plain(a=1, b="é"), lambda it: vars(it).update({3: 4, "c": 5})),
    "slots": (lambda: with_slots(Slots, b=[1]), attr("a", 2)),
    "more slots": (lambda: with_slots(MoreSlots, c=1, d=2, a=3), lambda it: delattr(it, "a")),
    **{
        f"subclass of {base.__name__}": (
            lambda base=base, held=held: with_slots(lambda: of(base)(copy.deepcopy(held)), a=[1]),
            change,
        )
        for base, held, change in (
            (int, 2**70, attr("a", 2)), (str, "é'", attr("a", 2)), (float, -0.0, attr("a", 2)),
            (bytes, b"'", attr("a", 2)),
            (list, [1, [2]], lambda it: it[1].append(3)), (dict, {"k": [1]}, lambda it: it["k"].append(2)),
            (tuple, (1, [2]), lambda it: it[1].append(3)), (set, {1}, lambda it: it.add(2)),
            (collections.deque, [1], lambda it: it.append(2)), (frozenset, {1}, lambda it: it.a.append(2)),
        )
    },
    **{
        f"another {base.__name__} of a subclass": (
            lambda base=base, first=first, second=second: list(map(of(base), (first, second))),
            lambda it: it.__setitem__(0, it[1]),
        )
        for base, first, second in ((int, 5, -5), (float, 0.0, -0.0), (str, "a", "b"), (bytes, b"a", b"b"))
    },
    "dataclass": (lambda: Point([1]), lambda it: it.x.append(2)),
    "field": (lambda: Point(1), attr("y", 2)),
    "dataclass of slots": (lambda: SlotPoint([1], 2), attr("x", 3)),
    "Fraction": (lambda: [fractions.Fraction(1, 3)], lambda it: it.__setitem__(0, fractions.Fraction(1, 4))),
    "enum": (color, lambda it: it.value.append(2)),
    "member's name": (color, attr("_name_", "é")),
    "function": (function, attr("__qualname__", "é.g")),
    "class": (lambda: [Plain, int, of(int), collections.OrderedDict], lambda it: it.__setitem__(0, Slots)),
    "class's name": (lambda: of(list), attr("__name__", "Other")),
    "module": (lambda: types.ModuleType("m"), attr("__name__", "n")),
    "builtin": (lambda: [len, [].append], lambda it: it.__setitem__(0, abs)),
    "descriptor": (
        lambda: [str.upper, int.__add__, dict.__dict__["fromkeys"]],
        lambda it: it.__setitem__(0, str.lower),
    ),
    "wrapper": (lambda: ["".__add__], lambda it: it.__setitem__(0, "".__len__)),
    "immutable": (
        lambda: [decimal.Decimal("1.50"), datetime.date(2020, 1, 2), datetime.timedelta(1)],
        lambda it: it.__setitem__(0, decimal.Decimal("1.5")),
    ),
    "time": (
        lambda: [datetime.time(1, 2, fold=1), datetime.datetime(2020, 1, 2)],
        lambda it: it.__setitem__(1, datetime.datetime(2020, 1, 3)),
    ),
    "constant": (lambda: [object(), iter([])], lambda it: it.__setitem__(0, iter(()))),
    "bytearray": (lambda: bytearray(b"it's"), lambda it: it.append(34)),
    "long bytearray": (lambda: bytearray(b"'" * 700), lambda it: it.__setitem__(699, 34)),
    "brackets beyond the cut": (lambda: ["x" * 600, [[], 1]], lambda it: it.__setitem__(1, [[1]])),
    "deep": (lambda: [[[[[[[[[1]]]]]]]]], lambda it: it[0][0][0][0][0][0][0][0].append(2)),
    "ring": (ring, lambda it: it[1].pop("pair")),
    "ring's end": (ring, lambda it: setattr(it[1]["plain"], "me", Plain(me=None))),
    "graph": (graph, lambda it: setattr(it.nodes[0], "number", None)),
    "link of a graph": (graph, lambda it: it.nodes[650].links.__setitem__(0, it.nodes[651])),
    "table": (lambda: [{"a": i, "b": [i]} for i in range(1500)], lambda it: it[1400]["b"].append(1)),
}  # fmt: skip
OTHERS = {
    "Counter": (lambda: [collections.Counter("aab")], lambda it: it[0].update("c")),
    "Counter for a list": (lambda: [[1], collections.Counter("aab")], lambda it: it.__setitem__(1, [1])),
    "default of a dataclass": (lambda: Point([1], "e"), lambda it: delattr(it, "y")),
    "keys of an OrderedDict": (lambda: collections.OrderedDict({(1, 2): 3, "a": 4}), lambda it: it.move_to_end((1, 2))),
    "zone": (lambda: datetime.datetime(2020, 1, 2, tzinfo=Zone()), lambda it: None),
    "digits": (lambda: [10**5000], lambda it: it.__setitem__(0, 10**5000 + 1)),
    "member without a value": (color, lambda it: delattr(it, "_value_")),
    "name of a class": (lambda: type("Once", (Exception,), {})(1), lambda it: setattr(type(it), "__name__", "Twice")),
    "module without a name": (lambda: types.ModuleType("m"), lambda it: vars(it).pop("__name__")),
}
"""What is left to the writer of the reference engine."""
ENDLESS = {"ring", "ring's end", "graph", "link of a graph"}
"""Their whole text, with its shared parts repeated, is not to be had."""

CHANGED = """
def changed(make, change):
    value = make()
    held = types.SimpleNamespace(value=value)
    still = 1
    change(value)
    last = still
    return last, held
"""


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """In a file of its own: nothing else is recorded."""
    path = tmp_path_factory.mktemp("kinds") / "changed.py"
    path.write_text(CHANGED)
    names = {"types": types}
    exec(compile(CHANGED, str(path), "exec"), names)
    return names["changed"]


def refuse(*_):
    raise AssertionError("the reference engine's writer was asked")


def recorded(changed, engine, options, make, change, is_alone=True):
    with Recorder(options, scope=[changed.__code__.co_filename], engine=engine) as recorder:
        if engine == "native" and is_alone:
            recorder.engine.writer.look = refuse
        changed(make, change)
    assert recorder.engine.failure is None
    return [frame.to_dict() for frame in recorder.trace.frames]


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_left_to_the_writer_is_the_same(kind, changed):
    frames = [recorded(changed, engine, OPTIONS[0], *OTHERS[kind], is_alone=False) for engine in ("native", "python")]
    assert frames[0] == frames[1]


@pytest.mark.parametrize("options", OPTIONS, ids=["default", "few", "all"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_written_and_compared_alike(kind, options, changed):
    make, change = KINDS[kind]
    if options.max_items is None and kind in ENDLESS:
        return
    frames = recorded(changed, "native", options, make, change)
    for one, other in itertools.zip_longest(frames, recorded(changed, "python", options, make, change)):
        assert one == other
    shown = [set(frame["locals"]["set"]) for frame in frames if frame["event"] == "line"]
    assert shown == [set(), {"value"}, {"held"}, {"still"}, {"value", "held"}, {"last"}]


def test_values_that_the_writer_is_asked_for_are_seen(changed):
    with pytest.raises(AssertionError):
        recorded(changed, "native", OPTIONS[0], lambda: [collections.Counter("a")], len)

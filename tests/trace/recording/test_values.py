"""Values as text: equal to `repr` where the format says so, never by calling one; cuts; what counts as a change."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import sys
import types
import typing
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opencwm.trace.recording.options import Options
from opencwm.trace.recording.values import Writer

UNCUT = Options(max_depth=None, max_items=None, max_value_chars=None)


def text(value, **options):
    return Writer(Options(**options)).text(value)[0]


def uncut(value):
    return Writer(UNCUT).text(value)[0]


atoms = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(max_size=8),
    st.binary(max_size=8), st.just(...), st.just(NotImplemented),
)  # fmt: skip
hashables = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple),
        st.frozensets(inner, max_size=4),
        st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 3)),
        st.decimals(allow_nan=False),
        st.fractions(),
        st.dates(),
        st.times(),
        st.datetimes(timezones=st.just(datetime.UTC)),
        st.datetimes(),
        st.timedeltas(),
        st.uuids(),
        st.text("ab/.", min_size=1, max_size=6).map(pathlib.PurePosixPath),
    ),
    max_leaves=8,
)
values = st.recursive(
    st.one_of(hashables, st.binary(max_size=5).map(bytearray)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(hashables, inner, max_size=4),
        st.sets(hashables, max_size=4),
        st.lists(inner, max_size=4).map(collections.deque),
        st.lists(inner, max_size=4).map(lambda items: collections.deque(items, maxlen=3)),
        st.dictionaries(hashables, inner, max_size=4).map(collections.OrderedDict),
        st.lists(hashables, max_size=5).map(collections.Counter),
        st.dictionaries(hashables, inner, max_size=4).map(lambda d: d.keys()),
        st.dictionaries(hashables, inner, max_size=4).map(lambda d: d.values()),
        st.dictionaries(hashables, inner, max_size=4).map(lambda d: d.items()),
        st.builds(slice, inner, inner, inner),
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_text_is_byte_equal_to_repr(value):
    assert uncut(value) == repr(value)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values, values)
def test_a_variable_changes_exactly_when_its_uncut_text_does(first, second):
    writer = Writer(Options(max_value_chars=10, max_items=2, max_depth=1))
    seen = writer.look(first)
    again = writer.look(second, seen)
    assert (again is seen or again[1] == seen[1]) == (repr(first) == repr(second))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values, st.integers(0, 4), st.integers(0, 4), st.integers(1, 60))
def test_cut_texts_are_bounded_and_marked(value, max_depth, max_items, max_chars):
    writer = Writer(Options(max_depth=max_depth, max_items=max_items, max_value_chars=max_chars))
    shown, is_cut = writer.text(value)
    assert is_cut == (shown != repr(value))
    if not isinstance(value, (str, bytes)):
        assert len(shown) <= max_chars + 3
    if is_cut:
        assert "..." in shown


class Color(enum.Enum):
    RED = 1
    PAIR = ("a", 2)


class Mode(enum.IntFlag):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Point:
    x: typing.Any
    y: typing.Any = 2
    hidden: int = dataclasses.field(default=3, repr=False)


@dataclasses.dataclass(order=True)
class Slotted:
    __slots__ = ("a",)
    a: typing.Any


Pair = collections.namedtuple("Pair", "a b")


class Typed(typing.NamedTuple):
    n: int
    items: list


class Sub(Pair):
    pass


SAME_AS_REPR = [
    Color.RED, Color.PAIR, Level.LOW, Mode.READ, Mode.READ | Mode.WRITE, Mode(0), Mode(7), Point(1),
    Point([Point("a")], {1: Color.RED}),
    Slotted((1,)), Pair(1, [2]), Typed(1, []), Sub(1, 2), collections.namedtuple("Empty", "")(), decimal.Decimal("NaN"),
    fractions.Fraction(1, 3), uuid.UUID(int=7), datetime.timezone(datetime.timedelta(hours=2), "CEST"), -0.0, math.nan,
    datetime.datetime(2020, 1, 1, fold=1, tzinfo=datetime.UTC), datetime.time(1, 2, fold=1), set(), frozenset(),
    collections.OrderedDict(), collections.Counter(), collections.Counter({"a": -1, "b": 2}), {}.keys(), range(5),
    range(0, 9, 3), slice(None),
    pathlib.PureWindowsPath("a\\b"), pathlib.Path("x"), collections.OrderedDict(a=1).keys(),
    bytearray(b"\0a"), 1e300 * 10, "quote's", 'both\'s "', b"it's", (1,), {"k": (1,)}, sys.float_info.max,
]  # fmt: skip


@pytest.mark.parametrize("value", SAME_AS_REPR, ids=lambda value: type(value).__name__)
def test_values_of_the_standard_library(value):
    assert uncut(value) == repr(value)


def test_order_of_an_ordered_dict_is_its_own():
    moved = collections.OrderedDict(a=1, b=2)
    moved.move_to_end("a")
    assert uncut(moved) == repr(moved)


def test_a_default_factory_is_written_by_name():
    assert text(collections.defaultdict(list, a=[1])) == "defaultdict(list, {'a': [1]})"
    assert text(collections.defaultdict(None)) == "defaultdict(None, {})"
    assert text(collections.defaultdict(lambda: 1)) == "defaultdict(<lambda>, {})"


class Hostile:
    """Any code of this class that runs inside the writer is a failure."""

    def __init__(self, **state):
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def fail(self, *_):
        raise AssertionError("code of the program's ran in the writer")

    __repr__ = __str__ = __eq__ = __len__ = __iter__ = __getattr__ = __bool__ = __format__ = __lt__ = fail
    __getattribute__ = fail
    __hash__ = object.__hash__
    size = property(fail)


class HostileMeta(type):
    def fail(cls, *_):
        raise AssertionError("code of the program's ran in the writer")

    __repr__ = __eq__ = __getattribute__ = __instancecheck__ = __subclasscheck__ = fail
    __hash__ = fail


class HostileList(list):
    def fail(self, *_):
        raise AssertionError("code of the program's ran in the writer")

    __repr__ = __iter__ = __len__ = __getitem__ = __eq__ = fail


class HostileDict(dict):
    def fail(self, *_):
        raise AssertionError("code of the program's ran in the writer")

    __repr__ = __iter__ = __len__ = __getitem__ = __eq__ = keys = items = values = fail


class HostileInt(int):
    def __repr__(self):
        raise AssertionError("code of the program's ran in the writer")


class HostileFlag(HostileInt, enum.Flag):
    READ = 1
    WRITE = 2


class HostileKey:
    armed = False

    def __hash__(self):
        assert not HostileKey.armed
        return 1

    def __eq__(self, other):
        assert not HostileKey.armed
        return self is other


def test_no_code_of_the_program_runs():
    assert text(Hostile(a=1, b=[Hostile()])) == "<Hostile a=1 b=[<Hostile>]>"
    assert text(HostileList([1, 2])) == "<HostileList [1, 2]>"
    hostile = HostileMeta("Strange", (), {})
    shown = [text(object.__new__(hostile)), text(hostile)]
    assert shown == ["<Strange>", "<class Strange>"]
    assert text(ValueError(Hostile(a=1))) == "ValueError(<Hostile a=1>)"
    odd = Derived.__new__(Derived)
    odd.__dict__ = HostileDict(a=1)
    assert text([odd]) == "[<Derived a=1>]"
    assert [text(flag) for flag in (HostileFlag.READ, HostileFlag(3))] == [
        "<HostileFlag.READ: <HostileInt 1>>",
        "<HostileFlag.READ|WRITE: 3>",
    ]
    keyed = collections.OrderedDict([(HostileKey(), 1)]), {HostileKey(): 1}, {HostileKey()}
    HostileKey.armed = True
    try:
        assert text(keyed) == (
            "(OrderedDict([(<HostileKey>, 1)]), {<HostileKey>: 1}, {<HostileKey>})"
            if sys.version_info < (3, 12)
            else "(OrderedDict({<HostileKey>: 1}), {<HostileKey>: 1}, {<HostileKey>})"
        )
    finally:
        HostileKey.armed = False


class Base:
    __slots__ = ("first", "__private", "unbound")  # noqa: RUF023

    def __init__(self):
        self.first = 1
        self.__private = 2


class Derived(Base):
    def __init__(self):
        super().__init__()
        self.own = 3


class Number(int):
    pass


class OwnRepr(enum.Enum):
    A = 1

    def __repr__(self):
        raise AssertionError


@dataclasses.dataclass
class DataOwnRepr:
    x: int

    def __repr__(self):
        raise AssertionError


def test_instances_show_their_dict_then_their_slots_base_first():
    assert text(Derived()) == "<Derived own=3 first=1 _Base__private=2>"
    number = Number(7)
    number.label = "n"
    assert text(number) == "<Number 7 label='n'>"
    assert text(type("Text", (str,), {})("ab")) == "<Text 'ab'>"
    assert text(type("Moment", (datetime.datetime,), {})(2020, 1, 2)) == "<Moment datetime.datetime(2020, 1, 2, 0, 0)>"
    assert text(OwnRepr.A).startswith("<OwnRepr _value_=1 _name_='A'")
    assert text(DataOwnRepr(1)) == "<DataOwnRepr x=1>"


def test_a_dataclass_that_is_half_built_shows_what_is_bound():
    assert text(Point.__new__(Point)) == "Point(y=2)"
    assert text(Slotted.__new__(Slotted)) == "Slotted()"


NAMED = [
    (len, "<built-in len>"), ([].append, "<built-in append>"), (str.upper, "<built-in upper>"), (math, "<module math>"),
    (int, "<class int>"), (iter([]), "<list_iterator>"), ((i for i in ()), "<generator>"), (object(), "<object>"),
    (lambda: 1, "<function <lambda>>"), (Base.__init__, "<function Base.__init__>"),
    (Derived().__init__, "<method>"), (types.SimpleNamespace(a=1), "<SimpleNamespace a=1>"), (sys.stdout, None),
    (KeyError(), "KeyError()"), (OSError(2, "no", "f"), "FileNotFoundError(2, 'no')"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), NAMED, ids=lambda value: type(value).__name__)
def test_things_are_named_without_address_or_number(value, expected):
    assert text(value) == (expected or f"<{type(value).__name__}>")
    assert "0x" not in text(value)


def test_values_that_hold_themselves():
    items = [1]
    items.append(items)
    table = {"t": items}
    table["self"] = table
    point = Point(1)
    point.y = point
    ring = Hostile()
    object.__setattr__(ring, "next", ring)
    assert uncut(items) == repr(items)
    assert uncut(table) == repr(table)
    assert uncut(point) == repr(point)
    assert text(ring) == "<Hostile next=<Hostile ...>>"
    shared = [1]
    assert text([shared, shared]) == "[[1], [1]]"


def test_cuts():
    assert text([[[[[[[]]]]]]]) == "[[[[[[[]]]]]]]"
    assert text([[[[[[[1, 2]]]]]]]) == "[[[[[[[...(+2)]]]]]]]"
    assert text({"a": (1,)}, max_depth=1) == "{'a': (...(+1))}"
    assert text(list(range(66))).endswith("63, ...(+2)]")
    assert text((1, 2), max_items=1) == "(1, ...(+1))"
    assert text({1: 2, 3: 4}, max_items=1) == "{1: 2, ...(+1)}"
    assert text({1, 2, 3}, max_items=2) == "{1, 2, ...(+1)}"
    assert text(Hostile(a=1, b=2), max_items=1) == "<Hostile a=1 ...(+1)>"
    assert text(collections.deque([1, 2], maxlen=2), max_items=1) == "deque([1, ...(+1)], maxlen=2)"
    assert text("a" * 600) == repr("a" * 512) + "...(+88)"
    assert text(b"a" * 600) == repr(b"a" * 512) + "...(+88)"
    assert text("'" + "a" * 512 + '"') == repr("'" + "a" * 511) + "...(+2)"
    assert text(["a" * 600]) == "['" + "a" * 510 + "..."
    assert text(["a" * 10], max_value_chars=None) == repr(["a" * 10])
    assert text(["abcdef"] * 2, max_value_chars=4, max_items=None) == "['ab..."


def test_changes_beyond_the_cut_are_seen():
    writer = Writer(Options())
    items = [0] * 200
    seen = writer.look(items)
    assert writer.look(items, seen) is seen
    items[150] = 1
    assert writer.look(items, seen)[1] != seen[1]
    assert writer.look(items, seen)[2] == seen[2]


@pytest.mark.parametrize(
    ("first", "second"), [(1, True), (0.0, -0.0), (1, 1.0), ([1], [True]), ((1,), [1]), ({1: 2}, {1: 2.0})]
)
def test_equal_values_with_other_texts_are_changes(first, second):
    writer = Writer(Options())
    seen = writer.look(first)
    assert writer.look(second, seen)[1] != seen[1]


def test_an_equal_value_is_no_change():
    writer = Writer(Options())
    for make in (lambda: 10**20, lambda: [1, "a"], lambda: {"k": [1]}, lambda: Hostile(a=[1]), lambda: "ab" * 400):
        seen = writer.look(make())
        assert writer.look(make(), seen)[1] == seen[1]


def test_the_order_of_a_set_is_part_of_its_text():
    first, second = {8, 0}, {0, 8}
    assert first == second
    writer = Writer(Options())
    for wrap in (lambda s: s, lambda s: [s]):
        seen = writer.look(wrap(first))
        assert (writer.look(wrap(second), seen)[1] == seen[1]) == (repr(first) == repr(second))


def test_the_order_of_a_wide_set_is_part_of_its_text():
    first, second = set(range(70)), set(range(1, 70))
    first.add(512)
    for item in (512, 0):
        second.add(item)
    assert first == second
    assert repr(first) != repr(second)
    writer = Writer(Options())
    for wrap in (lambda s: s, lambda s: [s]):
        seen = writer.look(wrap(first))
        assert writer.look(wrap(second), seen)[1] != seen[1]


def swapped(node):
    node.left, node.right = node.right, node.left


CHANGES = [
    (lambda: {"a": 1}, lambda d: d.update(b=d.pop("a"))),
    (lambda: [[1], [2]], lambda rows: rows.reverse()),
    (lambda: [[1], [2]], lambda rows: rows[0].append(2)),
    (lambda: [(1,), 2], lambda items: items.__setitem__(0, [1])),
    (lambda: [[1], 2], lambda items: items.__setitem__(0, 1)),
    (lambda: [1, 2], lambda items: items.__setitem__(0, items)),
    (lambda: [None], lambda items: items.__setitem__(0, [])),
    (lambda: [[]], lambda items: items.__setitem__(0, None)),
    (lambda: Hostile(a=1, b=[2]), lambda it: object.__setattr__(it, "c", 3)),
    (lambda: Hostile(a=1, b=[2]), lambda it: object.__delattr__(it, "a")),
    (lambda: types.SimpleNamespace(left=1, right=[2]), swapped),
    (lambda: types.SimpleNamespace(next=types.SimpleNamespace(v=1)), lambda it: setattr(it.next, "v", True)),
    (lambda: types.SimpleNamespace(next=types.SimpleNamespace(next=None)), lambda it: setattr(it.next, "next", it)),
    (lambda: types.SimpleNamespace(next=types.SimpleNamespace(next=None)), lambda it: setattr(it, "next", it)),
    (lambda: Node(Node()), lambda it: setattr(it.parent, "mark", 1)),
    (lambda: Node(Node()), lambda it: setattr(it, "parent", it)),
    (lambda: Point([1]), lambda it: it.x.append(2)),
    (lambda: collections.deque([1]), lambda it: it.append(2)),
]


@pytest.mark.parametrize(("make", "change"), CHANGES)
def test_in_place_changes_are_seen_and_nothing_else_is(make, change):
    """The look that takes a short cut agrees with a writer that has never seen the value."""
    writer = Writer(Options())
    value = make()
    seen = writer.look(value)
    assert writer.look(value, seen)[1] == seen[1]
    change(value)
    again = writer.look(value, seen)
    assert again[1] != seen[1]
    assert again[2] == Writer(Options()).text(value)[0]
    assert writer.look(value)[2] == again[2]


def test_a_ring_is_not_taken_for_a_chain_of_equals():
    writer = Writer(Options())
    first, second = types.SimpleNamespace(v=1), types.SimpleNamespace(v=1)
    first.next, second.next = second, first
    seen = writer.look(first)
    alone = types.SimpleNamespace(v=1)
    alone.next = alone
    assert writer.look(alone, seen)[2] == "<SimpleNamespace v=1 next=<SimpleNamespace ...>>"


def test_long_and_deep_values():
    writer = Writer(Options())
    huge = [0] * 400_000
    seen = writer.look(huge)
    assert seen[2].endswith(", ...(+399936)]")
    huge[10_000] = 1
    changed = writer.look(huge, seen)
    assert changed[1] != seen[1]
    huge[399_999] = 1  # beyond the million characters that are compared
    assert writer.look(huge, changed)[1] == changed[1]
    huge.append(0)  # but the length is not
    assert writer.look(huge, changed)[1] != changed[1]
    deep = []
    for _ in range(5_000):
        deep = [deep]
    assert text(deep) == "[[[[[[[...(+1)]]]]]]]"
    twins = []
    for _ in range(60):
        twins = [twins, twins]
    assert text(twins).startswith("[[[[[[[...(+2)], [...(+2)]]")


class Node:
    def __init__(self, parent=None):
        self.parent = parent
        self.children = []
        self.mark = 0
        if parent is not None:
            parent.children.append(self)


def test_large_instances_are_compared_by_their_parts():
    root = Node()
    leaves = [Node(child) for child in [Node(root) for _ in range(30)] for _ in range(30)]
    writer = Writer(Options())
    seen = writer.look(root)
    assert writer.look(root, seen) is seen
    leaves[-1].mark = 1
    assert writer.look(root, seen)[1] != seen[1]


def test_integers_past_the_digit_limit_are_written_in_hex():
    big = 10**5000
    assert uncut(big) == hex(big)
    assert uncut([big]) == f"[{hex(big)}]"
    assert text({big: 1}).startswith("{0x")
    assert text(Number(big)).startswith("<Number 0x")


class Bad:
    def __repr__(self):
        raise KeyError("no")


class Endless:
    def __repr__(self):
        while True:
            pass


class Dots:
    def __repr__(self):
        return ".."


class Meddling:
    def __repr__(self):
        sys.settrace(None)
        return "meddling"


def test_repr_mode_calls_it_guarded():
    assert text(Bad(), values="repr") == "<unprintable Bad: KeyError>"
    assert text(Dots(), values="repr") == "<Dots ..>"
    assert text([1, "a"], values="repr") == "[1, 'a']"
    assert text(Endless(), values="repr") == "<unprintable Endless: ReprTimeout>"
    assert text("b" * 600, values="repr").endswith("...(+88)")


def test_a_repr_that_removes_the_trace_function_does_not():
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    ours = sys.gettrace()
    try:
        assert text(Meddling(), values="repr") == "meddling"
        assert sys.gettrace() is ours
    finally:
        sys.settrace(before)


def test_what_cannot_be_written_says_why(monkeypatch):
    writer = Writer(Options())

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(writer._texts, "write", fail)
    assert writer.text(Node())[0] == "<unprintable Node: MemoryError>"

"""Random programs about values: of every kind the engines know, held by each other, and changed between lines.

    VALUES, CHANGES --value_program(seed)--> (source, "f()")

Their classes override what a recorder must not call. Nothing depends on an address or on time.
"""

import random

PRELUDE = """
import collections, contextlib, dataclasses, datetime, decimal, enum, fractions, functools
import pathlib, types, typing, uuid

S = contextlib.suppress(Exception)

class Lies:
    def refuse(self, *_):
        raise RuntimeError
    __repr__ = __len__ = __iter__ = __eq__ = __bool__ = __getattr__ = __format__ = __contains__ = refuse
    __class__ = property(lambda self: int)
    __hash__ = None

class Meta(type):
    def refuse(cls, *_):
        raise RuntimeError
    __eq__ = __repr__ = __instancecheck__ = __subclasscheck__ = __len__ = refuse
    __hash__ = type.__hash__

class Plain:
    def __init__(self, a, b):
        self.a = a
        self.b = b

class Liar(Lies):
    def __init__(self, a, b):
        self.a = a
        self.b = b
    __getattribute__ = lambda self, name: object.__getattribute__(self, "a")

class Strange(metaclass=Meta):
    a = 1

class Hidden:
    __dict__ = property(lambda self: {"lie": 1})
    def __init__(self, a, b):
        self.a = a
        self.b = b

class HiddenBelow(Plain):
    __dict__ = property(lambda self: {"lie": 1})

class Slots:
    __slots__ = ("a", "b")
    def __init__(self, a, b):
        self.a = a
        self.b = b

class MoreSlots(Slots):
    __slots__ = ("c", "__private", "__dict__", "__weakref__")

class Shadowed(Slots):
    __slots__ = "d"
    a = property(lambda self: "lie")

class Taken(Slots):
    __slots__ = ("e",)
Taken.e = Slots.a

class Int(Lies, int): pass
class Str(Lies, str): pass
class Float(Lies, float): pass
class Bytes(Lies, bytes): pass
class Complex(Lies, complex): pass
class List(Lies, list): pass
class Tuple(Lies, tuple): pass
class Dict(Lies, dict): pass
class Set(Lies, set): pass
class Frozen(Lies, frozenset): pass
class Deque(Lies, collections.deque): pass
class Default(Lies, collections.defaultdict): pass
class Ordered(Lies, collections.OrderedDict): pass
class Count(Lies, collections.Counter): pass
class Array(Lies, bytearray): pass
class Number(Lies, decimal.Decimal): pass
class Ratio(Lies, fractions.Fraction): pass
class Day(Lies, datetime.date): pass
class SlotList(list):
    __slots__ = ("a", "b")

class Zone(datetime.tzinfo):
    def utcoffset(self, when):
        return datetime.timedelta(hours=1)
    tzname = dst = lambda self, when: None
    __repr__ = None

class Color(enum.Enum):
    RED = 1
    PAIR = (1, [2])

class Level(enum.IntEnum):
    LOW = 1

class Word(str, enum.Enum):
    A = "a"

class Own(enum.Enum):
    A = 1
    def __repr__(self):
        raise RuntimeError

class Bits(int):
    __repr__ = Lies.refuse

class BitMode(Bits, enum.Flag):
    R = 1
    W = 2

class Mode(enum.Flag):
    R = 1
    W = 2

@dataclasses.dataclass
class Data:
    a: object
    b: object = 5
    c: object = dataclasses.field(default=None, repr=False)

@dataclasses.dataclass(frozen=True)
class Ice:
    a: object
    b: object = 5

@dataclasses.dataclass
class SlotData:
    __slots__ = ("a", "b")
    a: object
    b: object

@dataclasses.dataclass(repr=False)
class Quiet:
    a: object
    b: object

class SubData(Data):
    __slots__ = ("x",)

Pair = collections.namedtuple("Pair", "a b")
One = collections.namedtuple("One", "a")
Nothing = collections.namedtuple("Nothing", "")

class Typed(typing.NamedTuple):
    a: object
    b: object = 1

class SubPair(Pair):
    __len__ = __iter__ = __getitem__ = lambda self, *_: 1 / 0

class Failure(Exception):
    def __init__(self, a, b):
        self.a = a

class Held(Exception):
    pass

def function(a, b=2):
    return a

def change(x, y):
    x[0] = y
    return None
"""

ATOMS = (
    "0", "-1", "255", "2**31", "-2**63", "2**63", "2**70", "10**4400", "True", "None", "...", "NotImplemented", "1.5",
    "-0.0", "1e16", "1e300", "float('nan')", "float('-inf')", "123456789012345.0", "1j", "complex(-0.0, 2)", "''",
    "'a'", "'it\\'s'", '\'"\'', '\'"\\\'\\\\\\n\\t\\x00\\x7f\'', "'\\x85é\\u2028\\U0001f600'", "'\\ud800'",
    "'x' * 600", "'é' * 600", "'\\'' * 520", "b''", 'b\'a\\\'"\\xff\\n\'', "b'y' * 700",
)  # fmt: skip
HASHABLE = [atom for atom in ATOMS if "nan" not in atom]
"""Not by their address, which decides on the order of a set."""
KEYS = ("'x'", "5", "(1, 'a')", "b'k'", "frozenset([1])")
VALUES = {
    "list": ("[]", "[{a}]", "[{a}, {b}, {c}]", "[0] * 70", "[{a}] * 5", "[[{a}], [{b}]]", "list(range(90))"),
    "tuple": ("()", "({a},)", "({a}, {b})", "(1, 'a') * 40", "Tuple([{a}, {b}])"),
    "dict": (
        "{{}}", "{{{k}: {a}, {j}: {b}}}", "dict.fromkeys(range(70), {a})", "Dict({{{k}: {a}}})", "dict(x={a}, y={b})",
    ),
    "set": (
        "set()", "{{{k}, {j}}}", "set(range(70))", "frozenset([{k}])", "frozenset()", "Set([{k}])", "Frozen([{k}])",
    ),
    "deque": (
        "collections.deque([{a}, {b}])", "collections.deque([{a}] * 70, 66)", "Deque([{a}], 3)",
        "collections.deque()",
    ),
    "default": (
        "collections.defaultdict(list, x={a})", "collections.defaultdict(None, {{{k}: {a}}})",
        "collections.defaultdict(lambda: 1)", "collections.defaultdict(functools.partial(int))",
        "collections.defaultdict(len)", "collections.defaultdict(Strange)", "Default(int, y={a})",
    ),
    "ordered": (
        "collections.OrderedDict(x={a}, y={b})", "collections.OrderedDict()",
        "collections.OrderedDict([(({k},), {a})])", "Ordered(x={a})",
        "collections.OrderedDict.fromkeys(range(70), {a})",
    ),
    "counter": ("collections.Counter('hello')", "Count(a=1)", "collections.Counter({{{k}: {a}}})"),
    "view": (
        "{{{k}: {a}}}.keys()", "{{{k}: {a}, {j}: {b}}}.values()", "{{{k}: {a}}}.items()",
        "dict.fromkeys(range(70)).items()", "collections.OrderedDict(x={a}).items()",
        "collections.Counter('ab').keys()",
    ),
    "object": (
        "Plain({a}, {b})", "Liar({a}, {b})", "Hidden({a}, {b})", "HiddenBelow({a}, {b})",
        "types.SimpleNamespace(a={a}, b={b})", "Data({a})", "Data({a}, {b}, {c})", "SubData({a})", "Quiet({a}, {b})",
        "Int(5)", "Int(2**80)", "Str('it\\'s')", "Float(-0.0)", "Bytes(b'x')", "List([{a}])", "Held({a})",
        "Failure({a}, {b})", "ExceptionGroup('g', [ValueError({a})])", "KeyError({a}, {b})",
    ),
    "slots": (
        "Slots({a}, {b})", "MoreSlots({a}, {b})", "Shadowed({a}, {b})", "Taken({a}, {b})", "SlotData({a}, {b})",
        "SlotList([{a}])",
    ),
    "pair": ("Pair({a}, {b})", "One({a})", "Nothing()", "Typed({a})", "SubPair({a}, {b})", "Ice({a})"),
    "array": (
        "bytearray(b'it\\'s')", "bytearray()", "bytearray(600)", 'bytearray(b\'a\\\'"\' * 300)', "Array(b'x')",
    ),
    "member": (
        "Color.RED", "Color.PAIR", "Level.LOW", "Word.A", "Own.A", "Mode.R | Mode.W", "Mode(0)", "BitMode.R",
        "BitMode(3)",
    ),
    "leaf": (
        "range({i})", "range({i}, 9, 2)", "range(2**70, 2**71, 2**72)", "slice({a}, {b})", "slice(None)", "function",
        "lambda: 0", "len", "[].append", "str.upper", "''.__add__", "str.__add__", "dict.fromkeys",
        "dict.__dict__['fromkeys']", "int", "Strange()", "type('Made', (), {{}})", "object()",
        "iter([{a}])", "functools.partial(function, {a})", "function.__get__({a})", "property(function)",
        "staticmethod(function)", "decimal.Decimal('1.50')", "decimal.Decimal('NaN')", "Number('2')",
        "fractions.Fraction(1, 3)", "fractions.Fraction(10**4400, 3)", "Ratio(1, 2)", "datetime.date(2020, 1, 2)",
        "Day(2020, 1, 2)", "datetime.time(1, 2, fold=1)", "datetime.datetime(2020, 1, 2, 3)",
        "datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc)", "datetime.time(1, tzinfo=Zone())",
        "datetime.timedelta(1, 2, 3)", "uuid.UUID(int=5)", "pathlib.PurePosixPath('a/b')", "types.ModuleType('m')",
        "types.MappingProxyType({{1: {a}}})", "memoryview(b'x')", "zip(())", "type('a\\\\nb', (), {{}})()",
    ),
}  # fmt: skip
ANY = (
    "{v} = {a}", "{v} = [{v}]", "del {v}", "{v} = {v}", "{v}.x = {a}", "del {v}.x", "{v}.__class__ = Plain",
    "{v} = ({v}, {w})",
)  # fmt: skip
CHANGES = {
    "list": (
        "{v}.append({a})", "{v}[0] = {a}", "{v}[-1] = {a}", "{v}.reverse()", "del {v}[0]", "{v}.clear()",
        "{v}.insert(0, {v})", "{v}.extend([{a}, {b}])", "{v} += [{a}]", "{v}[0].append({a})", "change({v}, {a})",
        "{v}[66] = {a}", "{v} *= 2",
    ),
    "tuple": ("{v} += ({a},)", "{v}[0].append({a})", "{v} = {v}[1:]"),
    "dict": (
        "{v}[{k}] = {a}", "{v}.clear()", "{v}[{k}] = {v}", "{v}.pop({k})", "{v}['n'] = {v}.pop({k})",
        "{v}.update(q={a})", "{v} |= {{{k}: {a}}}", "{v}[68] = {a}",
    ),
    "set": ("{v}.add({k})", "{v}.discard({k})", "{v} |= {{{k}}}", "{v}.clear()", "{v}.pop()"),
    "deque": (
        "{v}.append({a})", "{v}.appendleft({v})", "{v}.rotate(1)", "{v}.clear()", "{v}.popleft()",
        "{v}.extend([{a}] * 66)",
    ),
    "default": (
        "{v}['z'].append({a})", "{v}.default_factory = {a}", "{v}.default_factory = int", "{v}['z'] = {v}",
        "del {v}['x']",
    ),
    "ordered": ("{v}.move_to_end('x')", "{v}['z'] = {v}", "{v}[{k}] = {a}", "del {v}['x']", "{v}.popitem()"),
    "counter": ("{v}['l'] += 1", "{v}.clear()", "{v}[{k}] = {a}", "{v}.update('abc')"),
    "view": ("{v}.mapping", "{v} = list({v})"),
    "object": (
        "{v}.a = {a}", "{v}.b = {v}", "del {v}.a", "{v}.a.append({a})", "{v}.c = {a}", "vars({v}).clear()",
        "{v}.__dict__ = {{'z': {a}}}", "{v}.__dict__ = Dict(z={a})", "vars({v})[3] = {a}",
        "vars({v})[Str('k')] = {a}", "object.__setattr__({v}, 'a', {a})", "{v}.args = ({a}, {v})", "{v}.args = ()",
        "change({v}.a, {b})", "{v}.__class__ = Hidden", "{v}.add_note('n')",
        "for i in range(70): setattr({v}, 'n%d' % i, i)", "object.__delattr__({v}, 'a')",
    ),
    "slots": (
        "{v}.a = {a}", "{v}.b = {v}", "del {v}.a", "{v}.c = {a}", "{v}._MoreSlots__private = {a}", "{v}.d = {a}",
        "{v}.e = {a}", "{v}.x = {a}", "Slots.a.__set__({v}, {a})",
    ),
    "pair": ("{v} = {v}._replace(a={a})", "{v}.a.append({a})", "object.__setattr__({v}, 'a', {a})"),
    "array": ("{v}[0] = 39", "{v}.append(34)", "{v}.clear()", "{v} += b'x' * 300", "{v}[-1] = 1", "del {v}[:2]"),
    "member": (
        "{v}._value_ = {a}", "{v}._name_ = 'N'", "{v}.extra = {a}", "{v}._value_ = {v}", "del {v}._value_",
        "{v}._name_ = 5",
    ),
    "leaf": (
        "{v}.__qualname__ = 'q'", "{v}.__name__ = 'n'", "{v}.__name__ = 5", "next({v})", "{v}.extra = {a}",
        "{v} = [{v}] * 3", "vars({v})[1] = {a}", "{v}.__name__ = 'é\\ud800'", "function.__qualname__ = 'é'",
    ),
}  # fmt: skip
LARGE = (
    "[[i, [{a}]] for i in range(1500)]", "[Plain({a}, i) for i in range(1200)]", "[{v}] * 3000", "nest(Plain, 150)",
    "nest(List, 120)", "graph(700)", "{{i: (i, [{v}]) for i in range(1400)}}",
    "collections.deque(Slots(i, {v}) for i in range(1500))",
)  # fmt: skip
LARGE_PRELUDE = """
def nest(cls, n):
    value = [1]
    for _ in range(n):
        value = [value] if cls is List else cls(value, 1)
    return value

def graph(n):
    nodes = [Plain([], i) for i in range(n)]
    for i in range(n):
        nodes[i].a.extend((nodes[i // 2], nodes[i - 1], nodes[(7 * i) % n]))
    return nodes
"""


def value_program(seed):
    """(source, call). One in eight is about large values, with few lines."""
    rng = random.Random(seed)
    is_large = seed % 8 == 7
    kinds, lines = {}, []

    def filled(template, name=None):
        held = [*kinds, *kinds, *rng.sample(ATOMS, 4)]
        words = {letter: rng.choice(held) for letter in "abc"}
        words.update(k=rng.choice(HASHABLE), j=rng.choice(KEYS), i=rng.randrange(9))
        return template.format(v=name or rng.choice([*kinds, "0"]), w=rng.choice([*kinds, "0"]), **words)

    for i in range(3 if is_large else 5):
        kind = rng.choice([*VALUES])
        lines.append(f"v{i} = {filled(rng.choice(VALUES[kind]))}")
        kinds[f"v{i}"] = kind
    if is_large:
        lines.append(f"large = {filled(rng.choice(LARGE))}")
        kinds["large"] = "list"
    for _ in range(8 if is_large else 30):
        name = rng.choice([*kinds])
        statement = filled(rng.choice(ANY if rng.random() < 0.15 else CHANGES[kinds[name]]), name)
        if rng.random() < 0.1:
            kinds[name] = rng.choice([*VALUES])
            statement = f"{name} = {filled(rng.choice(VALUES[kinds[name]]))}"
        block = statement.startswith("for ")
        lines.append(f"with S:\n        {statement}" if block else f"with S: {statement}")
    lines.append(f"return {', '.join(kinds)}")
    prelude = PRELUDE + LARGE_PRELUDE if is_large else PRELUDE
    return prelude + "\ndef f():\n" + "".join(f"    {line}\n" for line in lines), "f()"

"""Programs that a recorder may trip over, change, or be fooled by: what the tests and `benchmarks/hazards.py` run.

    HAZARDS: name -> Hazard(source with a `run()`, options, what the trace must show)

`run()` returns what the program saw of itself: traced, it must return the same. In the syntax of Python 3.8, and
nothing in it depends on an address, on time or on the order of a set.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Hazard:
    title: str
    source: str
    shows: dict = field(default_factory=dict)
    """Name of a variable -> the texts that it shows, one after the other, in whatever activation."""
    options: dict = field(default_factory=dict)
    outcome: str = "returned"
    exempt: dict = field(default_factory=dict)
    """Engine, or engine and version ("python", "native 3.11") -> why the result is not the untraced one there."""


HAZARDS = {}
SNAPSHOTS = ("python 3.8", "python 3.9", "python 3.10", "python 3.11", "python 3.12")
"""Where reading a frame's locals leaves a dictionary of them behind."""


def hazard(name, title, source, **rest):
    HAZARDS[name] = Hazard(title, source.lstrip("\n"), **rest)


# ---- changes that are easily missed

hazard(
    "far",
    "a change in place far inside a list of 200",
    """
def run():
    xs = list(range(1000, 1200))
    xs[190] = "new"
    xs[5] = "seen"
    return len(xs)
""",
    shows={"xs": ["[1000, 1001, 1002, ", "[1000, 1001, 1002, ", "[1000, 1001, 1002, 1003, 1004, 'seen', "]},
)
hazard(
    "equal",
    "1 to True, 0.0 to -0.0, 1 to 1.0: equal values, other texts",
    """
def run():
    one = int("1")
    one = bool(one)
    zero = float("0")
    zero = -zero
    xs = [int("1")]
    xs[0] = float(1)
    return one, zero, xs
""",
    shows={"one": ["1", "True"], "zero": ["0.0", "-0.0"], "xs": ["[1]", "[1.0]"]},
)
hazard(
    "aliases",
    "a change through another name; a list that holds itself",
    """
def run():
    a = [1]
    b = (a, {"k": a})
    a.append(2)
    a.append(a)
    del a[2]
    return b
""",
    shows={
        "a": ["[1]", "[1, 2]", "[1, 2, [...]]", "[1, 2]"],
        "b": [
            "([1], {'k': [1]})",
            "([1, 2], {'k': [1, 2]})",
            "([1, 2, [...]], {'k': [1, 2, [...]]})",
            "([1, 2], {'k': [1, 2]})",
        ],
    },
)
hazard(
    "activations",
    "recursion: each activation has its own variables",
    """
def run(n=3):
    xs = [n]
    if n > 1:
        inner = run(n - 1)
        xs.append(inner)
    return xs
""",
    options={"full_after_return": False},
    shows={"n": ["3", "2", "1"], "xs": ["[3]", "[2]", "[1]", "[2, [1]]", "[3, [2, [1]]]"]},
)

# ---- hostile values

hazard(
    "raising",
    "`__repr__` raises, on a `self` that is half built",
    """
class Half:
    def __init__(self):
        self.a = 1
        self.b = [self]
    def __repr__(self):
        return "<%s %s>" % (self.a, self.b)

class Slots:
    __slots__ = ("a", "b")
    def __init__(self):
        self.b = 2
        self.a = 1
    def __repr__(self):
        raise ValueError

def run():
    half = Half()
    slots = Slots()
    return half.a, slots.b
""",
    shows={
        "self": ["<Half>", "<Half a=1>", "<Slots>", "<Slots b=2>"],
        "half": ["<Half a=1 b=[<Half ...>]>"],
        "slots": ["<Slots a=1 b=2>"],
    },
)
hazard(
    "half_built",
    "objects half built by others' classes: dataclass, exception, named tuple, enum",
    """
import collections, dataclasses, enum

@dataclasses.dataclass
class Point:
    x: int
    y: int
    def __post_init__(self):
        del self.x
        seen = 1

@dataclasses.dataclass
class Late(Point):
    def __init__(self):
        first = 1
        self.y = 2

class Odd(Exception):
    def __init__(self, a):
        self.a = a
    def __str__(self):
        return self.missing

class Pair(collections.namedtuple("Pair", "a b")):
    def __new__(cls, a):
        made = super().__new__(cls, a, a)
        return made

class Color(enum.Enum):
    RED = 1
    def __init__(self, value):
        half = self
        self.extra = value

def run():
    late = Late()
    odd = Odd(1)
    pair = Pair(3)
    return late.y, odd.a, pair.b, Color.RED.extra
""",
    shows={
        "self": ["Late()", "Odd(1)"],
        "late": ["Late(y=2)"],
        "odd": ["Odd(1)"],
        "pair": ["Pair(a=3, b=3)"],
        "made": ["Pair(a=3, b=3)"],
    },
)
hazard(
    "looping",
    "`__repr__` loops for ever",
    """
class Endless:
    def __repr__(self):
        while True:
            pass

def run():
    x = Endless()
    xs = [x]
    return len(xs)
""",
    shows={"x": ["<Endless>"], "xs": ["[<Endless>]"]},
)
hazard(
    "side_effects",
    "`__repr__` has side effects",
    """
COUNT = [0]

class Counting:
    def __repr__(self):
        COUNT[0] += 1
        return "counting"

def run():
    x = Counting()
    y = [x, {1: x}]
    z = 1
    return COUNT[0]
""",
    shows={"y": ["[<Counting>, {1: <Counting>}]"]},
)
hazard(
    "mutating",
    "`__repr__` changes the very list that holds it",
    """
XS = []

class Mutating:
    def __repr__(self):
        XS.clear()
        XS.extend([1] * 100)
        return "m"

def run():
    xs = XS
    xs.extend([Mutating(), Mutating(), 3])
    n = len(xs)
    return n, xs[2]
""",
    shows={"xs": ["[]", "[<Mutating>, <Mutating>, 3]"]},
)
hazard(
    "lying",
    "values that lie: `__class__`, `__len__`, `__eq__`, `__getattribute__`, `__dict__`, a `__repr__` that is no text",
    """
class Liar:
    __class__ = property(lambda self: int)
    __dict__ = property(lambda self: {"lie": 1})
    def __len__(self):
        return -1
    def __repr__(self):
        return 5
    def __eq__(self, other):
        raise ValueError
    def __hash__(self):
        raise TypeError
    def __getattribute__(self, name):
        raise AttributeError(name)
    def __bool__(self):
        raise RuntimeError

class List(list):
    def __len__(self):
        return 10 ** 9
    def __iter__(self):
        return iter(["lie"])
    def __getitem__(self, i):
        return "lie"

class Dict(dict):
    def items(self):
        return [("lie", 1)]
    keys = values = __iter__ = items

class Str(str):
    def __str__(self):
        return "lie"
    __repr__ = __str__

def run():
    a = Liar()
    b = List([1])
    c = Dict(k=2)
    d = Str("true")
    e = [a, b, c, d]
    return e is not None
""",
    shows={"a": ["<Liar>"], "b": ["<List [1]>"], "c": ["<Dict {'k': 2}>"], "d": ["<Str 'true'>"]},
)
hazard(
    "metaclass",
    "classes that lie: a metaclass with its own `__getattribute__`, `__eq__`, `__hash__`, `__instancecheck__`",
    """
class Meta(type):
    def refuse(cls, *_):
        raise RuntimeError
    __eq__ = __hash__ = __instancecheck__ = __subclasscheck__ = __repr__ = refuse
    __name__ = __mro__ = property(refuse)

def run():
    Odd = Meta("Odd", (), {})
    made = object.__new__(Odd)
    strange = type("a\\nb", (), {})()
    return type(made) is Odd
""",
    shows={"Odd": ["<class Odd>"], "made": ["<Odd>"]},
)
hazard(
    "namespace",
    "a class body whose namespace lies (`__prepare__`)",
    """
CALLS = []

class Space(dict):
    def items(self):
        CALLS.append("items")
        raise RuntimeError
    def __contains__(self, key):
        CALLS.append("contains")
        raise RuntimeError
    def __iter__(self):
        CALLS.append("iter")
        raise RuntimeError
    keys = values = __len__ = __iter__

class Meta(type):
    @classmethod
    def __prepare__(cls, name, bases):
        return Space()
    def __new__(cls, name, bases, space):
        return type.__new__(cls, name, bases, {})

def run():
    class Body(metaclass=Meta):
        a = 1
        a = [a]
        del a
        b = 2
    return CALLS
""",
    shows={"a": ["1", "[1]"], "b": []},
)
hazard(
    "enormous",
    "an enormous `__repr__`; an enormous text",
    """
class Enormous:
    def __repr__(self):
        return "x" * 10 ** 8

def run():
    x = Enormous()
    s = "ab" * 5000000
    t = s[:-1]
    b = bytes(5000000)
    return len(t)
""",
    shows={"x": ["<Enormous>"], "s": ["'abab"], "t": ["'abab"], "b": ["b'\\x00"]},
)
hazard(
    "million",
    "a list of 1,000,000 items over some 20 frames",
    """
def run():
    xs = list(range(1000000))
    total = 0
    for i in range(3):
        xs[i * 1000] = None
        total += len(xs)
        xs.append(i)
    d = dict.fromkeys(range(30000))
    d[1] = 2
    s = set(range(30000))
    s.add(-1)
    return total
""",
    shows={"total": ["0", "1000000", "2000001", "3000003"]},
)
hazard(
    "digits",
    "integers of more than 4,300 digits",
    """
from fractions import Fraction

def run():
    n = 10 ** 5000
    xs = [n, {n: n}, (n,), {n}]
    f = Fraction(n, 3)
    n += 1
    try:
        raise KeyError(n)
    except KeyError as e:
        caught = e
    return n.bit_length()
""",
    shows={"n": ["0x", "0x"], "xs": ["[0x"]},
)
hazard(
    "deep",
    "lists, tuples, dicts and instances nested 5,000 deep",
    """
class Node:
    def __init__(self, next):
        self.next = next

def run():
    xs = []
    ys = ()
    d = {}
    node = None
    step = "for _ in range(4999): xs = [xs]; ys = (ys,); d = {1: d}; node = Node(node)"
    names = {"xs": xs, "ys": ys, "d": d, "node": node, "Node": Node}
    exec(step, names)
    xs, ys, d, node = names["xs"], names["ys"], names["d"], names["node"]
    names = None
    top = xs
    while top[0]:
        top = top[0]
        if not top[0]:
            top.append("end")
            break
    while node:
        node = node.next
    return len(top)
""",
    options={"max_frames": 60},
    outcome="budget",
)
hazard(
    "cyclic",
    "a tree whose nodes know their parents; a ring",
    """
class Node:
    def __init__(self, parent):
        self.parent = parent
        self.children = []
        if parent is not None:
            parent.children.append(self)

def run():
    root = Node(None)
    for _ in range(2):
        child = Node(root)
        for _ in range(2):
            Node(child)
    ring = []
    ring.append((ring, [ring], {"r": ring}))
    return len(root.children)
""",
    shows={"ring": ["[]", "[([...], [[...]], {'r': [...]})]"]},
    options={"full_after_return": False},
)

# ---- what the program does with the recorder's means

hazard(
    "settrace",
    "the program calls `sys.settrace(None)`",
    """
import sys

def run():
    a = int("1")
    sys.settrace(None)
    b = 2
    return a + b
""",
    shows={"a": ["1"]},
    outcome="displaced or returned",
)
hazard(
    "put_back",
    "the program takes the trace function off and puts it back",
    """
import sys

def quiet():
    before = sys.gettrace()
    sys.settrace(None)
    return before

def loud(n):
    return n + 1

def run():
    before = quiet()
    a = loud(1)
    sys.settrace(before)
    b = loud(2)
    return a, b
""",
    outcome="displaced or returned",
)
hazard(
    "endless",
    "an endless loop that catches everything",
    """
def run():
    while True:
        try:
            x = 1
        except:
            pass
""",
    options={"max_frames": 200},
    outcome="budget",
)
hazard(
    "exit",
    "`sys.exit`",
    """
import sys

def run():
    try:
        sys.exit(3)
    finally:
        last = 1
""",
    shows={"last": []},
    outcome="exit",
)
hazard(
    "recursion_limit",
    "recursion to the limit: how deep it gets",
    """
import sys

def down(n):
    try:
        return down(n + 1)
    except RecursionError:
        return n

def run():
    frame, n = sys._getframe(), 0
    while frame:
        frame, n = frame.f_back, n + 1
    return n + down(0), n + down(0)
""",
    options={"max_frames": 100000, "max_bytes": 100000000},
    outcome="displaced or returned",
    exempt={"python": "the engine's own Python code needs a few levels of the program's stack"},
)
hazard(
    "recursion_values",
    "the recursion limit, with values that need Python code to be written",
    """
import collections, sys

def down(n):
    queue = collections.deque([n])
    try:
        return down(n + 1)
    except RecursionError:
        return n

def run():
    frame, n = sys._getframe(), 0
    while frame:
        frame, n = frame.f_back, n + 1
    return n + down(0)
""",
    options={"max_frames": 100000, "max_bytes": 100000000},
    outcome="displaced or returned",
    exempt={"python": "the engine's own Python code needs a few levels of the program's stack"},
)
hazard(
    "locals",
    "`locals()` in the recorded function",
    """
def run():
    x = 1
    seen = locals()
    x = 2
    y = seen["x"], "seen" in seen
    z = 3
    return y, seen["x"], "z" in seen
""",
    exempt=dict.fromkeys(SNAPSHOTS, "before 3.13 the interpreter refreshes that dictionary for `f_locals`"),
)
hazard(
    "frames",
    "the stack as the program sees it: depth, callers, tracebacks",
    """
import inspect, sys, traceback

def depth():
    frame, n = sys._getframe(), 0
    while frame.f_code.co_name != "run":
        frame, n = frame.f_back, n + 1
    return n

def raising():
    return depth() / 0

def run():
    names = [info.function for info in inspect.stack()[:1]]
    try:
        raising()
    except ZeroDivisionError:
        text = traceback.format_exc()
    entries = [line.strip() for line in text.splitlines() if "line" in line]
    return depth(), names, [line.rpartition(", line ")[2] for line in entries], sys._getframe().f_lineno
""",
)

# ---- the life of objects

hazard(
    "death",
    "the order in which objects die: weak references, `__del__`, `except .. as e`, temporaries",
    """
import weakref

SEEN = []

class Thing:
    def __init__(self, name):
        self.name = name
    def __del__(self):
        SEEN.append(self.name)

def use(thing):
    held = [thing]
    return thing.name

def run():
    a = Thing("a")
    watched = weakref.ref(a, lambda _: SEEN.append("callback"))
    b = Thing("b")
    a = None
    SEEN.append("after a")
    use(Thing("temporary"))
    SEEN.append("after use")
    try:
        kept = Thing("in try")
        raise ValueError(Thing("in exception"))
    except ValueError as e:
        SEEN.append("handler")
    SEEN.append("after except")
    del b
    for i in range(2):
        thing = Thing("loop %d" % i)
    else:
        thing = Thing("else")
    del thing, kept
    xs = [Thing("in list")]
    xs[0] = {Thing("key"): Thing("value")}
    xs.clear()
    return SEEN, watched()
""",
    exempt=dict.fromkeys(SNAPSHOTS, "before 3.13 `f_locals` keeps what it showed until the next event"),
)
hazard(
    "garbage",
    "when cyclic garbage is collected",
    """
import gc

SEEN = []

class Cycle:
    def __init__(self, n):
        self.n = n
        self.me = self
    def __del__(self):
        SEEN.append(self.n)

def run():
    gc.collect()
    gc.set_threshold(50, 1000, 1000)
    at = []
    for n in range(60):
        Cycle(n)
        at.append(len(SEEN))
    gc.set_threshold(700, 10, 10)
    gc.collect()
    return len(SEEN), gc.isenabled(), [n > 0 for n in at].index(True) // 10
""",
    exempt={"python": "the objects of the engine's own Python code count towards the next collection"},
)
hazard(
    "references",
    "reference counts, and classes that die",
    """
import gc, sys, weakref

def count(thing):
    return sys.getrefcount(thing)

def run():
    thing = object()
    xs = [thing]
    counts = sys.getrefcount(thing), count(thing), sys.getrefcount(xs)
    text = "".join(["a", "b"]) * 400
    return counts
""",
    exempt=dict.fromkeys(SNAPSHOTS, "before 3.13 `f_locals` holds the locals too"),
)
hazard(
    "resurrection",
    "`__del__` that brings its object back; a generator that is closed by its death",
    """
KEPT = []
SEEN = []

class Phoenix:
    def __del__(self):
        if len(KEPT) < 2:
            KEPT.append(self)

def gen():
    try:
        yield 1
        yield 2
    finally:
        SEEN.append("closed")

def run():
    p = Phoenix()
    p = None
    KEPT.pop()
    g = gen()
    next(g)
    g = None
    SEEN.append("after")
    return SEEN, len(KEPT)
""",
)

# ---- control flow

hazard(
    "generators",
    "generators: what they return, close, throw, yield from",
    """
def inner():
    try:
        got = yield 1
        got = yield got
    except KeyError as e:
        yield "caught"
    finally:
        done = 1
    return "inner's"

def outer():
    result = yield from inner()
    return [result]

def run():
    out = []
    g = outer()
    out.append(next(g))
    out.append(g.send("sent"))
    out.append(g.throw(KeyError("k")))
    try:
        next(g)
    except StopIteration as stop:
        out.append(stop.value)
    h = inner()
    next(h)
    out.append(h.close())
    out.append(list(x for x in inner()))
    return out
""",
)
hazard(
    "async",
    "coroutines and asynchronous generators",
    """
import asyncio

class Context:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self
    async def __aexit__(self, *exc):
        return True

async def numbers(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)

async def task(n):
    total = 0
    async for i in numbers(n):
        total += i
    async with Context() as c:
        raise ValueError(n)
    return total, [i async for i in numbers(2)]

async def both():
    return await asyncio.gather(task(1), task(3))

def run():
    return asyncio.run(both())
""",
)
hazard(
    "exceptions",
    "exceptions: context, cause, notes, `finally` that returns, a frame that is left",
    """
import sys

def leave():
    try:
        raise ValueError("first")
    finally:
        return sys.exc_info()[0] is ValueError

def chain():
    try:
        {}["k"]
    except KeyError as e:
        raise TypeError("second") from e

def run():
    out = [leave(), sys.exc_info()]
    try:
        chain()
    except TypeError as e:
        out += [repr(e.__cause__), e.__cause__ is e.__context__, sys.exc_info()[1] is e]
        tb = e.__traceback__
        while tb:
            out.append(tb.tb_lineno)
            tb = tb.tb_next
    return out
""",
)
hazard(
    "threads",
    "threads: a shared list, a lock, and variables that change under another thread",
    """
import threading

def work(n, out, lock):
    for i in range(200):
        with lock:
            out.append(n)
            out[0] += 1

def run():
    out, lock = [0], threading.Lock()
    threads = [threading.Thread(target=work, args=(n, out, lock)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return out[0], sorted(out[1:]) == sorted([n for n in range(4) for _ in range(200)])
""",
    options={"max_frames": 10000, "max_bytes": 10000000},
)
hazard(
    "hooks",
    "threads that take the main thread's trace function for their own",
    """
import collections, sys, threading

def work(n):
    out = []
    for i in range(n):
        counts = collections.Counter(a=i)
        out = [*out[-3:], counts["a"]]
    return out

def take(hook, out):
    sys.settrace(hook)
    out.append(work(150))

def run():
    interval, out = sys.getswitchinterval(), []
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=take, args=(sys.gettrace(), out)) for _ in range(2)]
    for thread in threads:
        thread.start()
    out.append(work(150))
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    return out
""",
    shows={"i": [str(i) for i in range(150)]},
    options={"full_after_return": False},
    outcome="returned or displaced",
)
hazard(
    "monkey",
    "the program replaces builtins and the clock",
    """
import builtins, collections, time

def replace(**others):
    before = {name: getattr(builtins, name) for name in others}
    vars(builtins).update(others)
    return before

def run():
    clock = time.monotonic
    time.monotonic = lambda: 10.0 ** 9
    before = replace(len=None, type=None, repr=None, id=None, isinstance=None, map=None, zip=None, str=None, set=None)
    xs = [1, 2]
    d = {"k": xs, "s": (1, [2])}
    q = collections.deque([1])
    q.append(xs)
    xs.append(3)
    vars(builtins).update(before)
    del builtins.reversed, builtins.list
    q.append(2)
    builtins.reversed, builtins.list = reversed_, list_
    time.monotonic = clock
    return xs, q

reversed_, list_ = reversed, list
""",
    shows={
        "xs": ["[1, 2]", "[1, 2, 3]"],
        "q": ["deque([1])", "deque([1, [1, 2]])", "deque([1, [1, 2, 3]])", "deque([1, [1, 2, 3], 2])"],
    },
    options={"full_after_return": False},
)
hazard(
    "large",
    "changes far inside large values: rows of a table, nodes that know their parents, a list that holds itself",
    """
class Node:
    def __init__(self, parent, value):
        self.parent = parent
        self.value = value
        self.nodes = []

def tree(size):
    nodes = [Node(None, 0)]
    for i in range(1, size):
        parent = nodes[i // 3]
        nodes.append(Node(parent, i))
        parent.nodes.append(nodes[i])
    return nodes

def grow(rows):
    rows[1900]["b"].append(None)
    rows[1900]["b"].pop()
    rows[1900] = {"a": 1900, "b": [1900]}
    rows[7]["b"] = rows
    rows[7]["b"] = [7]
    return len(rows)

def prune(root, last):
    last.value = -1
    last.value = -1
    last.parent = None
    last.parent = root
    last.nodes.append(last)
    del last.nodes[0]
    return root.value

def run():
    return grow(ROWS), prune(NODES[0], NODES[-1])

NODES = tree(900)
ROWS = [{"a": i, "b": [i]} for i in range(2000)]
""",
    shows={
        "rows": ["[{'a': 0, 'b': [0]}, {'a': 1, 'b': [1]}"] * 5,
        "root": ["<Node parent=None value=0 nodes=[<Node parent=<Node ...>"] * 6,
        "last": ["<Node parent=<Node"] * 2 + ["<Node parent=None"] + ["<Node parent=<Node"] * 3,
    },
    options={"full_after_return": False},
)
hazard(
    "labels",
    "what is named and not shown is given another name: functions, classes, modules, members, factories",
    """
import collections, enum, types

class Color(enum.Enum):
    RED = 1

class Plain:
    pass

class Many(list):
    pass

class Slotted:
    __slots__ = ("a", "b")

def run():
    def f():
        pass
    module = types.ModuleType("m")
    counts = collections.defaultdict(int, a=[1])
    many = Many([1])
    slots = Slotted()
    slots.a = slots
    order = collections.OrderedDict(a=1, b=2)
    held = [f, Plain, module, Color.RED, len, str.upper, "".__add__]
    f.__qualname__ = "g"
    Plain.__name__ = "Q"
    module.__name__ = "n"
    del module.__name__
    Color.RED._value_ = 2
    counts.default_factory = Plain
    counts["a"].append(2)
    many.x = many
    many.append(2)
    slots.b = 5
    del slots.a
    order.move_to_end("a")
    order["b"] = 3
    return None
""",
    shows={
        "held": [
            f"[<function {f}>, <class {c}>, <module {m}>, <Color.RED: {n}>, "
            "<built-in len>, <built-in upper>, <built-in __add__>]"
            for f, c, m, n in (
                ("run.<locals>.f", "Plain", "m", 1),
                ("g", "Plain", "m", 1),
                ("g", "Q", "m", 1),
                ("g", "Q", "n", 1),
                ("g", "Q", "module", 1),
                ("g", "Q", "module", 2),
            )
        ],
        "counts": [
            "defaultdict(int, {'a': [1]})",
            "defaultdict(Q, {'a': [1]})",
            "defaultdict(Q, {'a': [1, 2]})",
        ],
        "many": ["<Many [1]>", "<Many [1] x=<Many ...>>", "<Many [1, 2] x=<Many ...>>"],
        "slots": ["<Slotted>", "<Slotted a=<Slotted ...>>", "<Slotted a=<Slotted ...> b=5>", "<Slotted b=5>"],
    },
)
hazard(
    "names",
    "names that are not identifiers, deleted names, cells, a class body, `nonlocal`",
    """
def outer(a):
    b = [a]
    def inner():
        nonlocal a
        a += 1
        b.append(a)
        return a
    inner()
    del b[0]
    class Body:
        c = a
        d = [x for x in (1, 2)]
        del c
    e = 1
    del e
    e = 2
    return a, b

def run():
    return outer(1), list(x for x in outer(2))
""",
)

import collections
import dataclasses
import enum
import typing


class Color(enum.Enum):
    RED = 1
    BLUE = "b"


@dataclasses.dataclass
class Point:
    x: int
    y: typing.Any = None


class Pair(typing.NamedTuple):
    a: int
    b: int


class Node:
    def __init__(self, value, next=None):
        self.value = value
        self.next = next


class Slotted:
    __slots__ = ("a", "b")


def run():
    one = 1
    one = True
    zero = 0.0
    zero = -0.0
    xs = [0] * 70
    xs[69] = 1
    text = "ab" * 400
    text = text[:-1] + "c"
    deep = [[[[[[[["x"]]]]]]]]
    deep[0][0][0][0][0][0][0] = "changed below the cut"
    loop = [1]
    loop.append(loop)
    d = {"k": {1, 2}, (1,): frozenset(), None: b"b\0"}
    d["self"] = d
    p = Point(1)
    p.y = p
    q = Pair(1, 2)
    c = [Color.RED, Color.BLUE, Color]
    n = Node(1, Node(2))
    n.next.next = n
    s = Slotted()
    s.b = 2
    many = [collections.deque([1], maxlen=2), collections.Counter("aab"), collections.defaultdict(list, a=[1])]
    kinds = [range(3), slice(1), len, run, Node, Node(0).__init__, collections, iter([]), ...]
    e = ValueError("v", [1])
    big = 10 ** 5000
    lone = "\ud800<|frame_sep|>\u2028é"
    return one, zero, len(text), q, str(e), lone

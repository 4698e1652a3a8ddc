"""More inputs for a function, from the ones it has: type-directed mutation, and the choice of those worth keeping.

    calls "f([3, 4], 2)" --mutated_calls--> "f([4, 3], 2)", "f([3], -1)", ... --record--> choose --> kept

A mutation changes one or two places in the arguments and keeps every type, so that the function still works on what it
gets: numbers move a little or jump to a boundary, strings and containers lose, double, swap or change elements.
The strategy is fuzzing's "mutate what is known to work"; the values follow hypothesis (small, boundary, nasty).
Of the traces of a program those are kept that show most: lines of it that no other shows, then other kinds of outcome,
then other paths (sequences of lines); a few are kept for another result only. Precursor of CWM: coverage- and
diversity-filtered, about 6 inputs per function (arXiv 2503.05703).

Left out: inputs made from nothing (without a known call), and inputs chosen by a language model.
"""

import ast
import random
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from opencwm.data.literals import literal_text
from opencwm.trace.recording.frame import Trace

BOUNDARIES = (0, 1, -1, 2, 7, 10, 16, 64, 99, 100, 255, 256, 1000)
FLOATS = (0.0, 1.0, -1.0, 0.5, 1.5, 2.25, -3.75, 10.0, 100.0)
CHARACTERS = "abcxyzABZ019 _-.,!'"
MAX_ELEMENTS = 12
MAX_CHARS = 40
MAX_SIMILAR = 2
"""Traces of one program that differ from others in their values only."""
TRIES = 8
"""Attempts per wanted call; mutations of small values soon repeat themselves."""


def mutated_calls(calls: Sequence[str], rng: random.Random, *, count: int) -> Iterator[str]:
    """At most `count` new calls, all different and different from the given ones."""
    seen = set(calls)
    parsed = [call for call in map(_parse, calls) if call is not None]
    if not parsed:
        return
    for _ in range(count * TRIES):
        if count == 0:
            return
        text = ast.unparse(_mutated_call(rng.choice(parsed), rng))
        if text not in seen:
            seen.add(text)
            count -= 1
            yield text


def _parse(call: str) -> ast.Call | None:
    """The call, if it has arguments that are literal values."""
    node = ast.parse(call, mode="eval").body
    return node if isinstance(node, ast.Call) and any(map(_places, _calls_of(node))) else None


def _calls_of(call: ast.Call) -> list[ast.Call]:
    """The call itself, and of a method's the one that makes its object: `C(1)` of `C(1).m(2)`."""
    made = call.func.value if isinstance(call.func, ast.Attribute) else None
    return [call, made] if isinstance(made, ast.Call) else [call]


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(each.value for each in call.keywords)]


def _places(call: ast.Call) -> list[int]:
    """Which arguments are literal values."""
    return [index for index, node in enumerate(_arguments(call)) if _value(node) is not None]


def _value(node: ast.expr) -> tuple[Any] | None:
    try:
        return (ast.literal_eval(node),)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _mutated_call(call: ast.Call, rng: random.Random) -> ast.Call:
    calls = [each for each in _calls_of(call) if _places(each)]
    chosen = calls[0] if len(calls) == 1 else rng.choice(calls)
    if chosen is call:
        return _with_mutations(call, rng)
    assert isinstance(call.func, ast.Attribute), ast.unparse(call)
    method = ast.Attribute(value=_with_mutations(chosen, rng), attr=call.func.attr)
    return ast.Call(func=method, args=call.args, keywords=call.keywords)


def _with_mutations(call: ast.Call, rng: random.Random) -> ast.Call:
    places = _places(call)
    chosen = set(rng.sample(places, min(len(places), rng.choice((1, 1, 2)))))
    arguments = [
        _literal(mutate(*_known(node), rng)) if index in chosen else node for index, node in enumerate(_arguments(call))
    ]
    keywords = [
        ast.keyword(arg=each.arg, value=value)
        for each, value in zip(call.keywords, arguments[len(call.args) :], strict=True)
    ]
    return ast.Call(func=call.func, args=arguments[: len(call.args)], keywords=keywords)


def _known(node: ast.expr) -> tuple[Any]:
    value = _value(node)
    assert value is not None, ast.unparse(node)
    return value


def _literal(value: Any) -> ast.expr:
    return ast.parse(literal_text(value), mode="eval").body


def mutate(value: Any, rng: random.Random) -> Any:
    """A value of the same type, near the given one; the value itself where its type is not known here."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return _integer(value, rng)
    if isinstance(value, float):
        return rng.choice((-value, value + rng.choice((0.5, 1.0, -1.0)), value * 2, rng.choice(FLOATS)))
    if isinstance(value, str):
        return "".join(_sequence(list(value), rng, _character, MAX_CHARS))
    if isinstance(value, bytes):
        return bytes(_sequence(list(value), rng, _byte, MAX_CHARS))
    if isinstance(value, list):
        return _sequence(value, rng, mutate, MAX_ELEMENTS)
    if isinstance(value, tuple):
        return _tuple(value, rng)
    if isinstance(value, set | frozenset):
        return type(value)(_sequence(sorted(value, key=repr), rng, mutate, MAX_ELEMENTS))
    if isinstance(value, dict):
        return _dict(value, rng)
    return value


def _integer(value: int, rng: random.Random) -> int:
    step = rng.choice((1, 1, 2, 3, 10))
    choices = (value + step, value - step, -value, value * 2, value // 2, rng.choice(BOUNDARIES))
    return rng.choice(choices)


def _character(value: str, rng: random.Random) -> str:
    if value.isdigit() and value.isascii():
        return rng.choice("0123456789")
    if value.isalpha() and rng.random() < 0.5:
        return value.swapcase()[:1]
    return rng.choice(CHARACTERS)


def _byte(value: int, rng: random.Random) -> int:
    return rng.choice((value ^ 1, (value + 1) % 256, 0, 32, 65, 255))


def _sequence(items: list[Any], rng: random.Random, change: Any, max_items: int) -> list[Any]:
    """The items with some dropped, doubled, swapped, shuffled, reversed or changed."""
    items = list(items)
    if not items:
        return items
    at, other = rng.randrange(len(items)), rng.randrange(len(items))
    act = rng.choice(("drop", "double", "swap", "shuffle", "reverse", "change", "change", "change", "cut", "grow"))
    if act in ("double", "grow") and len(items) >= max_items:
        act = "drop"
    if act == "drop":
        del items[at]
    elif act == "double":
        items.insert(other, items[at])
    elif act == "swap":
        items[at], items[other] = items[other], items[at]
    elif act == "shuffle":
        rng.shuffle(items)
    elif act == "reverse":
        items.reverse()
    elif act == "cut":
        items = items[: at + 1]
    elif act == "grow":
        items.append(change(items[at], rng))
    else:
        items[at] = change(items[at], rng)
    return items


def _tuple(value: tuple[Any, ...], rng: random.Random) -> tuple[Any, ...]:
    """Tuples of one type are treated as sequences, others as records: the length stays."""
    if len({type(item) for item in value}) == 1 and len(value) > 2:
        return tuple(_sequence(list(value), rng, mutate, MAX_ELEMENTS))
    if not value:
        return value
    at = rng.randrange(len(value))
    return (*value[:at], mutate(value[at], rng), *value[at + 1 :])


def _dict(value: dict[Any, Any], rng: random.Random) -> dict[Any, Any]:
    if not value:
        return value
    items = list(value.items())
    at = rng.randrange(len(items))
    key, entry = items[at]
    act = rng.choice(("drop", "value", "value", "key", "swap", "grow"))
    if act == "drop":
        del items[at]
    elif act == "value":
        items[at] = (key, mutate(entry, rng))
    elif act == "key":
        items[at] = (mutate(key, rng), entry)
    elif act == "swap":
        other = rng.randrange(len(items))
        items[at], items[other] = (key, items[other][1]), (items[other][0], entry)
    elif len(items) < MAX_ELEMENTS:
        items.append((mutate(key, rng), mutate(entry, rng)))
    return dict(items)


class Shown:
    """What one trace shows of its program."""

    def __init__(self, trace: Trace) -> None:
        places = [(frame.file, frame.line_no) for frame in trace.frames]
        self.lines = frozenset(places)
        self.outcome = trace.outcome + str(trace.header.get("exception") or "").partition("(")[0]
        self.path = hash(tuple(places))
        self.result = trace.frames[-1].value if trace.frames else None


class _Seen:
    """What the chosen traces show together."""

    def __init__(self) -> None:
        self.lines: set[tuple[str, int]] = set()
        self.outcomes: set[str] = set()
        self.paths: set[int] = set()
        self.results: set[str | None] = set()

    def gain(self, shown: Shown) -> tuple[int, bool, bool, bool]:
        """What a trace would add: lines, another outcome, path, result. No part of it grows while others are added."""
        return (
            len(shown.lines - self.lines),
            shown.outcome not in self.outcomes,
            shown.path not in self.paths,
            shown.result not in self.results,
        )

    def add(self, shown: Shown) -> None:
        self.lines |= shown.lines
        self.outcomes.add(shown.outcome)
        self.paths.add(shown.path)
        self.results.add(shown.result)


def choose(traces: Sequence[Trace], count: int) -> list[int]:
    """Indices, ascending, of at most `count` traces of one program: time and again the one that adds most to those
    chosen before, the first of equals, until none adds anything but another result for the third time."""
    all_shown = [Shown(trace) for trace in traces]
    seen, chosen, num_similar = _Seen(), list[int](), 0
    queue = [(_order(seen.gain(shown)), index) for index, shown in enumerate(all_shown)]
    heapify(queue)
    while queue and len(chosen) < count:
        gain, index = heappop(queue)
        now = _order(seen.gain(all_shown[index]))
        if now > gain:  # it was worth more before the last ones were chosen
            heappush(queue, (now, index))
        elif now[:3] == (0, False, False):
            if not now[3] or num_similar == MAX_SIMILAR:
                break
            num_similar += 1
            chosen.append(index)
            seen.add(all_shown[index])
        else:
            chosen.append(index)
            seen.add(all_shown[index])
    return sorted(chosen)


def _order(gain: tuple[int, bool, bool, bool]) -> tuple[int, ...]:
    """Smaller for what adds more: the queue gives the smallest first."""
    return tuple(-part for part in gain)

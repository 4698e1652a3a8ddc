"""Small typed programs that look like what people write, from a seed and a dial.

    dial, seed --> level --> kind: idiom | typed | composed --> units --> style --> source, call --> trial --> Program

A drawn program is run once under a counting tracer (`trial.py`): one that is too long, too short for the dial, shows
huge values or fails without being meant to is drawn again, from the same seed. The same (seed, dial) gives the same
program on every platform with the same minor version of Python.

Written for the job of learning to execute (zaremba2014, arXiv 1410.4615, is the curriculum's ancestor): one operation
per line is typical, values are small, and names, idioms and shapes vary.
"""

import random
import re
from dataclasses import dataclass

from opencwm.data.programs.compose import Composer
from opencwm.data.programs.constructs import constructs_of
from opencwm.data.programs.dial import Dial, Limits
from opencwm.data.programs.idioms import ALL, FAMILIES
from opencwm.data.programs.style import Style, with_example, write
from opencwm.data.programs.template import Idiom
from opencwm.data.programs.trial import Trial, attempt
from opencwm.data.programs.typed import typed_unit
from opencwm.data.programs.units import Scope, Unit, call_of, from_idiom
from opencwm.data.programs.values import Values

NUM_TRIES = 12
KIND_WEIGHTS = {"idiom": 0.4, "typed": 0.25, "composed": 0.4}
LENGTH_CLASSES = ((1, 10), (11, 30), (31, 100), (101, 240))
LENGTH_WEIGHTS = (0.11, 0.39, 0.42, 0.08)
"""At full difficulty; how often a program's length is aimed at each class."""
WISHES = {
    "lambda ": 5.0,
    "f'": 3.5,
    "is None": 3.5,
    "is not None": 1.0,
    "class ": 1.5,
    "set(": 1.5,
    "yield": 1.5,
    "try:": 1.0,
    "break": 1.0,
    "continue": 0.7,
    "        for $": 2.0,
    "return $f(": 1.0,
    "nonlocal": 0.3,
    "finally": 0.4,
    "assert ": 0.4,
    "round(": 0.4,
    "else:\n        $res = ": 0.2,
}
"""Texts of templates that hold what is otherwise scarce, and how often each is asked for."""
WISH_SHARE = 0.4
"""Share of single idioms that are drawn among those with a wished text."""
AT_ONCE = re.compile(r"\[[^\[\]\n]* for |\([^()\n]* for |\bsum\(|\bsorted\(|\.sort\(|::-1|join\(|zip\(")
"""What works on a whole container in one step; such programs mostly get small values."""
FAILURES = 0.035
"""Share of programs that are to end in an exception that nobody catches."""
CARELESS_TRIES = 8
MAX_EXAMPLE_CHARS = 60
"""Of a call, and of its result, that may stand in a docstring."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    source: str
    call: str
    """An expression that calls one of the source's functions."""
    seed: int
    constructs: frozenset[str]
    """What the source contains, by the names of `constructs.py`."""
    kind: str
    """One of `dial.KINDS`."""


def generate(seed: int, dial: Dial | None = None) -> Program:
    """The program of a seed at a dial (full difficulty if none is given)."""
    dial = dial or Dial()
    rng = random.Random(seed)
    target = _target(rng, dial)
    careless = CARELESS_TRIES if rng.random() < FAILURES * dial.level else 0
    best: tuple[float, str, str, str] | None = None
    tries = NUM_TRIES if target in LENGTH_CLASSES else 4 * NUM_TRIES  # a narrow aim takes more of them
    for number in range(careless + tries):
        kind, source, call = _draw(rng, dial, target, careless=number < careless)
        trial = attempt(source, call)
        if number < careless:
            miss = 0.0 if trial.failed and trial.num_frames <= dial.target_frames[1] else None
        else:
            miss = _miss(trial, target, dial)
        if miss is not None and (best is None or miss < best[0]):
            best = (miss, kind, source, call)
        if miss == 0:
            break
    assert best is not None, f"no program for seed {seed}"
    _, kind, source, call = best
    return Program(source=source, call=call, seed=seed, constructs=constructs_of(source), kind=kind)


def _target(rng: random.Random, dial: Dial) -> tuple[int, int]:
    """The class of lengths that this program aims at, cut to the dial's."""
    low, high = dial.target_frames
    weights = [
        weight * (1 if upper <= 30 else dial.level)
        for (_, upper), weight in zip(LENGTH_CLASSES, LENGTH_WEIGHTS, strict=True)
    ]
    weights[0] += 0.4 * (1 - dial.level)
    usable = []
    for (first, last), weight in zip(LENGTH_CLASSES, weights, strict=True):
        cut = max(low, first), min(high, last)
        width = cut[1] - cut[0] + 1  # a class of which little is left is aimed at as seldom
        if width > 0 and weight > 0:
            usable.append((cut, weight * width / (last - first + 1)))
    if not usable:
        return dial.target_frames
    return rng.choices([each for each, _ in usable], [weight for _, weight in usable])[0]


def _miss(trial: Trial, target: tuple[int, int], dial: Dial) -> float | None:
    """0 for a program that is as wanted, else how far off it is; None for one that cannot be used at all."""
    if trial.endless:
        return None
    miss = 1000.0 if trial.failed else 0.0
    if trial.longest_value > dial.max_value_chars:
        miss += trial.longest_value
    low, high = target
    if not low <= trial.num_frames <= high:
        miss += max(low - trial.num_frames, trial.num_frames - high)
    return miss


def _draw(rng: random.Random, dial: Dial, target: tuple[int, int], careless: bool) -> tuple[str, str, str]:
    """One program: its kind, source and call."""
    level = dial.level * (1 - 0.5 * rng.random() ** 2)
    long = target[0] > 60
    limits = Limits.of(dial, level, longer=long)
    kinds = {kind: weight * dial.weights.get(kind, 1.0) for kind, weight in KIND_WEIGHTS.items()}
    if limits.max_functions < 2 or target[1] <= 10:
        kinds["composed"] = 0.0
    elif target[0] > 30:
        kinds["composed"] *= 10 if long else 3
    if not any(kinds.values()):
        kinds["idiom"] = 1.0
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    scope = Scope(rng)
    short = rng.random() < 0.25
    if kind == "composed":
        units = _composed(rng, dial, limits, scope, short, long)
    else:
        units = [_single(rng, kind, dial, limits, scope, short)]
    source = write(rng, units, Style.draw(rng, short))
    fitting = limits.smaller() if AT_ONCE.search(source) and rng.random() < 0.7 else limits
    if '"""' in source and rng.random() < 0.4:
        example = call_of(rng, units[-1], Values(rng, limits.smaller()))
        shown = attempt(source, example).result
        if len(example) <= MAX_EXAMPLE_CHARS and 0 < len(shown) <= MAX_EXAMPLE_CHARS:
            source = with_example(source, units[-1].entry, example, shown)
    return kind, source, call_of(rng, units[-1], Values(rng, fitting, careless))


def _single(rng: random.Random, kind: str, dial: Dial, limits: Limits, scope: Scope, short: bool) -> Unit:
    if kind == "typed":
        return typed_unit(rng, limits, scope, short)
    return from_idiom(rng, _choose(rng, dial, limits), scope, short or rng.random() < 0.1)


def _choose(rng: random.Random, dial: Dial, limits: Limits) -> Idiom:
    if rng.random() < WISH_SHARE:
        wish = rng.choices(list(WISHES), list(WISHES.values()))[0]
        found = [
            each
            for each in ALL
            if wish in each.text and each.level <= limits.level and dial.weights.get(each.family, 1.0) > 0
        ]
        if found:
            return rng.choices(found, [each.weight for each in found])[0]
    families = [(name, weight * dial.weights.get(name, 1.0)) for name, weight in FAMILIES.items()]
    while True:
        family = rng.choices([name for name, _ in families], [weight for _, weight in families])[0]
        idioms = [each for each in ALL_BY_FAMILY[family] if each.level <= limits.level]
        if idioms:
            return rng.choices(idioms, [each.weight for each in idioms])[0]
        families = [(name, weight) for name, weight in families if name != family]


ALL_BY_FAMILY = {family: [each for each in ALL if each.family == family] for family in FAMILIES}


def _composed(rng: random.Random, dial: Dial, limits: Limits, scope: Scope, short: bool, long: bool) -> list[Unit]:
    num_helpers = min(limits.max_functions - 1, rng.choices((1, 2, 3), (2, 4, 4) if long else (5, 4, 1))[0])
    if short:
        scope.taken.add("f")
    helpers = []
    for _ in range(max(1, num_helpers)):
        kind = "typed" if rng.random() < 0.25 * dial.weights.get("typed", 1.0) else "idiom"
        helpers.append(_single(rng, kind, dial, limits, scope, short))
    if short:
        scope.taken.discard("f")
    top = Composer(rng, scope, helpers, short, long).unit()
    own = Unit(
        blocks=top.blocks[-1:], entry=top.entry, kinds=top.kinds, returns=top.returns, params=top.params, short=short
    )
    return [*helpers, own]

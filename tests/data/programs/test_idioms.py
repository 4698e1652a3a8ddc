import builtins
import keyword
import random

import pytest

from opencwm.data.programs.dial import Dial, Limits
from opencwm.data.programs.idioms import ALL, FAMILIES
from opencwm.data.programs.macros import expand_macros
from opencwm.data.programs.names import ROLES, Names, pool
from opencwm.data.programs.style import Style, write
from opencwm.data.programs.template import idiom
from opencwm.data.programs.trial import attempt
from opencwm.data.programs.typed import typed_unit
from opencwm.data.programs.units import Scope, call_of, from_idiom
from opencwm.data.programs.values import TYPES, Values, literal

LIMITS = Limits.of(Dial(), 1.0)


def drawn(make, seed):
    rng = random.Random(seed)
    unit = make(rng, Scope(rng))
    source = write(rng, [unit], Style.draw(rng, short=False))
    return source, call_of(rng, unit, Values(rng, LIMITS))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_idiom_compiles_and_mostly_works(family):
    chosen = [each for each in ALL if each.family == family]
    assert len(chosen) >= 10
    failed = total = 0
    for each in chosen:
        for number in range(6):
            source, call = drawn(
                lambda rng, scope, each=each: from_idiom(rng, each, scope, False), f"{each.title}{number}"
            )
            compile(source, each.title, "exec")
            trial = attempt(source, call)
            failed += trial.endless or trial.failed is not None
            total += 1
    assert failed / total < 0.2


def test_random_functions_compile_and_mostly_work():
    failed = 0
    for seed in range(400):
        source, call = drawn(lambda rng, scope: typed_unit(rng, LIMITS, scope, seed % 2 == 0), seed)  # noqa: B023
        trial = attempt(source, call)
        failed += trial.endless or trial.failed is not None
    assert failed <= 8


def test_no_name_hides_a_builtin_or_a_keyword():
    for role in ROLES:
        for name in (*pool(role, True), *pool(role, False)):
            assert name.isidentifier(), name
            assert not keyword.iskeyword(name), name
            assert not hasattr(builtins, name), name


def test_slots_keep_their_names_and_never_share_one():
    names = Names(random.Random(0), False, {"total"})
    chosen = [names.of(slot) for slot in ("x", "x2", "total", "i", "j", "xs", "k")]
    assert len(set(chosen)) == len(chosen)
    assert names.of("x") == chosen[0]
    assert "total" not in chosen


def test_every_kind_of_value_is_drawn_and_written():
    rng = random.Random(1)
    for kind in TYPES:
        value = Values(rng, LIMITS).draw(kind)
        assert eval(literal(value)) == value, kind
    assert literal({9, 8, 1}) == "{1, 8, 9}"
    assert literal(set()) == "set()"


def test_alternatives_slots_and_pieces():
    one = idiom(
        "numbers", "double / helper", "int -> int", "def $f($n):\n    «$n += @int(4,4)¦»\n    return $g($n)«¦»\n"
    )
    texts = set()
    for seed in range(20):
        rng = random.Random(seed)
        texts.add(from_idiom(rng, one, Scope(rng), True).blocks[0].__len__())
    assert texts >= {2, 3}
    assert one.params == ("int",)
    with pytest.raises(AssertionError):
        _ = idiom("numbers", "f", "int -> int", "«a").nodes


@pytest.mark.parametrize(
    ("lines", "result"),
    [
        (["§each x in xs:", "    total += x"], 12),
        (["§add total <- sum(xs)"], 12),
        (["§sum total = x for x in xs if x > 3"], 9),
        (["§map out = x for x in xs", "total = sum(out)"], 12),
        (["§set total = xs ? 1 : 2"], 1),
        (["§any total = x > 4 for x in xs"], True),
        (["§all total = x > 4 for x in xs"], False),
        (["§up i in 1 .. 4:", "    total += i"], 6),
        (["§up i in 0 .. 4:", "    total += i"], 6),
        (["out = []", "§push out <- 7", "total = out[0]"], 7),
    ],
)
def test_all_ways_to_write_a_macro_do_the_same(lines, result):
    texts = set()
    for seed in range(60):
        rng = random.Random(seed)
        names = Names(rng, False, {"x", "xs", "total", "out", "i"})
        text = "\n".join(expand_macros(lines, rng, names))
        texts.add(text)
        space = {"xs": [3, 4, 5], "total": 0}
        exec(text, space)
        assert space["total"] == result, text
    assert len(texts) > 1


@pytest.mark.parametrize(
    ("macro", "values"), [("§ret n > 2 ? 1 : 0", {1: 0, 3: 1}), ("§yes n > 2", {1: False, 3: True})]
)
def test_all_ways_to_return_do_the_same(macro, values):
    for seed in range(40):
        rng = random.Random(seed)
        body = expand_macros(["    " + macro], rng, Names(rng, False, {"n"}))
        space = {}
        exec("\n".join(["def f(n):", *body]), space)
        assert {n: space["f"](n) for n in values} == values

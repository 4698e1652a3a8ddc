"""Random functions out of typed phases: no idiom, but every variable has a type, a plausible name and a reader.

    parameters --phases--> values --return-->      a phase: loop with an accumulator, count-down, branch, method calls,
                                                   new value from old ones, something that may fail and is caught

A loop's body works on the loop's own variable and its accumulator. It ends by construction: `for` runs over what its
body does not change, `while` counts down something that only its last line changes.
"""

import random
from collections.abc import Callable, Sequence

from opencwm.data.programs.dial import Limits
from opencwm.data.programs.expressions import (
    BOOL,
    COUNTS,
    INT,
    INT_MAP,
    INT_SET,
    INTS,
    PAIR,
    STR,
    WORDS_,
    Block,
    Expressions,
    Var,
)
from opencwm.data.programs.names import Names
from opencwm.data.programs.pieces import PIECES
from opencwm.data.programs.typed_updates import Updates
from opencwm.data.programs.units import Scope, Unit

TITLES = tuple(
    "process update transform compute modify handle analyze adjust combine evaluate convert build make_value check "
    "calculate resolve derive refine reduce_all shape_data measure score_items arrange step_through mix rework inspect "
    "gather simplify normalize apply_rules decide choose_value weigh scan_items compress explore tweak blend".split()
)
PARAMS: tuple[tuple[str, str, str, float], ...] = (
    ("int", INT, "n k a limit amount start x", 4),
    ("small", INT, "n k size limit steps", 2),
    ("ints1", INTS, "xs", 5),
    ("text", STR, "s", 3),
    ("mixed", STR, "s t", 1),
    ("word", STR, "w s", 2),
    ("words", WORDS_, "ws", 2.5),
    ("counts", COUNTS, "d", 2),
    ("pair", PAIR, "pair", 0.4),
)
"""Kind, type, roles and weight."""
ROLES = {
    INT: "total count x y n k gap size cur best num a b amount",
    STR: "s u t w part",
    BOOL: "flag flag2",
    INTS: "out xs ys window",
    WORDS_: "ws parts",
    COUNTS: "d dd",
    PAIR: "pair",
    INT_SET: "seen",
}
ACCUMULATORS = (
    (INT, "0", "total count", 4.0),
    (INT, "1", "total count", 0.5),
    (INTS, "[]", "out", 3.0),
    (STR, "''", "u", 1.5),
    (COUNTS, "{}", "d", 1.2),
    (INT_SET, "set()", "seen", 1.2),
    (WORDS_, "[]", "parts", 1.0),
)
NEW_TYPES = ((INT, 5.0), (STR, 2.0), (INTS, 2.5), (WORDS_, 1.0), (COUNTS, 0.6), (PAIR, 0.4), (INT_SET, 0.9))
Head = tuple[str, list[Var], Var | None]
"""A loop's first line, the variables it binds, and what it runs over."""


def typed_unit(rng: random.Random, limits: Limits, scope: Scope, short: bool) -> Unit:
    """One random function."""
    return _Writer(rng, limits, scope, short).unit()


class _Writer:
    def __init__(self, rng: random.Random, limits: Limits, scope: Scope, short: bool) -> None:
        self.rng = rng
        self.limits = limits
        self.short = short
        self.entry = scope.function(("f",) if short and "f" not in scope.taken else TITLES)
        self.names = Names(rng, short, scope.taken)
        self.make = Expressions(rng, self.names)
        self.updates = Updates(rng, self.make)
        self.block = Block()
        self.made: list[Var] = []
        """What the phases made or changed, the latest last."""

    def unit(self) -> Unit:
        kinds = self.parameters()
        params = [var.name for var in self.block.vars]
        heads = list(params)
        num_optional = 0
        if kinds[-1] in ("int", "small") and len(kinds) > 1 and self.rng.random() < 0.3:
            heads[-1] += f"={self.rng.randint(1, 5)}"
            num_optional = 1
        lines: list[str] = []
        num_phases = self.rng.choices((1, 2, 3), (2, 3, 3 * self.limits.level))[0]
        while num_phases > 0 and len(lines) < 3 * self.limits.max_statements:
            lines += self.phase(first=not lines)
            num_phases -= 1
        returns, last = self.result()
        return Unit(
            blocks=[[f"def {self.entry}({', '.join(heads)}):", *("    " + line for line in [*lines, last])]],
            entry=self.entry,
            kinds=tuple(kinds),
            returns=returns,
            params=tuple(params),
            num_optional=num_optional,
            short=self.short,
        )

    def parameters(self) -> list[str]:
        kinds = []
        for _ in range(self.rng.choices((1, 2, 3), (4, 5, 1))[0]):
            kind, type_, roles, _ = self.rng.choices(PARAMS, [weight for *_, weight in PARAMS])[0]
            kinds.append(kind)
            name = self.names.fresh(self.rng.choice(roles.split()))
            self.block.vars.append(Var(name, type_, small=kind == "small", filled=kind != "int"))
        return kinds

    # -- phases: each gives its lines and leaves its value in `made`

    def phase(self, first: bool) -> list[str]:
        level = self.limits.level
        phases: list[tuple[Callable[[], list[str]], float]] = [
            (self.loop, 4.0),
            (self.count_down, 1.5 * level),
            (self.new_value, 2.0),
            (self.method_calls, 1.5),
            (self.branch, 1.6),
            (self.attempt, 1.0 * level),
            (self.early_return, 0.6 if first else 0.8),
            (self.swap, 0.4),
            (self.best_of, 0.5 * level),
        ]
        return self.rng.choices([each for each, _ in phases], [weight for _, weight in phases])[0]()

    def new(self, type_: str, *, roles: str | None = None) -> Var:
        var = Var(self.names.fresh(self.rng.choice((roles or ROLES[type_]).split())), type_)
        self.block.vars.append(var)
        self.made.append(var)
        return var

    def changed(self, var: Var) -> Var:
        self.made = [each for each in self.made if each is not var] + [var]
        return var

    def new_value(self) -> list[str]:
        type_ = self.rng.choices([each for each, _ in NEW_TYPES], [weight for _, weight in NEW_TYPES])[0]
        text = self.make.of(self.block, type_)
        plain = [var for var in self.block.of(type_) if not var.small and var.name != text]
        if plain and self.rng.random() < 0.3:
            var = self.changed(self.rng.choice(plain))
            var.filled = False
        else:
            var = self.new(type_)
        lines = [f"{var.name} = {text}"]
        return lines + self.phase(first=False) if self.rng.random() < 0.4 else lines

    def method_calls(self) -> list[str]:
        """One to three changes of one container or string."""
        found = [var for var in self.block.vars if var.type in (INTS, WORDS_, COUNTS, INT_SET, STR)]
        if not found:
            return self.branch()
        var = self.changed(self.rng.choice(found))
        lines: list[str] = []
        for _ in range(self.rng.choices((1, 2, 3), (3, 3, 1))[0]):
            lines += self.updates.anywhere(self.without(var), var)
        return lines

    def without(self, *hidden: Var) -> Block:
        return Block(vars=[var for var in self.block.vars if var not in hidden])

    def branch(self) -> list[str]:
        """A variable set or changed by a condition on another."""
        rng = self.rng
        condition = self.make.condition(self.block)
        if rng.random() < 0.5:
            type_ = rng.choice((INT, INT, STR, INTS))
            var = Var(self.names.fresh(rng.choice(ROLES[type_].split())), type_)
            texts = self.distinct(type_, 3)
            lines = [f"if {condition}:", f"    {var.name} = {texts[0]}"]
            if rng.random() < 0.35:
                lines += [f"elif {self.make.condition(self.block)}:", f"    {var.name} = {texts[2]}"]
            lines += ["else:", f"    {var.name} = {texts[1]}"]
            self.block.vars.append(var)
            self.made.append(var)
            return lines
        found = [var for var in self.block.vars if var.type in (INT, STR, INTS, WORDS_, COUNTS) and not var.small]
        if not found:
            return self.new_value()
        var = self.changed(rng.choice(found))
        rest = self.without(var)
        lines = [f"if {condition}:", *indented(self.updates.anywhere(rest, var))]
        draw = rng.random()
        if draw < 0.3:
            lines += [f"elif {self.make.condition(self.block)}:", *indented(self.updates.anywhere(rest, var))]
        if 0.15 < draw < 0.6:
            lines += ["else:", *indented(self.updates.anywhere(rest, var))]
        var.filled = False
        return lines

    def distinct(self, type_: str, num: int) -> list[str]:
        texts: list[str] = []
        for _ in range(4 * num):
            text = self.make.of(self.block, type_)
            if text not in texts:
                texts.append(text)
            if len(texts) == num:
                return texts
        return [*texts, *(repr(type_), "0", "1")][:num] if type_ == STR else [*texts, "0", "1", "2"][:num]

    def early_return(self) -> list[str]:
        condition = self.make.condition(self.block)
        name = self.make.pick(self.block, self.rng.choice((INT, INTS, STR)))
        value = name or self.rng.choice(("None", "0", "-1", "[]", "''"))
        if self.rng.random() < 0.08 and self.limits.level > 0.5:
            return [f"if {condition}:", f"    return {value}", *self.new_value()]
        return [f"if {condition}:", f"    return {value}", *self.phase(first=False)]

    def swap(self) -> list[str]:
        ints = [var for var in self.block.of(INT) if not var.small]
        if len(ints) < 2:
            return self.new_value()
        first, second = self.rng.sample(ints, 2)
        self.changed(first)
        a, b = first.name, second.name
        right = self.rng.choice(
            (f"{b}, {a}", f"{b}, {a} + {b}", f"{a} + {b}, {a} - {b}", f"min({a}, {b}), max({a}, {b})")
        )
        return [f"{a}, {b} = {right}"]

    def attempt(self) -> list[str]:
        """Something that may fail, caught."""
        rng, make = self.rng, self.make
        options = []
        if s := make.pick(self.block, STR):
            options.append((f"int({s})", "ValueError", INT))
            options.append((f"{s}[{rng.randint(2, 6)}]", "IndexError", STR))
        if xs := make.pick(self.block, INTS):
            options.append((f"{xs}[{rng.randint(2, 5)}]", "IndexError", INT))
            options.append((f"{xs}.index({make.int_atom(self.block)})", "ValueError", INT))
        if d := make.pick(self.block, COUNTS):
            options.append((f"{d}[{make.string_atom(self.block)}]", "KeyError", INT))
        if a := make.pick(self.block, INT):
            options.append((f"{rng.randint(5, 50)} // {a}", "ZeroDivisionError", INT))
        if not options:
            return self.new_value()
        text, error, type_ = rng.choice(options)
        var = self.new(type_, roles="val cur res")
        default = (
            rng.choice(("0", "-1", str(rng.randint(1, 9))))
            if type_ == INT
            else rng.choice((PIECES["label"](rng), "''"))
        )
        if rng.random() < 0.2:
            return [
                "try:",
                f"    {var.name} = {text}",
                f"except {error} as e:",
                f"    return {rng.choice(('str(e)', default, 'None'))}",
            ]
        return ["try:", f"    {var.name} = {text}", f"except {error}:", f"    {var.name} = {default}"]

    def best_of(self) -> list[str]:
        """A best-so-far that starts as None."""
        found = self.block.of(INTS)
        if not found:
            return self.new_value()
        xs, best, x = self.rng.choice(found), self.names.fresh("best"), self.names.of("x")
        condition = PIECES["pred"](self.rng, x)
        if " or " in condition or " and " in condition:
            condition = f"{x} > 0"
        lines = [f"{best} = None", f"for {x} in {xs.name}:"]
        lines += [
            f"    if {condition} and ({best} is None or {x} {self.rng.choice('<>')} {best}):",
            f"        {best} = {x}",
        ]
        if self.rng.random() < 0.3:
            return [
                *lines,
                f"if {best} is None:",
                f"    return {self.rng.choice(('-1', '0', 'None', '[]'))}",
                *self.known(best),
            ]
        return [*lines, f"if {best} is None:", f"    {best} = {self.rng.randint(0, 3)}", *self.known(best)]

    def known(self, name: str) -> list[str]:
        self.made.append(Var(name, INT))
        self.block.vars.append(self.made[-1])
        return []

    # -- loops

    def accumulator(self) -> tuple[Var, str]:
        type_, start, roles, _ = self.rng.choices(ACCUMULATORS, [weight for *_, weight in ACCUMULATORS])[0]
        var = Var(self.names.fresh(self.rng.choice(roles.split())), type_)
        return var, f"{var.name} = {start}"

    def loop(self) -> list[str]:
        """A for loop that fills one accumulator, now and then two."""
        head, bound, over = self.rng.choice(self.heads(self.block.vars))
        if over is not None:
            over.used = True
        found = [var for var in self.block.vars if var.type in (INT, INTS, STR) and var is not over and not var.small]
        if found and self.rng.random() < 0.2:
            accs, starts = [self.changed(self.rng.choice(found))], []
        else:
            pairs = [self.accumulator() for _ in range(2 if self.rng.random() < 0.2 else 1)]
            accs, starts = [var for var, _ in pairs], [start for _, start in pairs]
        outer = [var for var in self.block.vars if var not in accs and var is not over and var.type == INT]
        if bound[0].type == INT:
            for var in accs:
                var.type = INT_MAP if var.type == COUNTS and starts else var.type
        body = self.body(bound, accs, outer, depth=1, may_leave=True)
        for var in accs:
            var.filled = False
            if var not in self.block.vars:
                self.block.vars.append(var)
            self.changed(var)
        return [*starts, head, *indented(body)]

    def body(self, bound: list[Var], accs: list[Var], outer: list[Var], depth: int, may_leave: bool) -> list[str]:
        rng = self.rng
        seen = Block(vars=[*bound, *([rng.choice(outer)] if outer and rng.random() < 0.5 else [])], loops=1)
        only = Block(vars=bound, loops=1)
        acc = rng.choice(accs)
        draw = rng.random()
        if draw < 0.26:
            return [line for each in accs for line in self.updates.in_loop(seen, each)]
        if draw < 0.58 or (not may_leave and draw < 0.75):
            lines = [f"if {self.make.condition(seen)}:", *indented(self.updates.in_loop(seen, acc))]
            if rng.random() < 0.3:
                lines += [f"elif {self.make.condition(only)}:", *indented(self.updates.in_loop(seen, rng.choice(accs)))]
            if rng.random() < 0.45 or len(accs) > 1:
                lines += ["else:", *indented(self.updates.in_loop(seen, accs[-1] if accs[-1] is not acc else accs[0]))]
            return lines
        if draw < 0.67:
            return [f"if {self.make.condition(only)}:", "    continue", *self.updates.in_loop(seen, acc)]
        if draw < 0.75:
            leave = self.updates.full(acc) if rng.random() < 0.5 else self.make.condition(only)
            lines = self.updates.in_loop(seen, acc)
            stop = [f"if {leave}:", "    break"]
            return stop + lines if rng.random() < 0.3 else lines + stop
        if draw < 0.87 or depth >= self.limits.max_depth:
            type_ = STR if bound[0].type == STR and rng.random() < 0.5 else INT
            name = self.names.fresh(rng.choice("y gap cur val".split() if type_ == INT else "part u".split()))
            lines = [f"{name} = {self.make.of(seen, type_)}"]
            inner = Var(name, type_, frozen=True)
            return lines + self.body([inner, *bound], accs, outer, depth + 2, may_leave=False)
        heads = [
            each
            for each in self.heads([*bound, *(var for var in self.block.vars if var not in accs)], nested=True)
            if not clash(each[1], bound)
        ]
        if not heads:
            return self.updates.in_loop(seen, acc)
        head, more, _ = rng.choice(heads)
        return [head, *indented(self.body([*more, *bound], accs, outer, depth + 2, may_leave=True))]

    def heads(self, variables: Sequence[Var], nested: bool = False) -> list[Head]:
        """Loops over what there is: containers first, ranges where there is little else."""
        rng = self.rng
        options: list[Head] = []
        for var in variables:
            if var.type == INTS:
                x = self.bound(INT, "y" if nested else "x")
                i = self.bound(INT, "j" if nested else "i")
                options += [(f"for {x.name} in {var.name}:", [x], var)] * 2
                if not nested:
                    cut = rng.choice(("1:", "::-1", ":3", "::2"))
                    options.append((f"for {i.name}, {x.name} in enumerate({var.name}):", [x, i], var))
                    options.append((f"for {x.name} in {var.name}[{cut}]:", [x], var))
            elif var.type == STR and not var.is_char:
                ch = self.bound(STR, "ch")
                ch.is_char = True
                options += [(f"for {ch.name} in {var.name}:", [ch], var)] * 2
                if not nested and not var.frozen:
                    part = self.bound(STR, "part")
                    options.append((f"for {part.name} in {var.name}.split():", [part], var))
            elif var.type == WORDS_ and not nested:
                options += [(f"for {(w := self.bound(STR, 'w8')).name} in {var.name}:", [w], var)] * 2
            elif var.type == COUNTS and not nested:
                key, val = self.bound(STR, "key"), self.bound(INT, "val")
                options += [(f"for {key.name}, {val.name} in {var.name}.items():", [key, val], var)] * 2
                options.append((f"for {key.name} in sorted({var.name}):", [key], var))
            elif var.small:
                i = self.counter(nested)
                options += [(f"for {i.name} in range({var.name}):", [i], var)] * 2
        if not options or rng.random() < 0.15:
            i = self.counter(nested)
            options.append((f"for {i.name} in range({rng.randint(2, 3 if nested else 5)}):", [i], None))
            options.append((f"for {i.name} in range({rng.randint(1, 2)}, {rng.randint(4, 7)}):", [i], None))
        return options

    def bound(self, type_: str, slot: str) -> Var:
        return Var(self.names.of(slot), type_, frozen=True, filled=True)

    def counter(self, nested: bool) -> Var:
        var = self.bound(INT, "j" if nested else "i")
        var.small = True
        return var

    def count_down(self) -> list[str]:
        """A while loop that makes an integer smaller, counts up to a limit, or empties a list."""
        rng = self.rng
        acc, start = self.accumulator()
        acc.type = INT_MAP if acc.type == COUNTS else acc.type
        lists = [var for var in self.block.of(INTS) if var.filled]
        ints = [var for var in self.block.of(INT) if var not in self.made or var.small]
        draw = rng.random()
        lines: list[str] = [start]
        outer = [var for var in self.block.vars if var.type == INT]
        if lists and draw < 0.35:
            var = rng.choice(lists)
            x = self.bound(INT, "x")
            head = rng.choice((f"while {var.name}:", f"while len({var.name}) > {rng.randint(1, 2)}:"))
            body = [
                f"{x.name} = {var.name}.pop({rng.choice(('', '0'))})",
                *self.body([x], [acc], outer, 2, may_leave=True),
            ]
            var.filled = False
        elif ints and draw < 0.8:
            var = rng.choice(ints)
            step = f"{var.name} -= {rng.randint(1, 2)}" if var.small else f"{var.name} //= {rng.randint(2, 3)}"
            others = [each for each in outer if each is not var]
            head = f"while {var.name} > {rng.choice((0, 0, 1, 2))}:"
            body = [*self.body([Var(var.name, INT, frozen=True)], [acc], others, 2, may_leave=False), step]
            var.small = False
        else:
            i = self.counter(nested=False)
            lines.append(f"{i.name} = {rng.choice((0, 0, 1))}")
            limit = next((var.name for var in self.block.vars if var.small), str(rng.randint(3, 6)))
            head = f"while {i.name} < {limit}:"
            body = [*self.body([i], [acc], outer, 2, may_leave=False), f"{i.name} += {rng.choice((1, 1, 2))}"]
        self.block.vars.append(acc)
        self.made.append(acc)
        return [*lines, head, *indented(body)]

    # -- the end

    def result(self) -> tuple[str, str]:
        """What is returned: what was made or changed last, a step on it, or several of them."""
        rng = self.rng
        made = self.made or [rng.choice(self.block.vars)]
        if len(made) > 1 and rng.random() < 0.35:
            chosen = made[-2:] if rng.random() < 0.7 else made[-3:]
            names = [var.name for var in chosen]
            if rng.random() < 0.35 and all(var.type in (INT, STR) for var in chosen):
                return STR, "return f'" + rng.choice(":-/ ").join("{" + name + "}" for name in names) + "'"
            if all(var.type == INT for var in chosen) and rng.random() < 0.4:
                return INT, f"return {rng.choice((' + ', ' - ', ' * ')).join(names[-2:])}"
            return (
                ("tuple", f"return {', '.join(names)}")
                if rng.random() < 0.75
                else ("list", f"return [{', '.join(names)}]")
            )
        var = made[-1]
        if rng.random() < 0.25 and var.type in (INT, STR, INTS, WORDS_):
            alone = Block(vars=[var])
            return var.type, f"return {self.make.of(alone, var.type)}"
        return var.type, f"return {var.name}"


def indented(lines: Sequence[str]) -> list[str]:
    return ["    " + line for line in lines]


def clash(new: Sequence[Var], old: Sequence[Var]) -> bool:
    return bool({var.name for var in new} & {var.name for var in old})

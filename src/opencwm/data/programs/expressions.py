"""Random expressions of a wanted type over the variables in scope.

Most are one operation on a variable, a few nest; what could fail (an index, a division by a variable) is only drawn
where the value is known to allow it, or is left to the statements that catch it (`typed.py`).
"""

import random
from dataclasses import dataclass, field

from opencwm.data.programs.names import PEOPLE, WORDS, Names
from opencwm.data.programs.pieces import PIECES

INT, STR, BOOL, INTS, WORDS_, COUNTS, INT_MAP, PAIR, INT_SET = (
    "int", "str", "bool", "list[int]", "list[str]", "dict[str, int]", "dict[int, int]", "tuple[int, int]", "set[int]",
)  # fmt: skip


@dataclass(slots=True)
class Var:
    name: str
    type: str
    small: bool = False
    """An integer of at most about ten, never negative: may bound a loop."""
    filled: bool = False
    """A container or string that is not empty."""
    is_char: bool = False
    frozen: bool = False
    """Not to be changed: a loop runs over it or counts with it."""
    used: bool = False
    """Whether anything has read it yet."""


@dataclass(slots=True)
class Block:
    """What can be seen at one place of a function."""

    vars: list[Var] = field(default_factory=list)
    depth: int = 0
    loops: int = 0
    """How many loops are around."""

    def inner(self, in_loop: bool = False) -> "Block":
        return Block(vars=list(self.vars), depth=self.depth + 1, loops=self.loops + in_loop)

    def of(self, type_: str) -> list[Var]:
        return [var for var in self.vars if var.type == type_]


class Expressions:
    """Draws expressions for one function."""

    def __init__(self, rng: random.Random, names: Names) -> None:
        self.rng = rng
        self.names = names

    def pick(
        self, block: Block, type_: str, *, filled: bool = False, chars: bool = True, but: str | None = None
    ) -> str | None:
        """A variable of the type, such as nothing has read yet first; None if there is none."""
        found = [
            var
            for var in block.of(type_)
            if (var.filled or not filled) and (chars or not var.is_char) and var.name != but
        ]
        if not found:
            return None
        unread = [var for var in found if not var.used]
        var = self.rng.choice(unread if unread and self.rng.random() < 0.7 else found[-4:])
        var.used = True
        return var.name

    def of(self, block: Block, type_: str) -> str:
        return {
            INT: self.integer,
            STR: self.string,
            BOOL: self.condition,
            INTS: self.integers,
            WORDS_: self.words,
            COUNTS: self.counts,
            PAIR: self.pair,
            INT_SET: self.int_set,
            INT_MAP: self.int_map,
        }[type_](block)

    def integer(self, block: Block) -> str:
        a = self.pick(block, INT)
        options = []
        rng = self.rng
        if a:
            b = self.pick(block, INT, but=a) or str(rng.randint(2, 9))
            options += [
                a,
                f"{a} + {rng.randint(1, 9)}",
                f"{a} - {rng.randint(1, 9)}",
                f"{a} * {rng.randint(2, 4)}" if not block.loops else f"{a} % {rng.randint(2, 9)}",
                f"{a} // {rng.randint(2, 4)}",
                f"{a} % {rng.randint(2, 9)}",
                f"{a} + {b}",
                f"{a} - {b}",
                f"abs({a} - {b})",
                f"max({a}, {b})",
                f"min({a}, {rng.randint(3, 20)})",
                f"({a} + {b}) % {rng.randint(3, 11)}",
                f"{a} * 2 + {rng.randint(1, 5)}",
                f"{a} if {self.simple_condition(block)} else {b}",
            ]
        char = next((var.name for var in block.vars if var.is_char), None)
        if char and not a:
            options += [f"ord({char}) % {rng.randint(3, 12)}", f"ord({char}) - 96", "1", f"'aeiou'.find({char})"]
        s = self.pick(block, STR, chars=False)
        if s:
            options += [f"len({s})", f"{s}.count('{rng.choice('aeiost')}')", f"{s}.find('{rng.choice('aeiost')}')"]
        xs = self.pick(block, INTS)
        if xs:
            x = self.names.of("x9")
            options += [
                f"len({xs})",
                f"sum({xs})",
                f"sum({x} for {x} in {xs} if {PIECES['pred'](rng, x)})",
                f"{xs}.count({rng.randint(0, 9)})",
                f"len([{x} for {x} in {xs} if {PIECES['pred'](rng, x)}])",
                f"max({xs}, default={rng.randint(0, 3)})",
            ]
        filled = self.pick(block, INTS, filled=True)
        if filled:
            options += [
                f"{filled}[0]",
                f"{filled}[-1]",
                f"max({filled})",
                f"min({filled})",
                f"{filled}[0] + {filled}[-1]",
            ]
        ws = self.pick(block, WORDS_)
        if ws:
            w = self.names.of("w9")
            options += [f"len({ws})", f"sum(len({w}) for {w} in {ws})", f"max((len({w}) for {w} in {ws}), default=0)"]
        int_map = self.pick(block, INT_MAP)
        if int_map:
            options += [
                f"len({int_map})",
                f"sum({int_map}.values())",
                f"sum({int_map})",
                f"{int_map}.get({rng.randint(0, 3)}, 0)",
            ]
        d = self.pick(block, COUNTS)
        if d:
            options += [f"len({d})", f"sum({d}.values())", f"{d}.get({self.string_atom(block)}, {rng.randint(0, 5)})"]
        pair = self.pick(block, PAIR)
        if pair:
            options += [f"{pair}[0]", f"{pair}[1]", f"{pair}[0] - {pair}[1]"]
        seen = self.pick(block, INT_SET)
        if seen:
            options += [f"len({seen})", f"sum({seen})"]
        return rng.choice(options) if options else str(rng.randint(0, 20))

    def int_atom(self, block: Block) -> str:
        name = self.pick(block, INT) if self.rng.random() < 0.75 else None
        return name or str(self.rng.randint(0, 9))

    def string_atom(self, block: Block) -> str:
        name = self.pick(block, STR) if self.rng.random() < 0.75 else None
        return name or repr(self.rng.choice(WORDS if self.rng.random() < 0.7 else PEOPLE))

    def string(self, block: Block) -> str:
        rng = self.rng
        s = self.pick(block, STR)
        options = []
        if s:
            t = self.pick(block, STR, but=s) or PIECES["word"](rng)
            options += [PIECES["sexpr"](rng, s) for _ in range(5)]
            options += [
                f"{s} + {PIECES['mark'](rng)}",
                f"{PIECES['mark'](rng)} + {s}",
                f"{s} + {t}" if not block.loops else f"{s}[:4]",
                f"f'{{{s}}}{rng.choice('-:/_+')}{{{self.int_atom(block)}}}'",
                f"{s} if {self.simple_condition(block)} else {t}",
                f"{s}.replace('{rng.choice('aeo')}', {PIECES['mark'](rng)})",
            ]
        ws = self.pick(block, WORDS_)
        if ws:
            options += [f"{PIECES['sep'](rng)}.join({ws})", f"{PIECES['sep'](rng)}.join({ws}[::-1])"]
        a = self.pick(block, INT)
        if a:
            options += [f"str({a})", f"'{rng.choice('abx*-')}' * ({a} % {rng.randint(2, 5)})"]
        return rng.choice(options) if options else repr(rng.choice(WORDS))

    def simple_condition(self, block: Block) -> str:
        """A condition that stands in an expression: one comparison."""
        name = self.pick(block, INT)
        if name:
            return f"{name} {self.rng.choice(('>', '<', '>=', '<=', '=='))} {self.rng.randint(0, 15)}"
        name = self.pick(block, STR, chars=False)
        if name:
            return f"len({name}) > {self.rng.randint(2, 6)}"
        name = self.pick(block, INTS) or self.pick(block, WORDS_) or self.pick(block, COUNTS)
        return f"len({name}) > {self.rng.randint(1, 3)}" if name else "True"

    def condition(self, block: Block) -> str:
        rng = self.rng
        options = []
        a = self.pick(block, INT)
        if a:
            b = self.pick(block, INT, but=a)
            small = any(var.small for var in block.vars if var.name == a)
            options += [PIECES["small_pred" if small else "pred"](rng, a) for _ in range(3)]
            if b:
                options += [f"{a} {rng.choice(('>', '<', '==', '!=', '>='))} {b}"]
        s = self.pick(block, STR)
        if s:
            char = next((var.is_char for var in block.vars if var.name == s), False)
            options += [PIECES["cpred" if char else "wpred"](rng, s) for _ in range(2)]
        xs = self.pick(block, INTS)
        if xs:
            x = self.names.of("x9")
            options += [
                f"{self.int_atom(block)} in {xs}",
                f"len({xs}) > {rng.randint(1, 4)}",
                xs,
                f"sum({xs}) > {rng.randint(5, 30)}",
            ]
            options += [f"{rng.choice(('any', 'all'))}({PIECES['pred'](rng, x)} for {x} in {xs})"]
        ws = self.pick(block, WORDS_)
        if ws:
            options += [f"{self.string_atom(block)} in {ws}", f"len({ws}) > {rng.randint(1, 3)}"]
        d = self.pick(block, COUNTS)
        if d:
            options += [f"{self.string_atom(block)} in {d}", f"len({d}) > {rng.randint(1, 2)}"]
        seen = self.pick(block, INT_SET)
        if seen:
            options += [f"{self.int_atom(block)} in {seen}", f"len({seen}) > 2"]
        flag = self.pick(block, BOOL)
        if flag:
            options += [flag, f"not {flag}"]
        if not options:
            return "True"
        chosen = rng.choice(options)
        if rng.random() < 0.12 and " or " not in chosen and " and " not in chosen:
            other = rng.choice(options)
            if " or " not in other and " and " not in other and other != chosen:
                chosen = f"{chosen} {rng.choice(('and', 'or'))} {other}"
        return chosen

    def integers(self, block: Block) -> str:
        rng, x = self.rng, self.names.of("x9")
        options = [f"[{self.int_atom(block)}, {self.int_atom(block)}]"]
        xs = self.pick(block, INTS)
        if xs:
            options += [
                f"sorted({xs})",
                f"sorted({xs}, reverse=True)",
                f"sorted({xs}, key=lambda {x}: {PIECES['key'](rng, x)})",
                f"{xs}[1:]",
                f"{xs}[:{rng.randint(1, 3)}]",
                f"{xs}[::-1]",
                f"{xs}[::2]",
                f"[{PIECES['expr'](rng, x)} for {x} in {xs}]",
                f"[{x} for {x} in {xs} if {PIECES['pred'](rng, x)}]",
                f"[{x} for {x} in {xs} if {PIECES['pred'](rng, x)}]",
                f"{xs} + [{self.int_atom(block)}]",
                f"{xs}[:]",
                f"[{x} * {rng.randint(2, 5)} for {x} in {xs}]",
                f"[{x} if {PIECES['pred'](rng, x)} else 0 for {x} in {xs}]",
            ]
            ys = self.pick(block, INTS, but=xs)
            if ys:
                y = self.names.of("y9")
                options += [f"{xs} + {ys}", f"[{x} + {y} for {x}, {y} in zip({xs}, {ys})]"]
        ws = self.pick(block, WORDS_)
        if ws:
            w = self.names.of("w9")
            options += [f"[len({w}) for {w} in {ws}]"]
        d = self.pick(block, COUNTS)
        if d:
            options += [f"list({d}.values())", f"sorted({d}.values())"]
        small = next((var.name for var in block.vars if var.small), None)
        if small:
            options += [f"list(range({small}))", f"[{PIECES['linear'](rng, x)} for {x} in range({small})]"]
        return rng.choice(options)

    def words(self, block: Block) -> str:
        rng, w = self.rng, self.names.of("w9")
        options = []
        ws = self.pick(block, WORDS_)
        if ws:
            options += [
                f"sorted({ws})",
                f"{ws}[::-1]",
                f"{ws}[1:]",
                f"{ws}[:2]",
                f"[{PIECES['wexpr'](rng, w)} for {w} in {ws}]",
                f"[{w} for {w} in {ws} if {PIECES['wpred'](rng, w)}]",
                f"sorted({ws}, key=lambda {w}: {PIECES['wkey'](rng, w)})",
                f"sorted({ws}, key=len)",
                f"{ws} + [{self.string_atom(block)}]",
            ]
        s = self.pick(block, STR)
        if s:
            options += [f"{s}.split()", f"list({s})", f"{s}.split('{rng.choice('aeo,- ')}')", f"[{s}, {s}[::-1]]"]
        d = self.pick(block, COUNTS)
        if d:
            options += [f"sorted({d})", f"list({d})"]
        return rng.choice(options) if options else f"[{self.string_atom(block)}, {self.string_atom(block)}]"

    def counts(self, block: Block) -> str:
        rng, w = self.rng, self.names.of("w9")
        options = [f"{{{PIECES['word'](rng)}: {self.int_atom(block)}}}", "{}"]
        ws = self.pick(block, WORDS_)
        if ws:
            options += [f"{{{w}: {PIECES['count'](rng, w)} for {w} in {ws}}}"] * 3
        d = self.pick(block, COUNTS)
        if d:
            key, val = self.names.of("key9"), self.names.of("val9")
            options += [
                f"{{{key}: {PIECES['linear'](rng, val)} for {key}, {val} in {d}.items()}}",
                f"{{{key}: {val} for {key}, {val} in {d}.items() if {PIECES['pred'](rng, val)}}}",
                f"dict({d})",
                f"{d}.copy()",
            ] * 2
        return rng.choice(options)

    def pair(self, block: Block) -> str:
        draw = self.rng.random()
        if draw < 0.3 and (name := self.pick(block, INT)):
            return f"divmod({name}, {self.rng.randint(2, 7)})"
        return f"({self.int_atom(block)}, {self.integer(block)})"

    def int_set(self, block: Block) -> str:
        xs = self.pick(block, INTS)
        x = self.names.of("x9")
        options = [f"{{{self.int_atom(block)}, {self.rng.randint(0, 9)}}}", "set()"]
        if xs:
            options += [
                f"set({xs})",
                f"{{{x} % {self.rng.randint(2, 6)} for {x} in {xs}}}",
                f"set({xs}[:{self.rng.randint(2, 3)}])",
            ] * 2
        other = self.pick(block, INT_SET)
        if other:
            options += [f"{other} {self.rng.choice('|&-^')} {{{self.rng.randint(0, 9)}, {self.rng.randint(0, 9)}}}"] * 2
        return self.rng.choice(options)

    def int_map(self, block: Block) -> str:
        xs, x = self.pick(block, INTS), self.names.of("x9")
        if xs:
            return f"{{{x}: {PIECES['expr'](self.rng, x)} for {x} in {xs}}}"
        return f"{{{self.rng.randint(0, 4)}: {self.int_atom(block)}, {self.rng.randint(5, 9)}: {self.int_atom(block)}}}"

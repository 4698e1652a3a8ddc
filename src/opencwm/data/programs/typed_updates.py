"""How a random function changes a variable: in a loop, from the loop's own variable, or anywhere."""

import random

from opencwm.data.programs.expressions import COUNTS, INT, INT_MAP, INT_SET, INTS, STR, WORDS_, Block, Expressions, Var
from opencwm.data.programs.pieces import PIECES


class Updates:
    def __init__(self, rng: random.Random, make: Expressions) -> None:
        self.rng = rng
        self.make = make

    def in_loop(self, block: Block, acc: Var) -> list[str]:
        """Lines that bring what the block shows (the loop's variables) into the accumulator; sizes grow slowly."""
        rng, make, name = self.rng, self.make, acc.name
        draw = rng.random()
        if acc.type == INT:
            value = self.small_int(block)
            if draw < 0.6:
                return [f"{name} += {value}"]
            if draw < 0.7:
                return [f"{name} -= {value}"]
            if draw < 0.8:
                return [
                    f"{name} = max({name}, {value})"
                    if rng.random() < 0.7
                    else f"{name} = min({name} + {value}, {rng.randint(9, 50)})"
                ]
            if draw < 0.88:
                return [f"{name} = ({name} * {rng.randint(2, 5)} + {self.atom(block)}) % {PIECES['mod'](rng)}"]
            return [f"{name} += 1"]
        if acc.type == STR:
            value = self.small_str(block)
            return [f"{name} += {value}" if draw < 0.8 else f"{name} = {value} + {name}"]
        if acc.type in (INTS, WORDS_):
            value = self.small_int(block) if acc.type == INTS else self.small_str(block)
            if draw < 0.82:
                return [f"{name}.append({value})"]
            if draw < 0.9:
                return [f"{name}.insert(0, {value})"]
            return [f"if {value} not in {name}:", f"    {name}.append({value})"]
        if acc.type == INT_MAP:
            key = self.atom(block) if draw < 0.4 else f"{self.atom(block)} % {rng.randint(2, 4)}"
            value = rng.choice(("1", self.small_int(block)))
            if rng.random() < 0.5:
                return [f"{name}[{key}] = {name}.get({key}, 0) + {value}"]
            return [f"{name}[{key}] = {self.small_int(block)}"]
        if acc.type == COUNTS:
            text = make.pick(block, STR)
            key = text or f"str({self.atom(block)})"
            if text and rng.random() < 0.2 and not any(var.is_char for var in block.vars):
                key = f"{key}[:1]"
            if draw < 0.5:
                return [f"{name}[{key}] = {name}.get({key}, 0) + {rng.choice(('1', self.atom(block)))}"]
            return [
                f"{name}[{key}] = {self.small_int(block)}"
                if draw < 0.85
                else f"{name}.setdefault({key}, {self.atom(block)})"
            ]
        assert acc.type == INT_SET, acc
        return [f"{name}.{'add' if draw < 0.9 else 'discard'}({self.small_int(block)})"]

    def full(self, acc: Var) -> str:
        """A condition on an accumulator that comes true when enough is in it."""
        if acc.type == INT:
            return f"{acc.name} > {self.rng.randint(5, 40)}"
        return f"len({acc.name}) {self.rng.choice(('>', '>=', '=='))} {self.rng.randint(2, 4)}"

    def atom(self, block: Block) -> str:
        """An integer in as few words as can be."""
        name = self.make.pick(block, INT)
        if name:
            return name
        text = self.make.pick(block, STR, chars=False)
        if any(var.is_char for var in block.vars):
            return self.rng.choice(("1", "2", "1"))
        return f"len({text})" if text else str(self.rng.randint(1, 9))

    def small_int(self, block: Block) -> str:
        if self.rng.random() < 0.35:
            return self.atom(block)
        return self.make.integer(block)

    def small_str(self, block: Block) -> str:
        rng = self.rng
        chars = [var for var in block.vars if var.is_char]
        if chars:
            char = chars[0].name
            return rng.choice((char, char, PIECES["cexpr"](rng, char), PIECES["mark"](rng)))
        text = self.make.pick(block, STR)
        if text:
            return rng.choice(
                (text, f"{text}[:1]", f"{text}[-1:]", PIECES["wexpr"](rng, text), f"{text} + {PIECES['mark'](rng)}")
            )
        return rng.choice((f"str({self.atom(block)})", f"str({self.make.integer(block)})", PIECES["mark"](rng)))

    def anywhere(self, block: Block, var: Var) -> list[str]:
        """One change of a variable, from what the block shows."""
        change = {
            INT: self.change_int,
            STR: self.change_str,
            INTS: self.change_ints,
            WORDS_: self.change_words,
            COUNTS: self.change_counts,
            INT_MAP: self.change_int_map,
            INT_SET: self.change_set,
        }[var.type]
        return change(block, var)

    def change_int(self, block: Block, var: Var) -> list[str]:
        value = self.make.integer(block) if self.rng.random() < 0.4 else self.make.int_atom(block)
        draw = self.rng.random()
        if draw < 0.5:
            return [f"{var.name} += {value}"]
        if draw < 0.7:
            return [f"{var.name} -= {value}"]
        if draw < 0.8:
            return [f"{var.name} = {PIECES['linear'](self.rng, var.name)}"]
        return [f"{var.name} {self.rng.choice(('*=', '//=', '%='))} {self.rng.randint(2, 5)}"]

    def change_str(self, block: Block, var: Var) -> list[str]:
        rng = self.rng
        var.filled = False
        if rng.random() < 0.35:
            value = rng.choice((PIECES["mark"](rng), PIECES["char"](rng), f"str({self.make.int_atom(block)})"))
            return [f"{var.name} += {value}" if rng.random() < 0.8 else f"{var.name} = {value} + {var.name}"]
        return [f"{var.name} = {PIECES['sexpr'](rng, var.name)}"]

    def change_ints(self, block: Block, var: Var) -> list[str]:
        rng, xs = self.rng, var.name
        value = self.make.int_atom(block) if rng.random() < 0.6 else self.make.integer(block)
        draw = rng.random()
        if draw < 0.35:
            return [f"{xs}.append({value})"]
        if draw < 0.47:
            return [f"{xs}.insert({rng.randint(0, 2)}, {value})"]
        if draw < 0.6 and var.filled:
            var.filled = False
            return [f"{xs}.pop({rng.choice(('', '0'))})"]
        if draw < 0.7:
            return [f"{xs}.sort({rng.choice(('', '', 'reverse=True'))})"]
        if draw < 0.78:
            return [f"{xs}.reverse()"]
        if draw < 0.86 and var.filled:
            return [f"{xs}[{rng.choice(('0', '-1'))}] {rng.choice(('=', '+=', '-='))} {self.make.int_atom(block)}"]
        if draw < 0.93:
            return [f"{xs}.extend([{value}, {self.make.int_atom(block)}])"]
        value = self.make.int_atom(block)
        return [f"if {value} in {xs}:", f"    {xs}.remove({value})"]

    def change_words(self, block: Block, var: Var) -> list[str]:
        rng, ws = self.rng, var.name
        value = self.make.string_atom(block)
        draw = rng.random()
        if draw < 0.45:
            return [
                f"{ws}.append({value if rng.random() < 0.7 or value[0] in chr(39) else PIECES['wexpr'](rng, value)})"
            ]
        if draw < 0.57:
            return [f"{ws}.insert({rng.randint(0, 1)}, {value})"]
        if draw < 0.75:
            return [f"{ws}.{rng.choice(('sort()', 'reverse()', 'sort(key=len)'))}"]
        if draw < 0.85:
            return [f"if {value} in {ws}:", f"    {ws}.remove({value})"]
        return [f"{ws} += [{value}]"]

    def change_counts(self, block: Block, var: Var) -> list[str]:
        rng, d = self.rng, var.name
        key, value = self.make.string_atom(block), self.make.int_atom(block)
        draw = rng.random()
        if draw < 0.3:
            return [f"{d}[{key}] = {d}.get({key}, 0) + {value}"]
        if draw < 0.5:
            return [f"{d}[{key}] = {self.make.integer(block)}"]
        if draw < 0.62:
            return [f"{d}.setdefault({key}, {value})"]
        if draw < 0.75:
            return [f"{d}.update({{{key}: {value}}})"]
        if draw < 0.87:
            return [f"{d}.pop({key}, None)"]
        return [f"if {key} in {d}:", f"    {d}[{key}] {rng.choice(('+=', '-=', '*='))} {rng.randint(1, 4)}"]

    def change_set(self, block: Block, var: Var) -> list[str]:
        return [f"{var.name}.{self.rng.choice(('add', 'add', 'add', 'discard'))}({self.make.int_atom(block)})"]

    def change_int_map(self, block: Block, var: Var) -> list[str]:
        key = self.make.int_atom(block)
        return [f"{var.name}[{key}] = {self.make.integer(block)}"]

"""Programs of several functions: a function on top that calls one to three helpers and does something with the results.

    helpers (idioms or random functions) --shape--> a top function: chain, loop over items, branch, range

What a helper is given fits its kind of argument, so that a loop inside it ends: results of other helpers are only
passed on where any value of the type will do, or after a step that makes them fit (`result % 6 + 1`).
"""

import random
from dataclasses import dataclass

from opencwm.data.programs.macros import expand_macros
from opencwm.data.programs.names import Names
from opencwm.data.programs.pieces import PIECES
from opencwm.data.programs.units import NEVER_PASSED, Scope, Unit
from opencwm.data.programs.values import type_of

TITLES = tuple(
    "process solve run compute evaluate summarize report handle check_all analyze work build_report main_task combine "
    "calculate get_result execute pipeline apply_all test_run collect prepare do_all total_result inspect review "
    "make_report run_all resolve examine overview convert_data finish study survey".split()
)
ROLE_OF = {
    "int": "n a b k num limit amount start size",
    "float": "a b",
    "bool": "flag",
    "int | None": "n",
    "str": "s t s w text_like",
    "list[int]": "xs xs ys",
    "list[str]": "ws",
    "dict[str, int]": "d dd",
    "dict[int, int]": "d",
    "dict[str, str]": "d",
    "dict[str, list[int]]": "groups",
    "dict[str, list[str]]": "d",
    "tuple[int, int]": "pair",
    "list[list[int]]": "grid",
    "set[int]": "xs ys",
    "list[tuple[str, int]]": "pairs",
    "list[tuple[int, int]]": "pairs",
    "list[dict]": "pairs",
}
FITS_ALL = {"int": "int", "text": "str", "ints": "list[int]", "words": "list[str]", "counts": "dict[str, int]"}
"""Kinds for which any value of the type will do."""
MADE_TO_FIT = {
    "pos": "{} % 9 + 1",
    "small": "{} % 5 + 1",
    "tiny": "{} % 3 + 1",
    "nat": "abs({})",
    "digits": "abs({}) + 10",
}
RESULTS = {"int": "res total count n", "str": "s u res", "list[int]": "out xs", "list[str]": "out ws", "bool": "flag"}

OVER_CONDITION = (
    "§map {0} = {1} for {1} in {2} if {3}",
    "§sum {0} = 1 for {1} in {2} if {3}",
    "{0} = all({3} for {1} in {2})",
    "{0} = any({3} for {1} in {2})",
)
BY_KEY = (
    "sorted({0}, key={1})",
    "sorted({0}, key={1}, reverse=True)",
    "max({0}, key={1})",
    "min({0}, key={1})",
    "list(map({1}, {0}))",
)


@dataclass(slots=True)
class Value:
    text: str
    type: str


class Composer:
    """Writes the top function over its helpers."""

    def __init__(self, rng: random.Random, scope: Scope, helpers: list[Unit], short: bool, long: bool) -> None:
        self.rng = rng
        self.helpers = helpers
        self.long = long
        self.name = scope.function(("f",) if short and "f" not in scope.taken else TITLES)
        self.names = Names(rng, short, scope.taken)
        self.short = short
        self.params: list[str] = []
        self.kinds: list[str] = []
        self.values: list[Value] = []
        self.lines: list[str] = []
        self.calling: Unit | None = None
        """The helper whose arguments are being written, where one of them may be a call itself."""

    def unit(self) -> Unit:
        shape = self.rng.choices(
            (self.chain, self.over_items, self.branch, self.over_range), (2, 6, 0, 3) if self.long else (4, 4, 2, 2)
        )[0]
        returns = shape()
        head = f"def {self.name}({', '.join(self.params)}):"
        body = expand_macros(["    " + line for line in self.lines], self.rng, self.names)
        return Unit(
            blocks=[*(block for helper in self.helpers for block in helper.blocks), [head, *body]],
            entry=self.name,
            kinds=tuple(self.kinds),
            returns=returns,
            params=tuple(self.params),
            short=self.short,
        )

    # -- shapes

    def chain(self) -> str:
        """Each helper's result may be the next one's argument; the last line brings them together."""
        for helper in self.helpers:
            call = self.call(helper)
            name = self.result_name(helper.returns)
            self.lines.append(f"{name} = {call}")
            self.values.append(Value(name, helper.returns))
            if self.rng.random() < 0.25:
                self.extra_step(self.values[-1])
        return self.finish()

    def over_items(self) -> str:
        """The first helper on every item of a list; another one on what comes out."""
        helper = self.helpers[0]
        kinds = required(helper)
        if not kinds or type_of(kinds[0]) not in ("int", "str", "list[int]", "list[str]", "tuple[int, int]"):
            return self.chain()
        items = self.parameter(f"list_of:{kinds[0]}")
        x = self.names.of(self.rng.choice(ROLE_OF.get(type_of(kinds[0]), "x").split()).replace("text_like", "part"))
        call = self.call(helper, first=x)
        out = self.names.of(self.rng.choice(("out", "res")))
        if self.rng.random() < 0.15:
            self.select_items(items, x, type_of(kinds[0]))
        partner = self.partner(helper)
        if partner is not None and self.rng.random() < 0.6:
            returns = self.either(items, x, call, self.call(partner, first=x), helper.returns, out)
            self.helpers = [each for each in self.helpers if each is not partner]
        else:
            returns = self.loop(items, x, call, helper.returns, out)
        self.values = [Value(out, returns)]
        for helper in self.helpers[1:]:
            call = self.call(helper)
            name = self.result_name(helper.returns)
            self.lines.append(f"{name} = {call}")
            self.values.append(Value(name, helper.returns))
        return self.finish()

    def partner(self, helper: Unit) -> Unit | None:
        """Another helper that may stand in for the first one on an item."""
        return next(
            (
                each
                for each in self.helpers[1:]
                if required(each)[:1] == required(helper)[:1] and type_of(each.returns) == type_of(helper.returns)
            ),
            None,
        )

    def select_items(self, items: str, x: str, kind: str) -> None:
        """Leave some items out first."""
        if kind in ("int", "str"):
            condition = PIECES["pred" if kind == "int" else "wpred"](self.rng, x)
            self.lines.append(f"{items} = [{x} for {x} in {items} if {condition}]")
        else:
            self.lines.append(f"{items} = {items}[{self.rng.choice(('1:', ':2', '::-1'))}]")

    def either(self, items: str, x: str, call: str, other: str, returns: str, out: str) -> str:
        """One helper or the other for each item."""
        if returns == "int" and self.rng.random() < 0.5:
            self.lines += [
                f"{out} = 0",
                f"for {x} in {items}:",
                f"    if {self.item_condition(x, items)}:",
                f"        {out} += {call}",
            ]
            self.lines += ["    else:", f"        {out} += {other}"]
            return "int"
        self.lines += [f"{out} = []", f"for {x} in {items}:", f"    if {self.item_condition(x, items)}:"]
        self.lines += [f"        {out}.append({call})", "    else:", f"        {out}.append({other})"]
        return f"list[{returns}]"

    def item_condition(self, x: str, items: str) -> str:
        kind = type_of(self.kinds[self.params.index(items)])[len("list[") : -1]
        return self.condition(x, kind) if kind in ("int", "str") else f"len({x}) > {self.rng.randint(1, 3)}"

    def loop(self, items: str, x: str, call: str, returns: str, out: str) -> str:
        draw = self.rng.random()
        if returns == "bool":
            word = self.rng.choice(OVER_CONDITION)
            self.lines.append(word.format(out, x, items, call))
            return "list" if word.startswith("§map") else "int" if word.startswith("§sum") else "bool"
        if type_of(returns) in ("int", "str") and self.rng.random() < 0.14:
            function = (
                helper_name
                if (helper_name := call.partition("(")[0]) and call == f"{helper_name}({x})"
                else f"lambda {x}: {call}"
            )
            word = self.rng.choice(BY_KEY)
            self.lines.append(f"{out} = " + word.format(items, function))
            return "item" if word[0] == "m" else "list"
        if returns == "int" and draw < 0.35:
            self.lines.append(f"§sum {out} = {call} for {x} in {items}")
            return "int"
        if returns == "int" and draw < 0.5:
            best = self.names.of("best")
            self.lines += [f"{out} = None", f"{best} = -1", f"for {x} in {items}:"]
            value = self.names.of("val")
            self.lines += [
                f"    {value} = {call}",
                f"    if {value} > {best}:",
                f"        {best} = {value}",
                f"        {out} = {x}",
            ]
            return "item"
        if draw < 0.62 and type_of(returns) in ("int", "str"):
            value = self.names.of("val")
            self.lines += [f"{out} = []", f"for {x} in {items}:", f"    {value} = {call}"]
            self.lines += [f"    if {self.condition(value, returns)}:", f"        {out}.append({value})"]
            return f"list[{returns}]"
        if draw < 0.72:
            self.lines.append(f"{out} = {{}}")
            self.lines += [
                f"for {self.names.of('i')}, {x} in enumerate({items}):",
                f"    {out}[{self.names.of('i')}] = {call}",
            ]
            return "dict"
        if draw < 0.82:
            self.lines += [f"{out} = []", f"for {x} in {items}:", "    try:", f"        {out}.append({call})"]
            kinds = self.rng.choice(("ValueError", "(ValueError, KeyError)", "Exception", "ValueError"))
            self.lines += [f"    except {kinds}:", f"        {out}.append({self.rng.choice(('None', '-1', '0'))})"]
            return "list"
        self.lines.append(f"§map {out} = {call} for {x} in {items}")
        return f"list[{returns}]"

    def branch(self) -> str:
        """What the first helper says decides what is done next."""
        first, *others = self.helpers
        call = self.call(first)
        name = self.result_name(first.returns)
        self.lines.append(f"{name} = {call}")
        self.values.append(Value(name, first.returns))
        condition = self.condition(name, first.returns)
        yes = self.call(others[0]) if others else self.step(self.values[-1])
        no = (
            self.call(others[1])
            if len(others) > 1
            else self.rng.choice((name, self.step(self.values[-1]), PIECES["label"](self.rng)))
        )
        self.lines.append(f"§ret {condition} ? {yes} : {no}")
        return "object"

    def over_range(self) -> str:
        """The first helper on numbers that count up; needs one that takes an integer first."""
        helper = next(
            (each for each in self.helpers if (required(each) or ("",))[0] in ("int", "nat", "pos", "small")), None
        )
        if helper is None:
            return self.over_items()
        self.helpers = [helper, *(each for each in self.helpers if each is not helper)]
        limit = self.parameter("small")
        i, out = self.names.of("i"), self.names.of("out")
        start = "1" if required(helper)[0] in ("pos", "small") else self.rng.choice("0012")
        call = self.call(helper, first=i)
        end = f"{limit} + 1" if start != "0" else limit
        if helper.returns == "bool":
            self.lines += [
                f"{out} = []",
                f"§up {i} in {start} .. {end}:",
                f"    if {call}:",
                f"        {out}.append({i})",
            ]
        elif helper.returns == "int" and self.rng.random() < 0.5:
            self.lines += [f"{out} = 0", f"§up {i} in {start} .. {end}:", f"    §add {out} <- {call}"]
        else:
            self.lines += [f"{out} = []", f"§up {i} in {start} .. {end}:", f"    §push {out} <- {call}"]
        self.values = [Value(out, "int" if f"{out} = 0" in self.lines else "list")]
        return self.finish()

    # -- parts

    def parameter(self, kind: str) -> str:
        """The name of a parameter of the kind, a new one mostly."""
        if kind in self.kinds and self.rng.random() < 0.6:
            return self.params[self.kinds.index(kind)]
        roles = ROLE_OF.get(type_of(kind), "xs").split()
        if kind.startswith("list_of:"):
            roles = ["xs"] if type_of(kind) == "list[int]" else ["ws"] if type_of(kind) == "list[str]" else ["pairs"]
        name = self.names.fresh(self.rng.choice(roles).replace("text_like", "s"))
        self.params.append(name)
        self.kinds.append(kind)
        return name

    def call(self, helper: Unit, first: str | None = None) -> str:
        self.calling = helper if first is None else None
        args = [self.argument(kind) if at or first is None else first for at, kind in enumerate(required(helper))]
        if first is None and len(args) == 1 and self.values and self.rng.random() < 0.04 and len(helper.params) == 1:
            args = [f"{helper.params[0]}={args[0]}"]
        return f"{helper.entry}({', '.join(args)})"

    def argument(self, kind: str) -> str:
        wanted = type_of(kind)
        found = [value for value in self.values if value.type == wanted]
        if found and self.rng.random() < 0.7:
            text = self.rng.choice(found).text
            if kind in FITS_ALL:
                return text
            if kind in MADE_TO_FIT:
                return MADE_TO_FIT[kind].format(text)
        inner = [each for each in self.helpers if type_of(each.returns) == wanted and each is not self.calling]
        if inner and (kind in FITS_ALL or kind in MADE_TO_FIT) and self.calling and self.rng.random() < 0.3:
            self.calling = None  # one call inside another is enough
            text = self.call(self.rng.choice(inner))
            return text if kind in FITS_ALL else MADE_TO_FIT[kind].format(text)
        if kind in ("int", "small", "pos", "tiny") and self.rng.random() < 0.3:
            return str(self.rng.randint(1, 3 if kind == "tiny" else 6))
        return self.parameter(kind)

    def result_name(self, returns: str) -> str:
        roles = RESULTS.get(type_of(returns), "res out cur").split()
        return self.names.fresh(self.rng.choice(roles))

    def condition(self, name: str, returns: str) -> str:
        kind = type_of(returns)
        if kind == "int":
            return PIECES["pred"](self.rng, name)
        if kind == "str":
            return self.rng.choice((PIECES["wpred"](self.rng, name), name, f"len({name}) > {self.rng.randint(2, 6)}"))
        if kind == "bool":
            return self.rng.choice((name, f"not {name}"))
        if kind.startswith(("list", "dict", "set", "tuple")):
            return self.rng.choice((f"len({name}) > {self.rng.randint(1, 4)}", name, f"len({name}) % 2 == 0"))
        return f"{name} is not None"

    def step(self, value: Value) -> str:
        """One more step on a value."""
        kind = type_of(value.type)
        if kind == "int":
            return PIECES["linear"](self.rng, value.text)
        if kind == "str":
            return PIECES["wexpr"](self.rng, value.text)
        if kind == "list[int]":
            return self.rng.choice(
                (
                    f"sum({value.text})",
                    f"{value.text}[::-1]",
                    f"len({value.text})",
                    f"sorted({value.text})",
                    f"{value.text}[:2]",
                )
            )
        if kind == "bool":
            return f"not {value.text}"
        return (
            self.rng.choice((f"len({value.text})", f"list({value.text})"))
            if kind.startswith(("list", "dict"))
            else f"[{value.text}]"
        )

    def extra_step(self, value: Value) -> None:
        kind = type_of(value.type)
        if kind == "int":
            line = f"{value.text} {self.rng.choice(('+=', '-=', '*='))} {self.rng.randint(2, 6)}"
        elif kind == "str":
            line = f"{value.text} = {PIECES['wexpr'](self.rng, value.text)}"
        elif kind == "list[int]":
            line = f"{value.text}.append({self.rng.choice((f'len({value.text})', str(self.rng.randint(0, 9))))})"
        else:
            return
        if self.rng.random() < 0.5:
            self.lines.append(f"if {self.condition(value.text, value.type)}:")
            line = "    " + line
        self.lines.append(line)

    def finish(self) -> str:
        """The return line: the last value, a step on it, or all of them together."""
        last = self.values[-1]
        draw = self.rng.random()
        if len(self.values) == 1 or draw < 0.25:
            if draw < 0.12:
                self.lines.append(f"return {self.step(last) if last.type != 'item' else last.text}")
                return "object"
            if type_of(last.type) in ("int", "str", "bool", "float") and self.rng.random() < 0.25:
                words = self.name.split("_")[-1] if not self.short else "r"
                self.lines.append(f"return f'{words}{self.rng.choice((': ', '=', ' ', '-'))}{{{last.text}}}'")
                return "str"
            self.lines.append(f"return {last.text}")
            return last.type
        texts = [value.text for value in self.values[-3:]]
        if all(value.type == "int" for value in self.values[-2:]) and draw < 0.6:
            a, b = texts[-2:]
            if self.rng.random() < 0.5:
                self.lines.append(f"return {a} {self.rng.choice('+-*')} {b}")
            else:
                sign, no = self.rng.choice((">", "<", "==", ">=")), self.rng.choice((b, f"{b} - {a}"))
                self.lines.append(f"§ret {a} {sign} {b} ? {a} : {no}")
            return "int"
        if draw < 0.65:
            self.lines.append(f"return {', '.join(texts)}")
            return "tuple"
        if draw < 0.75:
            self.lines.append(f"return [{', '.join(texts)}]")
            return "list"
        if draw < 0.92 and all(value.type in ("int", "str", "bool") for value in self.values[-3:]):
            mark = self.rng.choice((":", "-", " ", "/", "="))
            self.lines.append("return f'" + mark.join("{" + text + "}" for text in texts) + "'")
            return "str"
        self.lines.append("return {" + ", ".join(f"'{text}': {text}" for text in texts) + "}")
        return "dict"


def required(unit: Unit) -> tuple[str, ...]:
    """Kinds of the arguments that have to be given."""
    kinds = unit.kinds[: len(unit.kinds) - unit.num_optional]
    assert not set(kinds) & set(NEVER_PASSED), kinds
    return kinds

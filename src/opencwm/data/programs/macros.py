"""Line macros: one meaning, several ways in which people write it.

§each x in xs:          for x in xs / for i in range(len(xs)) / enumerate / while, with the body below it
§up i in a .. b:        for i in range(a, b) / while i < b
§add t <- e             t += e / t = t + e
§push out <- e          out.append(e) / out += [e] / out = out + [e]
§set v = c ? a : b      v = a if c else b / if-else over lines
§ret c ? a : b          the same with return; also the guard without else
§yes c                  return c / if c: return True; return False
§guard c -> v           if c: return v (or not at all: only for cases that the rest handles)
§map out = e for x in xs [if c]       comprehension / loop with append
§sum t = e for x in xs [if c]         sum over a generator or list / loop
§any v = c for x in xs  any(...) / loop with break     (§all likewise)
"""

import random
import re

from opencwm.data.programs.names import Names

COMPREHENSION = re.compile(r"(\S+) = (.+?) for (.+?) in (.+?)(?: if (.+))?$")

UNORDERED = ("d", "dd", "groups", "seen", "table", "memo")
"""Roles of dicts and sets."""


def expand_macros(lines: list[str], rng: random.Random, names: Names) -> list[str]:
    """The lines with every macro replaced; what a macro's body holds is expanded first."""
    out: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        stripped = line.lstrip()
        at += 1
        if not stripped.startswith("§"):
            out.append(line)
            continue
        indent = line[: len(line) - len(stripped)]
        word, _, rest = stripped[1:].partition(" ")
        body: list[str] = []
        while at < len(lines) and len(lines[at]) - len(lines[at].lstrip()) > len(indent):
            body.append(lines[at])
            at += 1
        body = expand_macros(body, rng, names) if body else body
        new = _Macro(rng, names, rest).run(word, body=[each[len(indent) :] for each in body])
        out.extend(indent + each for each in new)
    return out


class _Macro:
    def __init__(self, rng: random.Random, names: Names, rest: str) -> None:
        self.rng = rng
        self.names = names
        self.rest = rest

    def run(self, word: str, body: list[str]) -> list[str]:
        method = getattr(self, "on_" + word, None)
        assert method is not None, f"no macro §{word}"
        result = method(body) if word in ("each", "up") else method() + body
        return list(result)

    def on_each(self, body: list[str]) -> list[str]:
        x, _, xs = self.rest.rstrip(":").partition(" in ")
        draw = self.rng.random()
        simple = xs.isidentifier() and "," not in x and not self._is_mapping(xs)
        rebound = re.compile(rf"(\b{x}\b,? ?[-+*/%]*=[^=])|(, {x}\b.* = )|(\bfor {x}\b)|lambda {x}\b")
        if draw < 0.52 or not simple:
            return [f"for {x} in {xs}:", *body]
        i = self.names.fresh("i")
        if draw < 0.64:
            return [f"for {i} in range(len({xs})):", f"    {x} = {xs}[{i}]", *body]
        if draw < 0.76 and not any(rebound.search(line) or "f'" in line for line in body):
            named = re.compile(rf"(?<![.\w'])(?:{x})(?![\w'])")
            return [f"for {i} in range(len({xs})):", *(named.sub(f"{xs}[{i}]", line) for line in body)]
        if draw < 0.81:
            return [f"for {i}, {x} in enumerate({xs}):", *body]
        grows = any(re.search(rf"\b{xs}\.(append|insert|extend)|\b{xs} \+?=", line) for line in body)
        if draw < 0.92 or grows or any("continue" in line for line in body):
            if grows:
                return [f"for {x} in {xs}:", *body]
            return [f"{i} = 0", f"while {i} < len({xs}):", f"    {x} = {xs}[{i}]", f"    {i} += 1", *body]
        return [f"{i} = 0", f"while {i} < len({xs}):", f"    {x} = {xs}[{i}]", *body, f"    {i} += 1"]

    def _is_mapping(self, name: str) -> bool:
        """Whether the variable is in a role that has no positions."""
        return any(
            chosen == name and slot.rstrip("0123456789") in UNORDERED for slot, chosen in self.names.chosen.items()
        )

    def on_up(self, body: list[str]) -> list[str]:
        i, _, bounds = self.rest.rstrip(":").partition(" in ")
        low, _, high = (part.strip() for part in bounds.partition(".."))
        if self.rng.random() < 0.75 or any("continue" in line for line in body):
            return [f"for {i} in range({high}):" if low == "0" else f"for {i} in range({low}, {high}):", *body]
        return [f"{i} = {low}", f"while {i} < {high}:", *body, f"    {i} += 1"]

    def on_add(self) -> list[str]:
        target, _, value = self.rest.partition(" <- ")
        if self.rng.random() < 0.75:
            return [f"{target} += {value}"]
        return [f"{target} = {target} + {_closed(value)}"]

    def on_push(self) -> list[str]:
        target, _, value = self.rest.partition(" <- ")
        if re.fullmatch(r"\([^(),]*\)", value):
            value = value[1:-1]
        draw = self.rng.random()
        if draw < 0.85:
            return [f"{target}.append({value})"]
        return [f"{target} += [{value}]" if draw < 0.93 else f"{target} = {target} + [{value}]"]

    def _choice(self) -> tuple[str, str, str]:
        condition, _, values = self.rest.partition(" ? ")
        yes, _, no = values.partition(" : ")
        return condition, yes, no

    def on_ret(self) -> list[str]:
        condition, yes, no = self._choice()
        draw = self.rng.random()
        if draw < 0.35:
            return [f"return {yes} if {condition} else {no}"]
        if draw < 0.6:
            return [f"if {condition}:", f"    return {yes}", "else:", f"    return {no}"]
        return [f"if {condition}:", f"    return {yes}", f"return {no}"]

    def on_set(self) -> list[str]:
        target, _, rest = self.rest.partition(" = ")
        self.rest = rest
        condition, yes, no = self._choice()
        draw = self.rng.random()
        if draw < 0.45:
            return [f"{target} = {yes} if {condition} else {no}"]
        if draw < 0.8:
            return [f"if {condition}:", f"    {target} = {yes}", "else:", f"    {target} = {no}"]
        return [f"{target} = {no}", f"if {condition}:", f"    {target} = {yes}"]

    def on_yes(self) -> list[str]:
        draw = self.rng.random()
        if draw < 0.5:
            return [f"return {self.rest}"]
        if draw < 0.75:
            return [f"if {self.rest}:", "    return True", "return False"]
        return [f"if {self.rest}:", "    return True", "else:", "    return False"]

    def on_guard(self) -> list[str]:
        condition, _, value = self.rest.partition(" -> ")
        draw = self.rng.random()
        if draw < 0.45:
            return []
        if condition.startswith("not ") and condition[4:].isidentifier() and draw < 0.7:
            condition = f"len({condition[4:]}) == 0"
        return [f"if {condition}:", f"    return {value}"]

    def _parts(self) -> tuple[str, str, str, str, str | None]:
        match = COMPREHENSION.match(self.rest)
        assert match, f"not a comprehension: {self.rest}"
        target, value, x, xs, condition = match.groups()
        return target, value, x, xs, condition

    def _loop(self, x: str, xs: str, condition: str | None, then: list[str]) -> list[str]:
        if condition is None:
            body = then
        elif self.rng.random() < 0.8:
            body = [f"if {condition}:", *("    " + line for line in then)]
        else:
            body = [f"if not ({condition}):", "    continue", *then]
        return _Macro(self.rng, self.names, f"{x} in {xs}:").on_each(["    " + line for line in body])

    def on_map(self) -> list[str]:
        target, value, x, xs, condition = self._parts()
        ends = f" if {condition}" if condition else ""
        if self.rng.random() < 0.45:
            return [f"{target} = [{value} for {x} in {xs}{ends}]"]
        push = _Macro(self.rng, self.names, f"{target} <- {value}").on_push()
        return [f"{target} = []", *self._loop(x, xs, condition, push)]

    def on_sum(self) -> list[str]:
        target, value, x, xs, condition = self._parts()
        ends = f" if {condition}" if condition else ""
        draw = self.rng.random()
        if draw < 0.3:
            return [f"{target} = sum({value} for {x} in {xs}{ends})"]
        if draw < 0.45:
            return [f"{target} = sum([{value} for {x} in {xs}{ends}])"]
        add = _Macro(self.rng, self.names, f"{target} <- {value}").on_add()
        return [f"{target} = 0", *self._loop(x, xs, condition, add)]

    def on_any(self) -> list[str]:
        return self._quantifier("any", "False", "True", "if {}:")

    def on_all(self) -> list[str]:
        return self._quantifier("all", "True", "False", "if not ({}):")

    def _quantifier(self, word: str, before: str, after: str, test: str) -> list[str]:
        target, value, x, xs, _ = self._parts()
        if self.rng.random() < 0.4:
            return [f"{target} = {word}({value} for {x} in {xs})"]
        found = [test.format(value), f"    {target} = {after}", "    break"]
        return [f"{target} = {before}", *self._loop(x, xs, None, found)]


def _closed(value: str) -> str:
    """The value as the right operand of a sum."""
    return (
        f"({value})"
        if re.search(r" (if|or|and|[-+]) ", value) and not re.fullmatch(r"[\w.]*\([^()]*\)", value)
        else value
    )

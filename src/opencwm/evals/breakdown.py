"""Which frames are wrong: counts by what is wrong with them and by what the program was doing.

    truth, teacher-forced prediction --cases--> Case per frame --breakdown--> tables

A wrong frame has one kind, the first of these that fits: `malformed`, `event` (call, line, return, exception confused),
`line` (control flow: another source line), `names` (other variables), `value` (the right names with another value).
Every frame, right or wrong, has the features of the source line whose execution led to it (operators, methods,
statements), so that each feature's share of wrong frames can be read off; this is what tells a maker of training data
where to go on. A line says nothing about which of its features did it: read shares of features against each other.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from opencwm.trace.compare import frame_equal, values_equal
from opencwm.trace.recording.frame import Trace
from opencwm.trace.stream import ParseError
from opencwm.trace.view import FrameView, view

_OPERATORS = {
    "Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**", "LShift": "<<",
    "RShift": ">>", "BitOr": "|", "BitXor": "^", "BitAnd": "&", "MatMult": "@", "USub": "neg", "Not": "not",
    "Invert": "~", "UAdd": "pos", "And": "and", "Or": "or", "Eq": "==", "NotEq": "!=", "Lt": "<", "LtE": "<=",
    "Gt": ">", "GtE": ">=", "Is": "is", "IsNot": "is not", "In": "in", "NotIn": "not in",
}  # fmt: skip
_LENGTH_CLASSES = (4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One predicted frame."""

    index: int
    truth: FrameView
    predicted: FrameView | ParseError
    kind: str | None
    """`malformed`, `event`, `line`, `names`, `value`; None: the frame is right."""
    cause_line: str
    """The source line whose execution led here: the last one shown by the frame's activation, or by a call's caller."""
    wrong_values: tuple[tuple[str, str], ...]
    """(true text, predicted text) of each value that differs, where that is what is wrong."""


def cases(truth: Trace, predicted: Sequence[FrameView | ParseError], *, given: int = 1) -> Iterator[Case]:
    """Every frame after the `given` ones."""
    lines: list[str] = []
    for index, (true, guess) in enumerate(zip(view(truth).frames, predicted, strict=True)):
        if index >= given:
            kind = kind_of(true, guess)
            yield Case(
                index=index,
                truth=true,
                predicted=guess,
                kind=kind,
                cause_line=lines[-1] if lines else "",
                wrong_values=tuple(wrong_values(true, guess)) if kind == "value" else (),
            )
        if true.event == "call":
            lines.append("")
        if lines:
            lines[-1] = true.source_line
        if true.event == "return" and lines:
            lines.pop()


def kind_of(truth: FrameView, predicted: FrameView | ParseError) -> str | None:
    if isinstance(predicted, ParseError):
        return "malformed"
    if frame_equal(truth, predicted):
        return None
    if truth.event != predicted.event:
        return "event"
    if truth.source_line != predicted.source_line:
        return "line"
    return "names" if (truth.locals or {}).keys() != (predicted.locals or {}).keys() else "value"


def wrong_values(truth: FrameView, predicted: FrameView | ParseError) -> Iterator[tuple[str, str]]:
    assert isinstance(predicted, FrameView), "a malformed frame has no values"
    if truth.locals is None or predicted.locals is None:
        yield truth.value or "", predicted.value or ""
        return
    for name, text in truth.locals.items():
        if not values_equal(text, predicted.locals[name]):
            yield text, predicted.locals[name]


def breakdown(all_cases: Iterable[Case], *, num_examples: int = 0) -> dict[str, Any]:
    """Tables of wrong frames: by kind, event, feature of the causing line, type and length of the value."""
    kinds: Counter[str] = Counter()
    tables: dict[str, Table] = {name: Table() for name in ("event", "changed", "feature", "feature_value")}
    types: Counter[str] = Counter()
    lengths: Counter[str] = Counter()
    examples: dict[str, list[dict[str, str]]] = {}
    total = 0
    for case in all_cases:
        total += 1
        wrong = case.kind is not None
        tables["event"].add(case.truth.event, wrong)
        tables["changed"].add(str(case.truth.is_changed), wrong)
        for feature in features(case.cause_line):
            tables["feature"].add(feature, wrong)
            tables["feature_value"].add(feature, case.kind == "value")
        if case.kind is not None:
            kinds[case.kind] += 1
            if len(examples.setdefault(case.kind, [])) < num_examples:
                examples[case.kind].append(example(case))
        for true, _ in case.wrong_values:
            types[type_of(true)] += 1
            lengths[length_class(true)] += 1
    result = {
        "num_frames": total,
        "num_wrong": kinds.total(),
        "by_kind": dict(kinds.most_common()),
        **{f"by_{name}": table.to_dict() for name, table in tables.items()},
        "wrong_value_types": dict(types.most_common()),
        "wrong_value_chars": dict(lengths.most_common()),
    }
    return result | ({"examples": examples} if num_examples else {})


class Table:
    """Wrong among all, by key."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    def add(self, key: str, wrong: bool) -> None:
        self.total[key] += 1
        self.wrong[key] += wrong

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Most wrong frames first."""
        return {
            key: {"n": self.total[key], "wrong": wrong, "share": round(wrong / self.total[key], 4)}
            for key, wrong in self.wrong.most_common()
        }


def example(case: Case) -> dict[str, str]:
    return {"after": case.cause_line.strip(), "truth": described(case.truth), "predicted": described(case.predicted)}


def described(frame: FrameView | ParseError) -> str:
    if isinstance(frame, ParseError):
        return frame.reason
    shown = frame.value if frame.locals is None else ", ".join(f"{k}={v}" for k, v in frame.locals.items())
    return f"{frame.event} {shown} | {frame.source_line.strip()}"


@lru_cache(maxsize=65536)
def features(line: str) -> tuple[str, ...]:
    """What a physical line does: `stmt:`, `op:`, `call:`, `method:` and `expr:` features, each once."""
    tree = parsed_line(line.strip())
    if tree is None:
        return ("stmt:partial",)
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        found.update(dict.fromkeys(node_features(node)))
    return tuple(found) or ("stmt:none",)


def parsed_line(text: str) -> ast.Module | None:
    """The line as a program of its own: an opening line gets a body, a continuing clause its opening."""
    opening = text.endswith(":") or text.startswith(("if ", "elif ", "for ", "while ", "def ", "with ", "class "))
    standing = "if " + text[5:] if text.startswith("elif ") else text
    for candidate in (text, standing + " pass" if opening else text):
        try:
            return ast.parse(candidate)
        except (SyntaxError, ValueError):
            continue
    for prefix, suffix in (("try: pass\n", " pass"), ("try:", " pass\nexcept E: pass"), ("if x: pass\n", " pass")):
        try:
            return ast.parse(prefix + (text.removeprefix("try:") if prefix == "try:" else text) + suffix)
        except (SyntaxError, ValueError):
            continue
    return None


def node_features(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            yield f"method:.{node.func.attr}"
        elif isinstance(node.func, ast.Name):
            yield f"call:{node.func.id}" if node.func.id in BUILTINS else "call:user"
    elif isinstance(node, ast.stmt) and not isinstance(node, (ast.Expr, ast.Pass)):
        yield f"stmt:{type(node).__name__}"
    elif isinstance(node, (ast.operator, ast.unaryop, ast.boolop, ast.cmpop)):
        yield f"op:{_OPERATORS[type(node).__name__]}"
    elif isinstance(node, ast.Slice):
        yield "expr:slice"
    elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
        yield "expr:index"
    elif isinstance(node, EXPRESSIONS):
        yield f"expr:{type(node).__name__}"


EXPRESSIONS = (
    ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp, ast.JoinedStr, ast.Lambda, ast.IfExp, ast.Starred,
)  # fmt: skip
BUILTINS = frozenset(
    "abs all any bin bool bytes chr complex dict divmod enumerate filter float format frozenset hash hex int "
    "isinstance iter len list map max min next oct ord pow print range repr reversed round set slice sorted str sum "
    "tuple type zip".split()
)


def type_of(text: str) -> str:
    """The type of a value's text: that of the literal, or of the object that it describes."""
    try:
        return type(ast.literal_eval(text)).__name__
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        name = text.split("(")[0].split(" ")[0].lstrip("<").rstrip(">")
        return name if name.isidentifier() else "other"


def length_class(text: str) -> str:
    low = 0
    for high in _LENGTH_CLASSES:
        if len(text) <= high:
            return f"{low}-{high}"
        low = high + 1
    return f"> {_LENGTH_CLASSES[-1]}"


def summary_lines(tables: Mapping[str, Any], *, rows: int = 25) -> Iterator[str]:
    """The tables for a terminal."""
    yield f"{tables['num_wrong']} of {tables['num_frames']} frames wrong"
    for kind, number in tables["by_kind"].items():
        yield f"  {kind:<12}{number:>7}"
    for name in ("by_event", "by_changed", "by_feature"):
        yield f"{name.removeprefix('by_'):<24}{'wrong':>7}{'of':>8}{'share':>8}"
        for key, row in list(tables[name].items())[:rows]:
            yield f"  {key:<22}{row['wrong']:>7}{row['n']:>8}{row['share']:>8.1%}"
    for name in ("wrong_value_types", "wrong_value_chars"):
        yield name.replace("_", " ") + ": " + ", ".join(f"{key} {number}" for key, number in tables[name].items())

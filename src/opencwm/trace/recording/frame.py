"""One trace, as plain data: what a recorder writes and everything else reads.

    program --Recorder--> Trace(header, frames) --text, tokens--> what a model reads

A frame pairs an observation (the locals before a line runs) with an action (that line). The format is the project's
trace format, version 1. This folder has no dependencies, runs on Python 3.8 and imports nothing else of ours, so that
it can be injected into another project's environment.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]

FORMAT = 1
EVENTS = ("call", "line", "return", "exception")
CAUSES = ("resume", "yield", "await", "unwind")
OUTCOMES = ("returned", "raised", "budget", "exit", "displaced")


@dataclass(frozen=True)
class Locals:
    """The names of one activation, as changes against the last frame with locals that it showed."""

    set: Dict[str, str]
    """Name -> text of its value, for every name that is shown in full; in declaration order."""
    removed: Tuple[str, ...] = ()
    """Names shown before that are no longer bound."""
    order: Optional[Tuple[str, ...]] = None
    """All bound names in declaration order; only where appending the new names of `set` would give another order."""

    def to_dict(self) -> Dict[str, Any]:
        data = {"set": self.set, "removed": list(self.removed)}  # type: Dict[str, Any]
        if self.order is not None:
            data["order"] = list(self.order)
        return data


@dataclass(frozen=True)
class Frame:
    event: str
    """One of `EVENTS`."""
    depth: int
    """0 for the entry point; counts recorded activations only."""
    file: str
    """Relative to the scope's root, with `/`."""
    line_no: int
    """Physical line, 1-based; for people and tools, never shown to a model."""
    source_line: str
    """That line as written, indentation kept, no newline; "" where no source is available."""
    cause: Optional[str] = None
    """One of `CAUSES`, where the event alone does not say why; never shown to a model."""
    locals: Optional[Locals] = None
    """On `call` and `line` frames only."""
    value: Optional[str] = None
    """On `return` and `exception` frames only."""

    def to_dict(self) -> Dict[str, Any]:
        """The frame with the keys of the trace format in their order; absent ones left out."""
        data = {"event": self.event}  # type: Dict[str, Any]
        if self.cause is not None:
            data["cause"] = self.cause
        data["depth"] = self.depth
        data["file"] = self.file
        data["line_no"] = self.line_no
        data["source_line"] = self.source_line
        if self.locals is not None:
            data["locals"] = self.locals.to_dict()
        if self.value is not None:
            data["value"] = self.value
        return data

    @classmethod
    def from_dict(cls, data: Dict[str, Any]) -> "Frame":
        """The inverse of `to_dict`; raises KeyError, TypeError or ValueError on anything else."""
        shown = data.get("locals")
        names = None  # type: Optional[Locals]
        if shown is not None:
            order = shown.get("order")
            names = Locals(dict(shown["set"]), tuple(shown["removed"]), None if order is None else tuple(order))
        if data["event"] not in EVENTS:
            raise ValueError("unknown event {!r}".format(data["event"]))
        return cls(
            event=data["event"],
            depth=data["depth"],
            file=data["file"],
            line_no=data["line_no"],
            source_line=data["source_line"],
            cause=data.get("cause"),
            locals=names,
            value=data.get("value"),
        )


@dataclass(frozen=True)
class Trace:
    header: Dict[str, Any]
    """The keys of the trace format's header: how the trace was made, its context, entry and outcome."""
    frames: List[Frame] = field(default_factory=list)

    @property
    def context(self) -> str:
        return str(self.header["context"])

    @property
    def outcome(self) -> str:
        return str(self.header["outcome"])

    def to_json(self) -> str:
        """One line of a trace file, without its newline."""
        return dump({"header": self.header, "frames": [frame.to_dict() for frame in self.frames]})

    @classmethod
    def from_json(cls, line: str) -> "Trace":
        """The inverse of `to_json`; raises ValueError, KeyError or TypeError on anything else."""
        data = json.loads(line)
        return cls(header=dict(data["header"]), frames=[Frame.from_dict(frame) for frame in data["frames"]])


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def dump(data: Any) -> str:
    """JSON as trace files hold it: one line, no spaces, UTF-8 with lone surrogates escaped."""
    text = _encode(data)
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(data, separators=(",", ":"))
    return text

"""How a recording is made: every choice that the trace format leaves open, with its default.

The options travel in the header of each trace, so that a trace always says how it was made.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Mapping, Optional

from .kept_builtins import __builtins__ as __builtins__  # type: ignore[attr-defined,no-redef,unused-ignore]

VALUE_MODES = ("structural", "repr")
COMPREHENSION_MODES = ("fold", "step")
BUDGET_MODES = ("stop_program", "stop_recording")


@dataclass(frozen=True)
class Options:
    values: str = "structural"
    """`structural`: our own writer, no user code runs in the recorder; `repr`: calls `__repr__` (what to choose when
    feeding the released 32B model)."""
    max_depth: Optional[int] = 6
    """Containers nested deeper are cut; None: never."""
    max_items: Optional[int] = 64
    """Items shown of one container; None: all."""
    max_value_chars: Optional[int] = 512
    """Characters shown of one value; None: all."""
    full_after_return: bool = True
    """The first frame with locals after a callee's return shows every local in full."""
    comprehensions: str = "fold"
    """`fold`: list, set and dict comprehensions are part of their line; `step`: what the interpreter gives."""
    max_frames: int = 10_000
    """Budget of frames, over all threads."""
    max_bytes: int = 1_000_000
    """Budget of the frames' JSON, in bytes, over all threads."""
    timeout_s: Optional[float] = 10.0
    """Budget of wall clock; None: none."""
    on_budget: str = "stop_program"
    """`stop_program` in a process that we own; `stop_recording` in somebody else's: it goes on untraced."""

    def __post_init__(self) -> None:
        for name, known in (
            ("values", VALUE_MODES),
            ("comprehensions", COMPREHENSION_MODES),
            ("on_budget", BUDGET_MODES),
        ):
            if getattr(self, name) not in known:
                raise ValueError("{} is {!r}; it must be one of {}".format(name, getattr(self, name), ", ".join(known)))

    @property
    def max_chars(self) -> int:
        """Characters that are written of one value: a text longer than `max_bytes` is in no frame that is kept."""
        return self.max_bytes if self.max_value_chars is None else min(self.max_value_chars, self.max_bytes)

    def to_dict(self) -> "dict[str, Any]":
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, data: "Mapping[str, Any]") -> Options:
        """The inverse of `to_dict`; absent keys keep their defaults, unknown ones are a ValueError."""
        known = [field.name for field in fields(cls)]
        for name in data:
            if name not in known:
                raise ValueError("no option is called {!r}; there are {}".format(name, ", ".join(known)))
        return cls(**data)

"""How hard the generated programs may be: one number, or the limits it stands for one by one.

    level 0.0   one function of a few lines, digits, lists of 2-3, short words
    level 1.0   up to four functions, nested loops, recursion, classes, exceptions, numbers to some hundreds

A program at a dial is drawn at a level *up to* the dial's, so that full difficulty still contains easy programs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from opencwm.errors import ConfigError

KINDS = ("idiom", "typed", "composed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dial:
    """What `generate` may use. Where a limit is None, it follows from `level`."""

    level: float = 1.0
    """Greatest difficulty, from 0 (a handful of frames, digits) to 1 (everything)."""
    max_functions: int | None = None
    """Most functions, methods not counted."""
    max_statements: int | None = None
    """Most statements that a randomly composed function draws; idioms have the length that they have."""
    max_depth: int | None = None
    """Deepest nesting of blocks in randomly composed functions."""
    int_magnitude: int | None = None
    """Integers in literals are mostly smaller than this; a few reach ten times as far."""
    container_len: int | None = None
    """Most elements of a list, set or dict in the call."""
    string_len: int | None = None
    """Most characters of a plain word in the call; phrases are some words."""
    target_frames: tuple[int, int] = (1, 240)
    """Fewest and most frames of the trace (wrapper included) that are aimed at; a program that misses this is only
    returned where several tries in a row missed it."""
    max_value_chars: int = 120
    """Longest text of a value that is aimed at."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How much more (2.0) or less (0.5) often than usual to draw from a kind (`idiom`, `typed`, `composed`) or from
    a family of idioms (`numbers`, `text`, `lists`, ...); 0 switches it off."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.level <= 1.0:
            raise ConfigError(f"level is {self.level}: a dial goes from 0 to 1")
        low, high = self.target_frames
        if not 0 < low <= high:
            raise ConfigError(f"target_frames is {self.target_frames}: it must be two rising numbers from 1 on")
        for name in ("max_functions", "max_statements", "max_depth", "int_magnitude", "container_len", "string_len"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}: it must be at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """A dial at the level that one program was drawn at: every limit a number."""

    level: float
    max_functions: int
    max_statements: int
    max_depth: int
    int_magnitude: int
    container_len: int
    string_len: int

    def smaller(self) -> "Limits":
        """The same with small values: for what is worked on in one step, or stands in a container."""
        return replace(
            self,
            int_magnitude=min(self.int_magnitude, 15),
            container_len=min(self.container_len, 4),
            string_len=min(self.string_len, 6),
        )

    @classmethod
    def of(cls, dial: Dial, level: float, longer: bool = False) -> "Limits":
        """The limits at a level; `longer` for a program that is to run for long."""

        def pick(given: int | None, low: int, high: int) -> int:
            return given if given is not None else round(low + (high - low) * level)

        return cls(
            level=level,
            max_functions=pick(dial.max_functions, 1, 4),
            max_statements=pick(dial.max_statements, 3, 8),
            max_depth=pick(dial.max_depth, 1, 3),
            int_magnitude=pick(dial.int_magnitude, 10, 30),
            container_len=pick(dial.container_len, 4 if longer else 3, 7 if longer else 6),
            string_len=pick(dial.string_len, 4, 8),
        )

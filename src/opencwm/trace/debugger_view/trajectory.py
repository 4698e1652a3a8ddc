"""Trajectories: states of a trace joined by actions, drawn by a policy or chosen one by one."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from opencwm.errors import ConfigError
from opencwm.trace.debugger_view.path import ACTIONS, Direction, Move, Path, entries, path_of
from opencwm.trace.recording.frame import Trace
from opencwm.trace.stream import ParseError
from opencwm.trace.tree import Activation


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How actions are drawn; a half is drawn for each trajectory, then an action at each state."""

    forward: Mapping[str, float] = field(
        default_factory=lambda: {
            "step_into": 0.35,
            "step_over": 0.10,
            "step_return": 0.20,
            "breakpoint": 0.10,
            "continue": 0.05,
        }
    )
    inverse: Mapping[str, float] = field(
        default_factory=lambda: {"inv_step_into": 0.35, "inv_step_over": 0.10, "inv_step_call": 0.20}
    )
    share_stepping: float = 0.5
    """Of trajectories that only step into and over, evenly."""
    share_far: float = 0.25
    """Of breakpoints on any line of the trace, come again or not; the others are on a line that comes."""
    max_states: int | None = 256
    """Longer trajectories stop there, without an exit."""

    def __post_init__(self) -> None:
        both: dict[Direction, Mapping[str, float]] = {"forward": self.forward, "inverse": self.inverse}
        for direction, weights in both.items():
            for name, weight in weights.items():
                if name not in ACTIONS[direction]:
                    there = ", ".join(ACTIONS[direction])
                    raise ConfigError(f"{name!r} is no {direction} action", fix=f"there are: {there}")
                if weight < 0:
                    raise ConfigError(f"the weight of {name} is {weight}: it must not be negative")
            if sum(weights.values()) <= 0:
                raise ConfigError(f"no {direction} action has any weight")
        if self.max_states is not None and self.max_states < 1:
            raise ConfigError(f"max_states is {self.max_states}: it must be at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    event: str
    """As a frame's; also `line_call`, backward."""
    source_line: str
    locals: dict[str, str] | None = None
    """Every bound name, resolved; on `call`, `line` and `line_call`."""
    value: str | None = None
    """On `return` and `exception`."""
    frame: int | None = field(default=None, compare=False)
    """Index of the frame in its trace; None where the state was parsed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory:
    direction: Direction
    context: str
    states: tuple[State, ...]
    moves: tuple[Move, ...]
    """`moves[i]` leads from `states[i]` to `states[i + 1]`, the last one to the exit where there is one."""
    exit: str | None
    """`normal`, `error`, `never`; `entry` backward; None where the trajectory stops before."""
    shown_in_full: tuple[bool, ...] = field(default=(), compare=False)
    """Which states' locals are written with every name."""
    error: ParseError | None = None
    """What is wrong with a text that was parsed, after everything above."""


def sample(
    trace: Trace,
    *,
    seed: int = 0,
    direction: Direction = "forward",
    policy: Policy | None = None,
    entry: Literal["whole", "call"] | None = None,
) -> Trajectory | None:
    """A trajectory, deterministic by (trace, arguments). `entry` "call" begins at a call drawn from the trace's, which
    is what backward ones do if nothing is said. None where the trace has no such path."""
    policy, rng = policy or Policy(), random.Random(f"debugger/{direction}/{seed}")
    start = None
    if entry == "call" or (entry is None and direction == "inverse"):
        calls = entries(trace)
        if not calls:
            return None
        start = rng.choice(calls)
    path = path_of(trace, direction, entry=start)
    if path is None:
        return None
    prefix = "inv_" if direction == "inverse" else ""
    weights = policy.inverse if direction == "inverse" else policy.forward
    if rng.random() < policy.share_stepping:
        weights = {f"{prefix}step_into": 0.5, f"{prefix}step_over": 0.5}
    names, shares = list(weights), list(weights.values())

    def draw(at: int) -> Move:
        action = rng.choices(names, shares)[0]
        if action != "breakpoint":
            return Move(action=action)
        lines = path.lines_from(at + 1)
        if not lines or rng.random() < policy.share_far:
            lines = path.lines_from(0) or [path.places[at].node.frame.source_line]
        return Move(action=action, source_line=rng.choice(lines))

    return follow(path, draw, max_states=policy.max_states)


def follow(path: Path, choose: Callable[[int], Move], *, max_states: int | None = None) -> Trajectory:
    """Walk a path: `choose(place)` gives the move to make there."""
    at = 0
    states: list[State] = []
    moves: list[Move] = []
    full: list[bool] = []
    base: tuple[Activation, dict[str, str]] | None = None
    is_break = False
    while at < len(path.places) and (max_states is None or len(states) < max_states):
        place = path.places[at]
        frame, level = place.node.frame, place.node.level
        shown = base[1] if base is not None and base[0] is level and not is_break else None
        if base is not None and base[0] is not level:
            base = None
        if frame.locals is not None:
            full.append(place.event == "call" or shown is None or any(name not in frame.locals for name in shown))
            base = level, frame.locals
        else:
            full.append(False)
            base = base if base is not None and frame.event == "exception" else None
        states.append(
            State(
                event=place.event,
                source_line=frame.source_line,
                locals=frame.locals,
                value=frame.value,
                frame=place.node.index,
            )
        )
        moves.append(choose(at))
        at = path.after(at, moves[-1])
        is_break = moves[-1].action == "breakpoint"
    is_over = at >= len(path.places)
    return Trajectory(
        direction=path.direction,
        context=path.context,
        states=tuple(states),
        moves=tuple(moves if is_over else moves[:-1]),
        exit=path.exit if is_over else None,
        shown_in_full=tuple(full),
    )

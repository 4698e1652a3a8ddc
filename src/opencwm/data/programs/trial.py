"""Run a freshly drawn program once, to see how long its trace is and whether it behaves.

The program is our own and pure, so it runs in this process, under a tracer that ends it when it has gone on for too
long. Frames are counted as the recorder counts them, comprehensions folded (wrapper of the call included); drawn
programs have no loops on one line, which is what makes the simple rule for that in `local` enough.
"""

import sys
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

MAX_FRAMES = 400
FILENAME = "<drawn program>"
FOLDED = ("<listcomp>", "<setcomp>", "<dictcomp>")
WRAPPER_FRAMES = 3
"""Call, line and return of the recorder's wrapper function."""


@dataclass(slots=True)
class Trial:
    num_frames: int = WRAPPER_FRAMES
    longest_value: int = 0
    """Characters of the longest value of a variable when its function returned, and of the result."""
    failed: str | None = None
    """The exception that left the program, if one did."""
    endless: bool = False
    result: str = ""
    """What the call returned, as `repr` shows it; empty where it did not return."""


class _TooLong(BaseException):
    pass


def attempt(source: str, call: str) -> Trial:
    """What happens when the call is made on the source; the source itself must compile."""
    trial = Trial()
    last_line: dict[FrameType, int] = {}

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line" and frame.f_code.co_name != "<genexpr>":
            if last_line.get(frame) == frame.f_lineno:
                return local  # a comprehension goes round, on versions that run it inside the line's own frame
            last_line[frame] = frame.f_lineno
        trial.num_frames += 1
        if trial.num_frames > MAX_FRAMES and not trial.endless:
            trial.endless = True  # once only: what is cleaned up on the way out may run
            raise _TooLong
        if event == "return":
            for value in frame.f_locals.values():
                if type(value) not in (int, bool):
                    trial.longest_value = max(trial.longest_value, len(repr(value)))
                elif type(value) is int and abs(value) > 10**12:
                    trial.longest_value = max(trial.longest_value, 10 * value.bit_length())
        return local

    def enter(frame: FrameType, event: str, arg: Any) -> Any:
        code: CodeType = frame.f_code
        if code.co_filename != FILENAME or code.co_name in FOLDED:
            return None
        trial.num_frames += 1
        return local

    space: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, FILENAME, "exec"), space)
    call_code = compile(call, "<call>", "eval")
    before = sys.gettrace()
    sys.settrace(enter)
    try:
        result = eval(call_code, space)
        sys.settrace(None)
        trial.result = repr(result)
    except _TooLong:
        pass
    except Exception as exc:  # whatever a program raises is what it does
        trial.failed = type(exc).__name__
        trial.num_frames += 1
    finally:
        sys.settrace(before)
    return trial

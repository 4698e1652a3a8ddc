"""How long a trace is for a model, estimated: before there is a tokenizer."""

from opencwm.trace.recording.frame import Trace

CHARS_PER_TOKEN = 3.2
"""Measured: the estimate is 0.7 to 1.5 times (in the middle 1.05) what a tokenizer with 2,048 entries makes of
generated traces."""
FRAME_CHARS, PAIR_CHARS = 12, 8
"""What a frame's special tokens, and the quotes and commas of a name and its value, count for."""


def estimate_tokens(trace: Trace) -> int:
    """About how many tokens the trace has for a model, without a tokenizer."""
    chars = len(trace.context)
    shown: list[set[str]] = []
    """Names shown so far in each activation on the stack; unchanged ones cost their `".."`."""
    for frame in trace.frames:
        chars += len(frame.source_line) + len(frame.value or "") + FRAME_CHARS
        if frame.event == "call":
            shown.append(set())
        if frame.locals is not None and shown:
            fresh = frame.locals.set
            chars += sum(len(name) + len(value) + PAIR_CHARS for name, value in fresh.items())
            chars += sum(len(name) + PAIR_CHARS + 2 for name in shown[-1] if name not in fresh)
            shown[-1].update(fresh)
        if frame.event == "return" and shown:
            shown.pop()
    return int(chars / CHARS_PER_TOKEN)

"""Where objects lie in memory, kept from being a matter of chance.

Sets of classes, functions and other objects without a hash of their own are in the order of their addresses, so a
program that goes through one may take another way each time. Linux places programs at random unless they are started
otherwise; in two processes that do the same, objects then lie at the same places. Elsewhere, or where the kernel does
not allow it, nothing is changed, and more is found to be unstable.
"""

import ctypes
import re
import sys

from opencwm.trace.recording.frame import Frame

ADDR_NO_RANDOMIZE = 0x0040000
_ASK = 0xFFFFFFFF
_NUMBER = re.compile(r"\d{14,15}")
_RANGES = ((0x5555_0000_0000, 0x5655_0000_0000), (0x7FF0_0000_0000, 0x8000_0000_0000))
"""Of the program and its heap, and of what is mapped, where neither is placed at random."""


def fix_addresses() -> bool:
    """Whether programs that this process starts from now on are placed at fixed addresses."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    before: int = libc.personality(_ASK)
    return before != -1 and int(libc.personality(before | ADDR_NO_RANDOMIZE)) != -1


def shows_address(frame: Frame) -> bool:
    """Whether a number in the frame may be an address: it would be another one on another machine."""
    texts = frame.locals.set.values() if frame.locals else (frame.value or "",)
    return any(low <= int(number) < high for text in texts for number in _NUMBER.findall(text) for low, high in _RANGES)

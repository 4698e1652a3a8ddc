"""Small typed programs to learn execution from: `generate(seed, dial)`, and what they are made of."""

from opencwm.data.programs.dial import Dial
from opencwm.data.programs.generate import Program, generate

__all__ = ["Dial", "Program", "generate"]

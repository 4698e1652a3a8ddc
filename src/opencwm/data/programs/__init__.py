"""Small typed programs to learn execution from: `generate(seed, dial)`, and what they are made of (`measure`)."""

from opencwm.data.programs.dial import Dial
from opencwm.data.programs.generate import Program, generate
from opencwm.data.programs.report import Report, measure

__all__ = ["Dial", "Program", "Report", "generate", "measure"]

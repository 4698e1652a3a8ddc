"""Executions told in prose, without a language model."""

from opencwm.trace.narrate.tell import Detail, Narration, narrate

__all__ = ["Detail", "Narration", "narrate"]

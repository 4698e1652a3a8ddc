"""The runs of a program: the calls it came with, and mutations of them."""

import random
from collections.abc import Sequence

from opencwm.data.inputs import mutated_calls
from opencwm.data.sources.base import Run

TRIES_PER_CALL = 2
"""Mutated inputs that are tried for each that may be kept."""


def with_mutations(calls: Sequence[str], kinds: tuple[str, str], max_rows: int, rng: random.Random) -> tuple[Run, ...]:
    """The given calls, then mutations of them where more than one may be kept; `kinds` of the former and the latter."""
    mutated = mutated_calls(calls, rng, count=TRIES_PER_CALL * max_rows) if max_rows > 1 else ()
    return (*(Run(kind=kinds[0], call=call) for call in calls), *(Run(kind=kinds[1], call=call) for call in mutated))

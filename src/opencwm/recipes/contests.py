"""`contests`: solutions of contest problems, right and wrong, traced on the inputs of their tests.

opencwm data build contests -o runs/contests contests.problems=examples/contests.jsonl num_programs=20
"""

from opencwm.data.contests.programs import MAX_LINE_FRAMES
from opencwm.data.recipe import Recipe
from opencwm.data.sources.contests import Contests
from opencwm.data.sources.generated import Generated


def data() -> Recipe:
    """Nothing but contest solutions, cut as in the paper; `contests.problems` must name the files."""
    return Recipe(
        generated=Generated(weight=0.0),
        contests=Contests(weight=1.0),
        max_frames=2 * MAX_LINE_FRAMES,  # the cut counts line frames; what is above 1 MB goes first
        max_tokens=65_536,
        timeout_s=10.0,
        near_duplicates=None,  # a wrong solution may differ from a right one in one character
    )

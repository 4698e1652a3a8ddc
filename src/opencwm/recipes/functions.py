"""`functions`: functions that people wrote, on inputs of many origins.

opencwm data build functions -o runs/functions functions.places=examples/basket num_programs=4
"""

from opencwm.data.recipe import Recipe
from opencwm.data.sources.functions import Functions
from opencwm.data.sources.generated import Generated


def data() -> Recipe:
    """Nothing but functions, of the standard library unless `functions.places` says otherwise."""
    return Recipe(generated=Generated(weight=0.0), functions=Functions(weight=1.0), max_frames=1_000, max_tokens=16_384)

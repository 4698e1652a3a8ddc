"""`mixed`: traces of the standard library's functions, of fifty packages' and of generated programs.

    pip install --no-deps --target runs/mixed-packages -r src/opencwm/recipes/mixed.txt
    opencwm data build mixed -o runs/mixed

The packages are only read and cut out of, so they need not work together, nor be in the environment that builds.
"""

from pathlib import Path

from opencwm.data.recipe import Recipe
from opencwm.data.sources.functions import Functions
from opencwm.data.sources.generated import Generated
from opencwm.recipes.nano import HELDOUT

PACKAGES = Path("runs/mixed-packages")


def data() -> Recipe:
    """No source gives more than three fifths of the traces, and none is shorter than eight frames."""
    return Recipe(
        num_programs=200_000,
        functions=Functions(weight=0.5, places=("stdlib", str(PACKAGES)), calls=12),
        generated=Generated(weight=0.5, ramp=0.0),
        min_frames=8,
        max_frames=1_024,
        max_tokens=16_384,
        max_share=0.6,
        heldout=str(HELDOUT),
        near_duplicates=0.95,  # the generator's programs are small and alike
    )

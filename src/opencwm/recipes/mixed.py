"""`mixed`: what the functions and the tests of the standard library and of fifty packages do, and generated programs.

    pip install --no-deps --target runs/mixed-packages -r src/opencwm/recipes/mixed.txt
    opencwm data build mixed -o runs/mixed

The packages need not be in the environment that builds; tests that need what is not there are left out.
"""

from pathlib import Path

from opencwm.data.recipe import Recipe
from opencwm.data.repositories.episodes import EpisodeConfig
from opencwm.data.sources.functions import Functions
from opencwm.data.sources.generated import Generated
from opencwm.data.sources.suites import Suites
from opencwm.recipes.nano import HELDOUT

PACKAGES = Path("runs/mixed-packages")
MIN_FRAMES, MAX_FRAMES, MAX_TOKENS = 6, 1_024, 16_384


def data() -> Recipe:
    """No source gives more than three fifths of the traces, and none is shorter than six frames."""
    places = ("stdlib", str(PACKAGES))
    episodes = EpisodeConfig(
        per_function=24,
        min_frames=MIN_FRAMES,
        max_frames=MAX_FRAMES,
        max_context_tokens=MAX_TOKENS // 4,
        max_tokens=MAX_TOKENS,
    )
    return Recipe(
        num_programs=136_000,
        shard_size=640,
        functions=Functions(weight=0.05, places=places, calls=12),
        suites=Suites(weight=0.05, places=places, max_test_frames=1_000, episodes=episodes),
        generated=Generated(weight=0.9, ramp=0.0),
        min_frames=MIN_FRAMES,
        max_frames=MAX_FRAMES,
        max_tokens=MAX_TOKENS,
        max_share=0.6,
        heldout=str(HELDOUT),
        near_duplicates=0.95,  # the generator's programs are small and alike
    )

"""`repositories`: test suites, recorded at several commits and cut into episodes.

opencwm data build repositories -o runs/repositories repositories.places=../toolz,../sortedcontainers
"""

from opencwm.data.recipe import Recipe
from opencwm.data.sources.generated import Generated
from opencwm.data.sources.repositories import Repositories


def data() -> Recipe:
    """Nothing but repositories, each a shard of its own; `num_programs` is how many there may be."""
    return Recipe(
        generated=Generated(weight=0.0),
        repositories=Repositories(weight=1.0),
        num_programs=100,
        shard_size=1,
    )

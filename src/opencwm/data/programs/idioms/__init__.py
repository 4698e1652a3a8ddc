"""All idioms, by family."""

from collections.abc import Mapping

from opencwm.data.programs.idioms import lists, mappings, numbers, objects, recursion, short, tasks, text
from opencwm.data.programs.template import Idiom

ALL: tuple[Idiom, ...] = tuple(
    each for module in (numbers, text, lists, mappings, recursion, objects, short, tasks) for each in module.IDIOMS
)
FAMILIES: Mapping[str, float] = {
    "numbers": 1.0,
    "text": 1.0,
    "lists": 1.2,
    "mappings": 1.1,
    "recursion": 0.9,
    "classes": 0.5,
    "errors": 0.6,
    "short": 1.2,
    "tasks": 0.5,
}
"""Family -> how often it is drawn from; the idioms of a family share that by their weights."""

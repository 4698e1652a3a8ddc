"""Recipes by name: `nano` of the kind `train` is what `opencwm.recipes.train.nano()` returns."""

import inspect
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Literal

from opencwm.errors import ConfigError


def find_recipe(kind: Literal["data", "train"], name: str) -> Any:
    """The configuration; a ConfigError with the nearest name where there is none."""
    module = import_module(f"opencwm.recipes.{kind}")
    known = {
        key: function
        for key, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not key.startswith("_")
    }
    if name not in known:
        near = get_close_matches(name, known, 1, cutoff=0.3)
        fix = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        raise ConfigError(f"there is no {kind} recipe {name!r}", fix=fix)
    return known[name]()

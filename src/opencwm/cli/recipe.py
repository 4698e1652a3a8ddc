"""Recipes by name: `nano` of the kind `train` is what `opencwm.recipes.nano.train()` returns."""

import pkgutil
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Literal

from opencwm import recipes
from opencwm.errors import ConfigError


def find_recipe(kind: Literal["data", "train"], name: str) -> Any:
    """The configuration; a ConfigError with the nearest name where there is none."""
    modules = {
        module.name.replace("_", "-"): import_module(f"opencwm.recipes.{module.name}")
        for module in pkgutil.iter_modules(recipes.__path__)
    }
    known = [key for key, module in modules.items() if hasattr(module, kind)]
    if name not in known:
        near = get_close_matches(name, known, 1, cutoff=0.3)
        fix = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        raise ConfigError(f"there is no {kind} recipe {name!r}", fix=fix)
    return getattr(modules[name], kind)()

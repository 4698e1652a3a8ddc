"""Recipes by name.

"nano" --> opencwm.recipes.nano.data() or .train()          "nano.decay" --> opencwm.recipes.nano.train_decay()
"""

import pkgutil
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from opencwm import recipes
from opencwm.errors import ConfigError


def find_recipe(kind: str, name: str) -> Any:
    """The configuration that the recipe `name` of a kind (`data`, `train`) returns."""
    module_name, _, part = name.partition(".")
    modules = {module.name for module in pkgutil.iter_modules(recipes.__path__)}
    if module_name in modules:
        module = import_module(f"opencwm.recipes.{module_name}")
        function: Callable[[], Any] | None = getattr(module, f"{kind}_{part}" if part else kind, None)
        if function is not None:
            return function()
    known = sorted(names(kind, modules))
    near = get_close_matches(name, known, 1, cutoff=0.3)
    fix = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}" if known else ""
    raise ConfigError(f"there is no {kind} recipe {name!r}", fix=fix)


def names(kind: str, modules: set[str]) -> list[str]:
    found = []
    for name in modules:
        module = import_module(f"opencwm.recipes.{name}")
        for attribute in vars(module):
            if attribute == kind:
                found.append(name)
            elif attribute.startswith(f"{kind}_"):
                found.append(f"{name}.{attribute.removeprefix(kind + '_')}")
    return found

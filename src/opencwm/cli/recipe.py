"""Recipes by name: `nano` of the kind `train` is what `opencwm.recipes.nano.train()` returns, and the stage `sft` of
size `small` is `opencwm.recipes.small.stages()["sft"]`."""

import pkgutil
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Literal

from opencwm import recipes
from opencwm.errors import ConfigError

Size = Literal["nano", "small", "b1_8", "paper_32b"]
STAGES = ("pretrain", "midtrain", "sft")


def find_recipe(kind: Literal["data", "train"], name: str, *, size: Size | None = None) -> Any:
    """The configuration; a ConfigError with the nearest name where there is none. `size` is for stages."""
    if kind == "train" and name in STAGES:
        return import_module(f"opencwm.recipes.{size or 'nano'}").stages()[name]
    if size is not None:
        raise ConfigError(
            f"the recipe {name!r} comes in one size", fix=f"leave --size out, or train a stage: {', '.join(STAGES)}"
        )
    modules = {
        module.name.replace("_", "-"): import_module(f"opencwm.recipes.{module.name}")
        for module in pkgutil.iter_modules(recipes.__path__)
    }
    known = [key for key, module in modules.items() if hasattr(module, kind)]
    known += STAGES if kind == "train" else ()
    if name not in known:
        near = get_close_matches(name, known, 1, cutoff=0.3)
        fix = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        raise ConfigError(f"there is no {kind} recipe {name!r}", fix=fix)
    return getattr(modules[name], kind)()

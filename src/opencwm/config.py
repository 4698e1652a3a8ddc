"""Changing a frozen configuration from the command line: `override(config, ["loop.num_steps=200", "seed=1"])`.

    nested frozen dataclasses + "a.b=value" --> the same dataclasses with those fields replaced

Values are read by the field's annotation: int, float, bool (`true`, `false`), str, Path, Literal choices, `none` where
the field may be None, tuples as `a,b`, and what a class reads with its own `from_text`. A key that does not exist is
refused with the nearest one that does. Each dataclass checks its own values in `__post_init__`, here as everywhere.

Left out: configuration files; a recipe is a function (`opencwm.recipes`).
"""

import types
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from opencwm.errors import ConfigError

Config = TypeVar("Config")

_BOOLS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}
_NOT_HERE = object()


def override(config: Config, assignments: Sequence[str]) -> Config:
    """`config` with each `a.b=value` applied in order; a ConfigError for a key or a value that makes no sense."""
    for assignment in assignments:
        key, is_assigned, text = assignment.partition("=")
        if not is_assigned or not key:
            raise ConfigError(
                f"{assignment!r} is not a setting", fix=f"settings look like {example_of(config)}, without spaces"
            )
        config = _replaced(config, key.split("."), text, key, config)
    return config


def keys_of(config: Any, prefix: str = "") -> Iterator[str]:
    """Every key that `override` knows, nested ones with dots."""
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            yield from keys_of(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def example_of(config: Any) -> str:
    """One setting of `config` as a user would write it."""
    key = next((key for key in keys_of(config) if "step" in key or "seed" in key), next(keys_of(config)))
    return f"{key}=VALUE"


def _replaced(config: Any, path: Sequence[str], text: str, key: str, root: Any) -> Any:
    name, rest = path[0], path[1:]
    if name not in _names(config):
        raise _unknown(key, root)
    current, kind = getattr(config, name), get_type_hints(type(config))[name]
    if rest:
        value = _replaced(current, rest, text, key, root)
    elif is_dataclass(current) and _read(kind, text) is not None:
        raise ConfigError(
            f"{key!r} is a group of settings", fix=f"set one of them: {', '.join(keys_of(current, key + '.'))}"
        )
    else:
        value = value_of(kind, text, key)
    return replace(config, **{name: value})


def _names(config: Any) -> set[str]:
    return {field.name for field in fields(config)} if is_dataclass(config) else set()


def _unknown(key: str, root: Any) -> ConfigError:
    keys = list(keys_of(root))
    near = get_close_matches(key, keys, 1, cutoff=0.0) or keys[:1]
    same_end = [known for known in keys if known.rpartition(".")[2] == key.rpartition(".")[2]]
    return ConfigError(f"there is no setting {key!r}", fix=f"did you mean {(same_end or near)[0]!r}?")


def value_of(kind: Any, text: str, key: str) -> Any:
    """`text` as a value of the annotation `kind`; a ConfigError naming `key` where it is none."""
    value = _read(kind, text)
    if value is _NOT_HERE:
        raise ConfigError(f"{key}={text}: not {_in_words(kind)}", fix=f"give {key} {_in_words(kind)}")
    return value


def _read(kind: Any, text: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        none_first = sorted(args, key=lambda part: part is not type(None))  # or a str | None could never be None
        return next((value for part in none_first if (value := _read(part, text)) is not _NOT_HERE), _NOT_HERE)
    if origin is Literal:
        return next((choice for choice in args if str(choice) == text), _NOT_HERE)
    if origin is tuple and len(args) == 2 and args[1] is ...:
        values = tuple(_read(args[0], part) for part in text.split(",") if part)
        return _NOT_HERE if _NOT_HERE in values else values
    if origin is tuple:
        parts = text.split(",")
        if len(parts) != len(args):
            return _NOT_HERE
        values = tuple(_read(part, piece) for part, piece in zip(args, parts, strict=True))
        return _NOT_HERE if _NOT_HERE in values else values
    if hasattr(kind, "from_text"):
        try:
            return kind.from_text(text)
        except ValueError:
            return _NOT_HERE
    if kind is type(None):
        return None if text.lower() in ("none", "null") else _NOT_HERE
    if kind is bool:
        return _BOOLS.get(text.lower(), _NOT_HERE)
    if kind in (int, float, str, Path):
        try:
            return kind(text)
        except ValueError:
            return _NOT_HERE
    return _NOT_HERE


def _in_words(kind: Any) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(_in_words(part) for part in args)
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in args)
    if hasattr(kind, "from_text"):
        return str(kind.from_text.__doc__).rstrip(".")
    if origin is tuple:
        if args[-1] is ...:
            return f"a list like a,b where each is {_in_words(args[0])}"
        return f"{len(args)} values like a,b where each is {_in_words(args[0])}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path"}
    return "none" if kind is type(None) else names.get(kind, "something that the command line can set")

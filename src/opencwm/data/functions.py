"""Functions that people wrote, with inputs that people gave them, harvested from installed packages, files and folders.

    files --literal_calls.py--> calls of known functions --self_contained.py--> Harvested(source, calls, where from)

All files of a place are read together: a library's tests give inputs to its functions. Files are parsed, never
imported or run. A function comes in if it can be cut out of its module as a small pure program and if some call of it
with literal arguments was found: in its docstring, in its module, or in a test. What comes out depends on the files
only.

A class comes in as a whole, where methods of it are called on objects that are made of literals.

Left out: generators and coroutines as entry points. Which licences may come into a dataset is decided there
(`licences.py`).
"""

import ast
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from opencwm.data.dedup import source_key
from opencwm.data.literal_calls import DEFINITIONS, Names, doctest_code, literal_calls, names_of
from opencwm.data.self_contained import ModuleSource, cut_out
from opencwm.errors import ConfigError, DataError
from opencwm.trace.files import replacing

STDLIB, SITE_PACKAGES = "stdlib", "site-packages"
MAX_CALLS = 12
MAX_FILE_BYTES = 1_000_000
SKIPPED_FOLDERS = frozenset({"site-packages", "dist-packages", "__pycache__", "lib2to3", "idlelib", "turtledemo"})

Calls = dict[str, dict[str, None]]
"""Function -> calls of it, an ordered set of texts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Harvested:
    source: str
    """A self-contained program that defines the function."""
    calls: tuple[str, ...]
    """Calls of it with literal arguments, those of doctests first; at most `MAX_CALLS`."""
    package: str
    module: str
    qualname: str
    version: str
    licence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One folder or file to harvest, and whose it is."""

    root: Path
    prefix: str
    """Dotted name of what is directly inside `root`; "" for a folder that is itself on the path."""
    package: str
    version: str
    licence: str


def harvest(places: Sequence[str]) -> Iterator[Harvested]:
    """All functions of these places ("stdlib", "site-packages", packages, files, folders), each source once."""
    seen: set[str] = set()
    for name in places:
        for place in _find(name):
            for function in _harvest_place(place):
                key = source_key(function.source)
                if key not in seen:
                    seen.add(key)
                    yield function


def save_harvest(path: Path, functions: Iterable[Harvested]) -> None:
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for function in functions:
            file.write(json.dumps(dataclasses.asdict(function)) + "\n")


def load_harvest(path: Path) -> list[Harvested]:
    functions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            data = json.loads(line)
            functions.append(Harvested(**{**data, "calls": tuple(data["calls"])}))
        except (ValueError, KeyError, TypeError) as exc:
            raise DataError(f"{path} line {number} is not a harvested function: {exc}", fix="delete the file") from exc
    return functions


def _harvest_place(place: Place) -> Iterator[Harvested]:
    """Two looks at the files: which functions there are, then who calls them with literals."""
    modules: dict[str, Path] = {}
    for path in _files(place.root):
        modules.setdefault(_module_name(path, place), path)
    calls = _collect_calls(modules)
    for name in sorted(modules):
        module = _parse(modules[name])
        if module is None:
            continue
        functions = [
            *_cut(module, module.tree, calls.get(name, {})),
            *_local_functions(module),
            *_doctest_functions(module),
        ]
        for function, source, given in functions:
            yield Harvested(
                source=source,
                calls=given,
                package=place.package,
                module=name,
                qualname=function,
                version=place.version,
                licence=place.licence,
            )


def _cut(module: ModuleSource, scope: ast.AST, calls: Calls) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(name, source, calls) of the functions and classes directly inside the scope that can be cut out and are
    called."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, DEFINITIONS) or _is_generator(node):
            continue
        given = calls.get(f"{node.name}()" if isinstance(node, ast.ClassDef) else node.name)
        source = cut_out(module, node.name) if given else None
        if source is not None:
            yield node.name, source, tuple(given or ())


def _local_functions(module: ModuleSource) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Functions inside functions, as tests have them, called where they are defined."""
    for scope in ast.walk(module.tree):
        if isinstance(scope, ast.FunctionDef):
            defined = {node.name: f".{node.name}" for node in scope.body if isinstance(node, DEFINITIONS)}
            if defined:
                calls = _by_function(_calls_in(scope, Names(targets=defined))).get("", {})
                yield from _cut(module.inside(scope), scope, calls)


def _doctest_functions(module: ModuleSource) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Functions that a docstring defines and calls."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            # an example's own functions, not those of the module around it
            code = doctest_code(ast.get_docstring(node, clean=False) or "")
            if "def " in code:
                example = ModuleSource.parse(code)
                defined = {each.name: f".{each.name}" for each in example.tree.body if isinstance(each, DEFINITIONS)}
                calls = _by_function(_calls_in(example.tree, Names(targets=defined))).get("", {})
                yield from _cut(example, example.tree, calls)


def _collect_calls(modules: dict[str, Path]) -> dict[str, Calls]:
    """The calls that all files make, by module."""
    by_end: dict[str, str] = {}
    for name in sorted(modules, reverse=True):
        by_end[name.rpartition(".")[2]] = name
    found: dict[str, Calls] = {}
    for name in sorted(modules, key=lambda name: (_is_test(name), name)):
        module = _parse(modules[name])
        if module is None:
            continue
        tested = by_end.get(name.rpartition(".")[2].removeprefix("test_").removesuffix("_test"))
        known = names_of(
            module.tree,
            name,
            is_package=modules[name].name == "__init__.py",
            tested=tested if _is_test(name) and tested != name else None,
        )
        _by_function(_calls_in(module.tree, known), found)
    return found


def _by_function(calls: Iterable[tuple[str, str]], found: dict[str, Calls] | None = None) -> dict[str, Calls]:
    """Calls sorted by module and function, at most `MAX_CALLS` each; added to `found` where that is given."""
    found = {} if found is None else found
    for target, call in calls:
        owner, _, function = target.rpartition(".")
        given = found.setdefault(owner, {}).setdefault(function, {})
        if len(given) < MAX_CALLS:
            given[call] = None
    return found


def _calls_in(tree: ast.AST, names: Names) -> Iterator[tuple[str, str]]:
    try:
        yield from literal_calls(tree, names)
    except RecursionError:
        return


def _parse(path: Path) -> ModuleSource | None:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's invalid escapes
            return ModuleSource.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_test(module: str) -> bool:
    return any(part in ("test", "tests") or part.startswith("test_") for part in module.split("."))


def _is_generator(definition: ast.FunctionDef | ast.ClassDef) -> bool:
    """Calling it would run nothing of it."""
    is_function = isinstance(definition, ast.FunctionDef)
    return is_function and any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(definition))


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - SKIPPED_FOLDERS)
        found += [Path(folder, name) for name in sorted(names) if name.endswith(".py")]
    return found


def _module_name(path: Path, place: Place) -> str:
    inside = path.relative_to(place.root if place.root.is_dir() else place.root.parent).with_suffix("")
    parts = [*(place.prefix.split(".") if place.prefix else []), *inside.parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _find(name: str) -> Iterator[Place]:
    if name == STDLIB:
        version = platform.python_version()
        root = Path(sysconfig.get_paths()["stdlib"])
        yield Place(root=root, prefix="", package="python", version=version, licence="PSF-2.0")
    elif name == SITE_PACKAGES:
        for distribution in sorted(importlib.metadata.distributions(), key=lambda each: each.name or ""):
            yield from _distribution(distribution)
    elif Path(name).exists():
        path = Path(name).resolve()
        prefix = path.name if (path / "__init__.py").exists() else ""
        yield Place(root=path, prefix=prefix, package=path.stem, version="", licence="")
    else:
        yield from _package(name)


def _package(name: str) -> Iterator[Place]:
    owners = importlib.metadata.packages_distributions().get(name.partition(".")[0], [])
    for owner in owners:
        for place in _distribution(importlib.metadata.distribution(owner)):
            if place.prefix == name or place.root.stem == name:
                yield place
                return
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        fix = 'name "stdlib", "site-packages", an installed package, a file or a folder'
        raise ConfigError(f"nothing to harvest at {name!r}", fix=fix)
    origin = Path(spec.origin)
    is_package = origin.name == "__init__.py"
    root = origin.parent if is_package else origin
    prefix = name if is_package else name.rpartition(".")[0]
    is_stdlib = name.partition(".")[0] in sys.stdlib_module_names
    about = ("python", platform.python_version(), "PSF-2.0") if is_stdlib else (name, "", "")
    yield Place(root=root, prefix=prefix, package=about[0], version=about[1], licence=about[2])


def _distribution(distribution: importlib.metadata.Distribution) -> Iterator[Place]:
    """The top-level packages and modules of an installed distribution."""
    licence = _licence(distribution)
    tops = {file.parts[0] for file in distribution.files or () if file.suffix == ".py"}
    for top in sorted(tops):
        root = Path(str(distribution.locate_file(top)))
        if root.exists() and top not in ("..", "__pycache__"):
            prefix = top if root.is_dir() else ""
            name = distribution.name or top
            yield Place(root=root, prefix=prefix, package=name, version=distribution.version, licence=licence)


def _licence(distribution: importlib.metadata.Distribution) -> str:
    metadata = distribution.metadata
    classifiers = [each for each in metadata.get_all("Classifier") or () if each.startswith("License")]
    names = "; ".join(each.rpartition(" :: ")[2] for each in classifiers)
    expression, free_text = ("".join(metadata.get_all(key) or ()) for key in ("License-Expression", "License"))
    text = expression or names or free_text
    return text.split("\n")[0].strip()[:80]

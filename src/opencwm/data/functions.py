"""Functions that people wrote, with inputs that people gave them, harvested from installed packages, files and folders.

    places --literal_calls.py, call_sites.py--> known calls --self_contained.py--> Harvested(source, calls, where from)

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
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from opencwm.data.call_sites import CallSites, call_text
from opencwm.data.dedup import source_key
from opencwm.data.literal_calls import DEFINITIONS, Names, doctest_code, literal_calls, names_of
from opencwm.data.places import Place, files_of, find_places, module_name
from opencwm.data.self_contained import ModuleSource, Others, cut_out
from opencwm.errors import DataError
from opencwm.executors import Executor, Inline
from opencwm.trace.files import replacing

MAX_CALLS = 12
MAX_FILE_BYTES = 1_000_000
MAX_PARSED = 64
"""Modules of a place that are kept parsed."""

Definition = ast.FunctionDef | ast.ClassDef
Calls = dict[str, dict[str, None]]
"""Function -> calls of it, an ordered set of texts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Harvested:
    source: str
    """A self-contained program that defines the function."""
    calls: tuple[str, ...]
    """Calls of it with literal arguments, those of doctests first; at most `MAX_CALLS`."""
    observed: tuple[str, ...] = ()
    """Calls that tests made when they ran (`call_sites.py`); at most `MAX_CALLS`."""
    asked: tuple[str, ...] = ()
    """Calls that a model wrote (`asked_inputs.py`)."""
    package: str
    module: str
    qualname: str
    version: str
    licence: str


def harvest(
    places: Sequence[str],
    *,
    observed: CallSites | None = None,
    is_wanted: Callable[[Definition], bool] | None = None,
    executor: Executor | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Harvested]:
    """All functions of these places ("stdlib", "site-packages", packages, files, folders), each source once: those
    with known calls, literal or `observed`, and of the others the ones that are wanted. `say` hears of each place."""
    look = Look(observed=observed or {}, is_wanted=is_wanted or NOTHING.is_wanted)
    jobs = [
        HarvestJob(number=number, place=place, look=look)
        for number, place in enumerate(place for name in places for place in find_places(name))
    ]
    found: dict[int, list[Harvested]] = {}
    for job, functions in (executor or Inline()).map(harvest_place, jobs):
        found[job.number] = functions
        if functions:
            say(f"harvested {len(functions):,} functions from {job.place.package} ({len(found)} of {len(jobs)} places)")
    seen: set[str] = set()
    for number in sorted(found):
        for function in found[number]:
            key = source_key(function.source)
            if key not in seen:
                seen.add(key)
                yield function


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What is looked for beside literal calls."""

    observed: CallSites
    is_wanted: Callable[[Definition], bool]


def _nothing(_: Definition) -> bool:
    return False


NOTHING = Look(observed={}, is_wanted=_nothing)


@dataclass(frozen=True, kw_only=True, slots=True)
class HarvestJob:
    """All that a worker needs to harvest a place."""

    number: int
    place: Place
    look: Look


def harvest_place(job: HarvestJob) -> list[Harvested]:
    """Called in a worker."""
    return list(_harvest_place(job.place, job.look))


def save_harvest(path: Path, functions: Iterable[Harvested]) -> None:
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for function in functions:
            file.write(json.dumps(dataclasses.asdict(function)) + "\n")


def load_harvest(path: Path) -> list[Harvested]:
    functions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            data = json.loads(line)
            calls = {name: tuple(data[name]) for name in ("calls", "observed", "asked")}
            functions.append(Harvested(**{**data, **calls}))
        except (ValueError, KeyError, TypeError) as exc:
            raise DataError(f"{path} line {number} is not a harvested function: {exc}", fix="delete the file") from exc
    return functions


def _harvest_place(place: Place, look: Look) -> Iterator[Harvested]:
    """Two looks at the files: which functions there are, then who calls them with literals."""
    modules: dict[str, Path] = {}
    for path in files_of(place.root):
        modules.setdefault(module_name(path, place), path)
    calls = _collect_calls(modules)

    @lru_cache(maxsize=MAX_PARSED)
    def others(name: str) -> ModuleSource | None:
        return _parse(modules[name], name) if name in modules else None

    for name in sorted(modules):
        module = others(name)
        if module is None:
            continue
        file = os.path.realpath(modules[name])
        found = [
            *_cut(module, module.tree, calls.get(name, {}), look, file, others),
            *_local_functions(module),
            *_doctest_functions(module),
        ]
        for cut in found:
            yield Harvested(
                source=cut.source,
                calls=cut.calls,
                observed=cut.observed,
                package=place.package,
                module=name,
                qualname=cut.name,
                version=place.version,
                licence=place.licence,
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A function or class that was cut out."""

    name: str
    source: str
    calls: tuple[str, ...]
    observed: tuple[str, ...]


def _cut(
    module: ModuleSource,
    scope: ast.AST,
    calls: Calls,
    look: Look = NOTHING,
    path: str = "",
    others: Others = lambda _: None,
) -> Iterator[Cut]:
    """The functions and classes directly inside the scope that can be cut out, and are called or wanted."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, DEFINITIONS) or _is_generator(node):
            continue
        given = calls.get(f"{node.name}()" if isinstance(node, ast.ClassDef) else node.name, {})
        is_test = node.name.startswith("test_")  # called with fixtures, by pytest
        observed = () if is_test else _observed(node, path, look)
        if given or observed or (not is_test and look.is_wanted(node)):
            source = cut_out(module, node.name, others)
            if source is not None:
                yield Cut(name=node.name, source=source, calls=tuple(given), observed=observed)


def _observed(node: Definition, path: str, look: Look) -> tuple[str, ...]:
    if isinstance(node, ast.ClassDef):
        return ()
    line = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    texts = [call_text(node, arguments) for arguments in look.observed.get((path, line), ())]
    return tuple(dict.fromkeys(text for text in texts if text is not None))[:MAX_CALLS]


def _local_functions(module: ModuleSource) -> Iterator[Cut]:
    """Functions inside functions, as tests have them, called where they are defined."""
    for scope in ast.walk(module.tree):
        if isinstance(scope, ast.FunctionDef):
            defined = {node.name: f".{node.name}" for node in scope.body if isinstance(node, DEFINITIONS)}
            if defined:
                calls = _by_function(_calls_in(scope, Names(targets=defined))).get("", {})
                yield from _cut(module.inside(scope), scope, calls)


def _doctest_functions(module: ModuleSource) -> Iterator[Cut]:
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


def _parse(path: Path, name: str = "") -> ModuleSource | None:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's invalid escapes
            return ModuleSource.parse(path.read_text(encoding="utf-8"), name, is_package=path.name == "__init__.py")
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_test(module: str) -> bool:
    return any(part in ("test", "tests") or part.startswith("test_") for part in module.split("."))


def _is_generator(definition: ast.FunctionDef | ast.ClassDef) -> bool:
    """Calling it would run nothing of it."""
    is_function = isinstance(definition, ast.FunctionDef)
    return is_function and any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(definition))

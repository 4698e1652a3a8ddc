"""Where code is harvested: the standard library, installed packages, files and folders, and whose it is.

"stdlib" | "site-packages" | package | path --find_places--> Place(root, prefix, package, version, licence)
"""

import importlib.metadata
import importlib.util
import os
import platform
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from opencwm.errors import ConfigError

STDLIB, SITE_PACKAGES = "stdlib", "site-packages"
SKIPPED_FOLDERS = frozenset({"site-packages", "dist-packages", "__pycache__", "lib2to3", "idlelib", "turtledemo"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One folder or file to harvest, and whose it is."""

    root: Path
    prefix: str
    """Dotted name of what is directly inside `root`; "" for a folder that is itself on the path."""
    package: str
    version: str
    licence: str

    @property
    def folder(self) -> Path:
        """Where an import of what lies here begins."""
        inside = len(self.prefix.split(".")) if self.prefix else 0
        above = self.root if self.root.is_dir() else self.root.parent
        return above.parents[inside - 1] if inside else above


def files_of(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - SKIPPED_FOLDERS)
        found += [Path(folder, name) for name in sorted(names) if name.endswith(".py")]
    return found


def module_name(path: Path, place: Place) -> str:
    inside = path.relative_to(place.root if place.root.is_dir() else place.root.parent).with_suffix("")
    parts = [*(place.prefix.split(".") if place.prefix else []), *inside.parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def find_places(name: str) -> Iterator[Place]:
    """Raises ConfigError where there is nothing of that name."""
    if name == STDLIB:
        version = platform.python_version()
        root = Path(sysconfig.get_paths()["stdlib"])
        yield Place(root=root, prefix="", package="python", version=version, licence="PSF-2.0")
    elif name == SITE_PACKAGES:
        for distribution in _sorted(importlib.metadata.distributions()):
            yield from _distribution(distribution)
    elif any(Path(name).glob("*.dist-info")):  # `pip install --target` leaves a folder like that
        for distribution in _sorted(importlib.metadata.distributions(path=[name])):
            yield from _distribution(distribution)
    elif Path(name).exists():
        path = Path(name).resolve()
        prefix = path.name if (path / "__init__.py").exists() else ""
        yield Place(root=path, prefix=prefix, package=path.stem, version="", licence="")
    else:
        yield from _package(name)


def _sorted(distributions: Iterable[importlib.metadata.Distribution]) -> list[importlib.metadata.Distribution]:
    return sorted(distributions, key=lambda each: each.name or "")


def _package(name: str) -> Iterator[Place]:
    owners = importlib.metadata.packages_distributions().get(name.partition(".")[0], [])
    for owner in owners:
        for place in _distribution(importlib.metadata.distribution(owner)):
            if place.prefix == name or place.root.stem == name:
                yield place
                return
    origin = _origin(name)
    if origin is None:
        fix = 'name "stdlib", "site-packages", an installed package, a file or a folder'
        raise ConfigError(f"nothing to harvest at {name!r}", fix=fix)
    is_package = origin.name == "__init__.py"
    root = origin.parent if is_package else origin
    prefix = name if is_package else name.rpartition(".")[0]
    is_stdlib = name.partition(".")[0] in sys.stdlib_module_names
    about = ("python", platform.python_version(), "PSF-2.0") if is_stdlib else (name, "", "")
    yield Place(root=root, prefix=prefix, package=about[0], version=about[1], licence=about[2])


def _origin(name: str) -> Path | None:
    """The source file of a module; also of those that the interpreter holds frozen."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    known = None if spec is None else getattr(spec.loader_state, "filename", None) or spec.origin
    return Path(known) if known is not None and known.endswith(".py") else None


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

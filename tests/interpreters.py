"""The interpreters that the recorder is tested on: where they are, and which were not found.

A pytest plugin: the run's last line names the versions that were not tested. `OPENCWM_REQUIRE_PYTHONS=3.12,3.13` (the
test run's only environment variable) turns the absence of those into failures.
"""

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
GOLDEN = ("3.11", "3.12", "3.13")
"""Versions whose frames are stored."""


@functools.cache
def find(version: str) -> str | None:
    """A working interpreter of this version: below pyenv's root, else on the path."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    below = sorted(root.glob(f"{version}.*/bin/python{version}"), reverse=True) if root.is_dir() else []
    for path in [*map(str, below), shutil.which(f"python{version}")]:
        if path is not None and _runs(path, version):
            return path
    return None


def _runs(path: str, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-I", "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def required() -> list[str]:
    return [version.strip() for version in os.environ.get("OPENCWM_REQUIRE_PYTHONS", "").split(",") if version.strip()]


def need(version: str) -> str:
    """The interpreter; without one the test is skipped, or fails where this version is required."""
    path = find(version)
    if path is None and version in required():
        pytest.fail(f"Python {version} was not found, and OPENCWM_REQUIRE_PYTHONS asks for it")
    if path is None:
        pytest.skip(f"Python {version} was not found")
    return path


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[_is_used] = any("version" in getattr(item, "fixturenames", ()) for item in items)


def pytest_unconfigure(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not config.stash.get(_is_used, False):
        return
    missing = [version for version in VERSIONS if find(version) is None]
    if missing:
        reporter.write_line(f"not tested: Python {', '.join(missing)} (not found)")


_is_used = pytest.StashKey[bool]()

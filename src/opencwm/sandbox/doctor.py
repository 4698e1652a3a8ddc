"""What this machine can do and enforce, line by line: `opencwm doctor`.

    checks() -> [Check(name, ok, detail)]: platform, sandbox (tried for real), interpreters, packages ...

Packages are looked up, never imported, so the whole list takes a fraction of a second.
"""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from opencwm.errors import OpenCWMError
from opencwm.sandbox.base import Enforced, Limits
from opencwm.sandbox.interpreters import MINORS, find_interpreters
from opencwm.sandbox.namespaces import NamespaceSandbox

_LIBRARIES = {
    "pyarrow": "datasets: pip install 'opencwm[data]'",
    "torch": "models: pip install 'opencwm[model]'",
    "tokenizers": "tokens: pip install 'opencwm[model]'",
    "llguidance": "decoding with a grammar: pip install 'opencwm[model]'",
    "safetensors": "model folders: pip install 'opencwm[model]'",
    "transformers": "model folders of other architectures: pip install 'opencwm[hf]'",
    "httpx": "models behind a server: pip install 'opencwm[evals]'",
    "uvicorn": "serving a model: pip install 'opencwm[serve]'",
}
_PLATFORMS = {
    ("Linux", "x86_64"): "everything works",
    ("Linux", "aarch64"): "nothing should refuse, system call filter included, but nobody has run it here yet",
    (
        "Darwin",
        "",
    ): "recording in your own process, training and prediction work; the sandbox refuses, for it needs Linux",
    (
        "Windows",
        "",
    ): "rendering, parsing and comparing work; everything that runs a program wants Linux (WSL 2 will do)",
}
_PROGRAM = """
import resource, sys
print(resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_NOFILE)[0],
      resource.getrlimit(resource.RLIMIT_FSIZE)[0], resource.getrlimit(resource.RLIMIT_CORE)[0])
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    name: str
    ok: bool
    detail: str
    """What was found, or what does not work without it and how to get it."""
    is_needed: bool = False
    """Without it the main job does not work on this machine."""

    def to_dict(self) -> dict[str, object]:
        return {"name": self.name, "ok": self.ok, "detail": self.detail}


def checks() -> list[Check]:
    """Everything, in the order in which people ask; never raises for what this machine lacks."""
    return [*_machine(), *_sandbox(NamespaceSandbox()), *_interpreters(), *_libraries(), _compiler()]


def platform_sentence(system: str, machine: str) -> str | None:
    """What works there, in one sentence; None for a platform that nobody has tried."""
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    return _PLATFORMS.get((system, machine)) or _PLATFORMS.get((system, ""))


def _machine() -> Iterator[Check]:
    system, machine = platform.system(), platform.machine()
    sentence = platform_sentence(system, machine)
    yield Check(
        name="platform",
        ok=system == "Linux" and sentence is not None,
        detail=f"{system} {platform.release()} {machine}: {sentence or 'never tried'}",
        is_needed=True,
    )
    yield Check(
        name="python",
        ok=sys.version_info >= (3, 11),
        detail=f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}",
        is_needed=True,
    )
    yield Check(name="cpu", ok=True, detail=f"{num_threads()} threads; {_cpu_features() or 'no bf16 instructions'}")
    driver = Path("/proc/driver/nvidia/version")
    yield Check(
        name="gpu",
        ok=driver.exists(),
        detail=driver.read_text().splitlines()[0]
        if driver.exists()
        else "no NVIDIA driver; everything runs on the CPU",
    )


def num_threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_features() -> str:
    """The instructions that make bf16 fast, as the kernel lists them."""
    path = Path("/proc/cpuinfo")
    flags = set(path.read_text().split()) if path.exists() else set()
    names = {"amx_bf16": "AMX bf16", "avx512_bf16": "AVX-512 bf16", "bf16": "bf16"}
    return ", ".join(words for flag, words in names.items() if flag in flags)


def _sandbox(sandbox: NamespaceSandbox) -> Iterator[Check]:
    limits = Limits()
    try:
        enforced = sandbox.enforced(sys.executable)
        result = sandbox.run([sys.executable, "-I", "-S", "-c", _PROGRAM], limits=limits, trusted=True)
    except OpenCWMError as exc:
        yield Check(name="sandbox", ok=False, detail=f"{exc.sentence}; {exc.fix}".rstrip("; "), is_needed=True)
        return
    consequence = "" if enforced.is_isolated else "; code that is not trusted is refused without --allow-unisolated"
    yield Check(
        name="sandbox",
        ok=result.ok and enforced.is_isolated,
        detail=(enforced.sentence if result.ok else result.stderr.decode(errors="replace").strip()) + consequence,
        is_needed=True,
    )
    yield from _namespaces(enforced)
    wanted = f"{limits.memory_bytes} {limits.open_files} {limits.file_bytes} 0"
    seen = result.stdout.decode(errors="replace").strip()
    yield Check(
        name="limits",
        ok=seen == wanted,
        detail="memory, open files, file size, core dumps" if seen == wanted else f"asked for {wanted}, got {seen}",
    )


def _namespaces(enforced: Enforced) -> Iterator[Check]:
    words = {
        "user": "a user namespace of its own",
        "network": "no network, not even the host's loopback",
        "processes": "a process namespace of its own",
        "filesystem": "its own view of the files, read-only but for one directory",
        "ipc": "its own shared memory and host name",
        "non_root": "a real user that is not root",
        "syscalls": "a filter on system calls",
    }
    for name, detail in words.items():
        reason = enforced.missing.get(name)
        yield Check(name=f"sandbox: {name}", ok=reason is None, detail=f"not isolated: {reason}" if reason else detail)


def _interpreters() -> Iterator[Check]:
    found = find_interpreters()
    for minor in MINORS:
        version = f"3.{minor}"
        yield Check(
            name=f"python {version}",
            ok=version in found,
            detail=str(found.get(version, "not found: recording with it is not tested on this machine")),
        )


def _libraries() -> Iterator[Check]:
    for name, purpose in _LIBRARIES.items():
        try:
            yield Check(name=name, ok=True, detail=metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Check(name=name, ok=False, detail=f"not installed; for {purpose}")


def _compiler() -> Check:
    path = next(filter(None, map(shutil.which, ("gcc", "cc", "clang"))), None)
    return Check(name="compiler", ok=path is not None, detail=path or "no C compiler; torch.compile needs one")

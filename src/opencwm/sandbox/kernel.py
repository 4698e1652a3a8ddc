"""What this machine's kernel lets us do: asked once per sandbox, by trying it.

A refusal is data with the kernel's own words, so that a report can say why something is not enforced.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from opencwm.errors import SandboxError
from opencwm.sandbox.base import ISOLATION, Limits
from opencwm.sandbox.guard.seccomp import MACHINES
from opencwm.sandbox.pipes import converse, launch

FIRST_UID, NUM_UIDS = 61184, 4336
"""The range that systemd keeps for users made up on the fly; one of them for each run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernel:
    is_root: bool
    """We can become another user."""
    refused: Mapping[str, str]
    """Of `ISOLATION`, `syscalls` and `non_root`, those refused -> the reason."""


def probe_kernel() -> Kernel:
    """Try every namespace in a throw-away child. Raises SandboxError where there is no sandbox at all."""
    if sys.platform != "linux":
        raise SandboxError(
            f"the sandbox needs Linux namespaces, and this is {platform.system() or sys.platform}",
            fix="use Linux (a virtual machine or WSL 2 will do)",
        )
    is_root = can_become_others()
    job = {
        "probe": True,
        "uid": fresh_uid(is_root=is_root),
        "is_root": is_root,
        "mountpoint": mount_point(),
        "limits": launcher_limits(Limits()),
    }
    with launch() as launcher:
        report = converse(launcher, job, stdin=b"", output_bytes=1 << 20, patience_s=30.0).report
    if "refused" not in report:
        raise SandboxError(f"the sandbox could not find out what the kernel allows: {report.get('failed', report)}")
    refused = {name: report["refused"][name] for name in ISOLATION if name in report["refused"]}
    if platform.machine() not in MACHINES:
        refused["syscalls"] = f"no filter for {platform.machine()}"
    if os.geteuid() == 0 and not is_root and (0, 0) in [(inside, outside) for inside, outside, _ in _users()]:
        refused["non_root"] = "there is no other user in this user namespace"
    return Kernel(is_root=is_root, refused=refused)


def can_become_others() -> bool:
    """Root, and not that of a user namespace without other users, who is an ordinary user outside."""
    last = FIRST_UID + NUM_UIDS
    return os.geteuid() == 0 and any(first <= FIRST_UID and last <= first + count for first, _, count in _users())


def _users() -> list[tuple[int, int, int]]:
    """The ids of this user namespace: (first inside, first outside, how many)."""
    rows = (line.split() for line in Path("/proc/self/uid_map").read_text().splitlines())
    return [(int(inside), int(outside), int(count)) for inside, outside, count in rows]


def fresh_uid(*, is_root: bool) -> int:
    """A user for the next run: one that owns nothing, or ourselves where we cannot become another."""
    return FIRST_UID + int.from_bytes(os.urandom(4), "little") % NUM_UIDS if is_root else os.geteuid()


def mount_point() -> str:
    """Any folder will do: it is covered in the sandbox's own view only, and only for a moment."""
    return os.path.realpath(tempfile.gettempdir())


def launcher_limits(limits: Limits) -> dict[str, float]:
    """The limits as the launcher wants them: plain numbers, none absent."""
    numbers = asdict(limits)
    if limits.cpu_s is None:
        numbers["cpu_s"] = int(-(-limits.wall_s // 1)) + 1
    return numbers

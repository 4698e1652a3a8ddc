"""Each in a process of its own: what `keep_memory` changes, it changes for good."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")

FAULTS = """
import resource
from opencwm.model.memory import keep_memory
%s
before = []
for _ in range(4):
    before.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    bytearray(64 << 20)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before[1]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(faults, int(status["VmHWM"].split()[0]) // 1024)  # ru_maxrss is also that of the process before `exec`
"""


def printed(code: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return [int(word) for word in done.stdout.split()]


def test_what_was_freed_is_used_again_without_touching_fresh_pages():
    fresh, _ = printed(FAULTS % "")
    kept, megabytes = printed(FAULTS % "assert keep_memory()")
    assert fresh > 3 * (64 << 20) // (2 << 20)  # at the least a fault for every huge page
    assert kept < 20
    assert megabytes < 500  # of addresses half the machine is reserved, of memory nothing


def test_a_process_whose_addresses_are_limited_reserves_none():
    limit = "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\nassert keep_memory()"
    kept, _ = printed(FAULTS % limit)
    assert kept < 20

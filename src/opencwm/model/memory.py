"""Keeping the memory that a process has, instead of handing it back and asking for it again.

A training step frees as much as it allocates. The C library returns large pieces to the system at once and trims its
heap, so that every step touches fresh pages, each of which the system must find and clear; and pages of 4 KiB cost a
table walk for every few hundred bytes of a large tensor. Both are dear in a virtual machine. `docs/performance.md`
has the difference.
"""

import ctypes
import functools
import os
import platform
import resource
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's `mallopt` (malloc.h)."""
MADV_HUGEPAGE = 14
"""Of Linux's `madvise` (asm-generic/mman-common.h)."""
HUGE_PAGE = 2 << 20
"""Bytes: a huge page of x86-64, and of ARM with pages of 4 KiB."""


@functools.cache
def keep_memory() -> bool:
    """From now on freed memory stays with this process, for its next allocations: large ones come from the heap, which
    never shrinks and may lie in huge pages. True where the C library can do that (glibc); elsewhere nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    if not (libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, -1)):
        return False
    if addresses_are_free():
        _stretch_heap(libc, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    return True


def addresses_are_free() -> bool:
    """Whether a process may reserve more addresses than it uses memory."""
    overcommit = Path("/proc/sys/vm/overcommit_memory")
    is_strict = overcommit.exists() and overcommit.read_text().strip() == "2"
    limits = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return not is_strict and all(limit == resource.RLIM_INFINITY for limit in limits)


def _stretch_heap(libc: ctypes.CDLL, size: int) -> None:
    """Let the heap reach `size` bytes on, all of it fit for huge pages; no memory is used until it is touched."""
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    start = libc.malloc(size)
    if start is not None:
        first = -(-start // HUGE_PAGE) * HUGE_PAGE
        libc.madvise(first, (start + size - first) // HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE)
        libc.free(start)

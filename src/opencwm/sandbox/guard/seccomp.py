"""A filter on system calls: what no ordinary program needs is refused with EPERM.

Namespaces and users already decide what the program may touch; this makes the kernel's rarely used corners
unreachable, where most of its holes have been, and refuses new namespaces a second time. A classic BPF program,
written by hand, for x86_64 and aarch64. System V IPC is refused because its memory escapes every rlimit. `clone3`,
whose flags a filter cannot read, is answered with "no such call", and the C library then uses `clone`.
"""

import ctypes
import errno
import os
import struct

from . import syscalls

# name: (number on x86_64, number on aarch64)
REFUSED = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "shmget": (29, 194),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
CLONE = (56, 220)
CLONE3 = (435, 435)
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machine -> (column of the tables above, AUDIT_ARCH constant)."""

_X32_BIT = 0x40000000  # a second numbering of the calls on x86_64
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


def filter_program(machine: str) -> bytes:
    """The BPF instructions (code, jump if true, jump if false, operand) for one machine."""
    column, arch = MACHINES[machine]
    namespaces = (
        syscalls.CLONE_NEWNS
        | syscalls.CLONE_NEWUTS
        | syscalls.CLONE_NEWIPC
        | syscalls.CLONE_NEWUSER
        | syscalls.CLONE_NEWPID
        | syscalls.CLONE_NEWNET
    )
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    lines = [(_LOAD, 0, 0, _ARCH_AT), (_IF_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER_AT)]
    lines += [(_IF_AT_LEAST, 0, 1, _X32_BIT), refuse]
    for numbers in REFUSED.values():
        lines += [(_IF_EQUAL, 0, 1, numbers[column]), refuse]
    lines += [(_IF_EQUAL, 0, 1, CLONE3[column]), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    lines += [(_IF_EQUAL, 0, 3, CLONE[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT_AT)]
    lines += [(_IF_ANY_BIT, 0, 1, namespaces), refuse, (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def refuse_rare_calls() -> None:
    """Install the filter on this process and everything it starts. It must have given up new privileges before."""
    program = filter_program(os.uname().machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    syscalls.set_seccomp_filter(ctypes.create_string_buffer(header, len(header)))

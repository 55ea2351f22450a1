"""The system calls that a fenced program may not make, as a seccomp filter.

Refused are other processes and programs, signals, sockets, memory that no limit counts, and what
could loosen the other fences. Threads are allowed. Knows nothing of the program.
"""

from __future__ import annotations

import errno
import platform
import sys

from raygen.core.limited import load_filter

_X86_64 = {
    "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "socket": 41, "socketpair": 53,
    "kill": 62, "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "unshare": 272, "setns": 308,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "setsid": 112, "setpgid": 109,
    "prctl": 157, "seccomp": 317, "bpf": 321, "perf_event_open": 298, "add_key": 248,
    "request_key": 249, "keyctl": 250, "userfaultfd": 323, "memfd_create": 319, "shmget": 29,
    "msgget": 68, "semget": 64, "mq_open": 240, "personality": 135, "setrlimit": 160,
}  # fmt: skip
_AARCH64 = {
    "execve": 221, "execveat": 281, "socket": 198, "socketpair": 199, "kill": 129, "tkill": 130,
    "tgkill": 131, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "ptrace": 117,
    "process_vm_readv": 270, "process_vm_writev": 271, "unshare": 97, "setns": 268, "mount": 40,
    "umount2": 39, "pivot_root": 41, "chroot": 51, "setsid": 157, "setpgid": 154, "prctl": 167,
    "seccomp": 277, "bpf": 280, "perf_event_open": 241, "add_key": 217, "request_key": 218,
    "keyctl": 219, "userfaultfd": 282, "memfd_create": 279, "shmget": 194, "msgget": 186,
    "semget": 190, "mq_open": 180, "personality": 92, "setrlimit": 164,
}  # fmt: skip
_ON_ALL = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433, "pidfd_open": 434, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442, "memfd_secret": 447,
}  # fmt: skip
_MACHINES = {
    "x86_64": (0xC000003E, _X86_64, 56, 302),
    "aarch64": (0xC00000B7, _AARCH64, 220, 261),
}
"""How seccomp names a machine; its refused calls, and the numbers of `clone` and `prlimit64`."""
_CLONE3 = 435
_CLONE_THREAD = 0x00010000
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def fence_calls() -> bool:
    """Refuse these calls to this process for good. Returns whether the kernel holds it to that."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _MACHINES:
        return False
    name, refused, clone, prlimit = _MACHINES[machine]
    refuse = (_RETURN, 0, 0, _ERROR | errno.EPERM)
    program = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, name),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, 1 << 30),  # the second set of x86-64's numbers
        refuse,
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),  # so that threads are made by `clone`
        (_EQUAL, 0, 4, clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        refuse,
        (_EQUAL, 0, 4, prlimit),  # of this process alone
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _ALLOW),
        refuse,
    ]
    for number in sorted({*refused.values(), *_ON_ALL.values()}):
        program += [(_EQUAL, 0, 1, number), refuse]
    return load_filter([*program, (_RETURN, 0, 0, _ALLOW)])

"""A root folder, a network, processes and users of this process's own, by Linux namespaces.

Everything is asked for by system call: a user namespace needs no privilege where the kernel allows
it. Knows nothing of the program.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_NEW_USER, _NEW_PID, _NEW_NET = 0x10000000, 0x20000000, 0x40000000
_NEW_MOUNTS, _NEW_IPC, _NEW_HOST = 0x00020000, 0x08000000, 0x04000000
_READ_ONLY, _NO_SUID, _NO_DEVICES, _REMOUNT, _BIND = 1, 2, 4, 32, 4096
_RECURSIVE, _PRIVATE = 16384, 1 << 18
_NOBODY = 65534
_CAPABILITY_VERSION = 0x20080522
WORK = Path("/work")
"""The program's own folder, in its own root."""


def enter_namespaces() -> bool:
    """Give this process its own users, network, messages, host name and mounts.

    The next process that it forks is the first of its own process namespace. Returns whether the
    kernel allows it; where not, nothing has changed.
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    kinds = _NEW_USER | _NEW_PID | _NEW_NET | _NEW_MOUNTS | _NEW_IPC | _NEW_HOST
    if library.unshare(kinds):
        return False
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_NOBODY} {user} 1"),
        ("gid_map", f"{_NOBODY} {group} 1"),
    ):
        Path("/proc/self", name).write_text(text, "ascii")
    return True


def enter_root(root: Path, readable: Sequence[Path], work_bytes: int) -> None:
    """Make an empty folder this process's root, with copies of `readable` that can't be written.

    `work_bytes` is how much it may write, into /work alone. Raises OSError.
    """
    _mount(None, Path("/"), None, _RECURSIVE | _PRIVATE)
    safe = _NO_SUID | _NO_DEVICES
    _mount("tmpfs", root, "tmpfs", safe, "size=1m,nr_inodes=4k,mode=755")
    for path in readable:
        target = root / path.relative_to("/")
        target.mkdir(parents=True, exist_ok=True)
        _mount(str(path), target, None, _BIND | _RECURSIVE)
        kept = os.statvfs(target).f_flag & 0xFFF & ~_READ_ONLY & ~_REMOUNT
        _mount(None, target, None, _BIND | _REMOUNT | _READ_ONLY | safe | kept & 0x040E)
    work = root / WORK.relative_to("/")
    work.mkdir()
    _mount("tmpfs", work, "tmpfs", safe, f"size={work_bytes},nr_inodes=1k,mode=700")
    _mount(None, root, None, _REMOUNT | _READ_ONLY | safe, "size=1m,nr_inodes=4k,mode=755")
    os.chroot(root)
    os.chdir(WORK)


def drop_capabilities() -> bool:
    """Give up every capability that a new user namespace gives. Returns whether that worked."""
    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    return not library.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def _mount(
    source: str | None, target: Path, kind: str | None, flags: int, options: str | None = None
) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    texts = [None if text is None else text.encode() for text in (source, kind, options)]
    flagged = ctypes.c_ulong(flags)
    if library.mount(texts[0], os.fsencode(target), texts[1], flagged, texts[2]):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))

"""Fences around this process that it can't take down again: writing, programs and sockets.

Landlock and seccomp are asked for by system call, since neither needs a privilege or a library.
Each says whether the kernel has it; an audit hook stands in for what it hasn't, and holds Python's
own code only. Knows nothing of the work inside.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER_MODE = 38, 22, 2

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_AND_REMOVE = sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE = 1 << 13, 1 << 14
"""Rights of Landlock's first three versions, as `linux/landlock.h` numbers them."""

_MACHINES = {"x86_64": (0xC000003E, 41, 56, (57, 58)), "aarch64": (0xC00000B7, 198, 220, ())}
"""How seccomp names a machine, and that machine's numbers of the calls `socket` and `clone`, and of
`fork` and `vfork` where it has them."""
_IO_URING_SETUP, _CLONE3 = 425, 435
_THREAD = 0x10000
"""The flag by which `clone` makes a thread of this process, and no other process."""
_LOAD, _EQUAL, _AT_LEAST, _HAS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EACCES, 0x80000000
_UNKNOWN = 0x00050000 | errno.ENOSYS

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PROGRAMS = ("subprocess.", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "os.system", "pty.")
_CHANGES = frozenset(
    f"os.{name}"
    for name in ("chmod", "chown", "link", "mkdir", "remove", "rename", "rmdir", "truncate")
)  # fmt: skip


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def fence_files(
    writable: Sequence[Path], readable: Sequence[Path] | None = None, listed: Sequence[Path] = ()
) -> bool:
    """Let this process write below these folders alone, and start no program.

    `readable` are the files and folders that it may read too, all of which exist; None: it may read
    all. `listed` are folders in which it may read the names. Returns whether the kernel holds it to
    that.
    """
    if sys.platform != "linux":
        return False
    library = _library()
    version = library.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    reading = 0 if readable is None else _READ_FILE | _READ_FOLDER
    within = _WRITE_FILE | _MAKE_AND_REMOVE
    within |= (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    handled = ctypes.c_uint64(within | _EXECUTE | reading)
    rules = library.syscall(_CREATE_RULESET, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    if rules < 0:
        return False
    allowed = [(path, within | reading) for path in writable]
    allowed += [(path, reading) for path in readable or ()]
    allowed += [(path, reading & _READ_FOLDER) for path in listed]
    if Path(os.devnull).exists():
        allowed.append((Path(os.devnull), _WRITE_FILE | (reading & _READ_FILE)))
    for path, rights in allowed:
        _allow(library, rules, path, rights)
    held = not library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) and not library.syscall(
        _RESTRICT_SELF, rules, 0
    )
    os.close(rules)
    return held


def _allow(library: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    if not path.is_dir():
        rights &= _WRITE_FILE | _READ_FILE | _TRUNCATE
    folder = os.open(path, os.O_PATH)
    rule = struct.pack("=Qi", rights, folder)
    if rights and library.syscall(_ADD_RULE, rules, 1, rule, 0):
        raise OSError(ctypes.get_errno(), f"can't fence {path}")
    os.close(folder)


def fence_network() -> bool:
    """Let this process open no socket of any kind. Returns whether the kernel holds it to that."""
    if not _is_known():
        return False
    _, socket, _, _ = _MACHINES[platform.machine()]
    return _filter(
        [
            (_EQUAL, 1, 0, socket),
            (_EQUAL, 0, 1, _IO_URING_SETUP),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        ]
    )


def fence_processes() -> bool:
    """Let this process make threads, and no other process. Returns whether the kernel holds it to
    that."""
    if not _is_known():
        return False
    _, _, clone, forks = _MACHINES[platform.machine()]
    refused = [step for fork in forks for step in ((_EQUAL, 0, 1, fork), (_RETURN, 0, 0, _REFUSE))]
    return _filter(
        [
            *refused,
            (_EQUAL, 0, 1, _CLONE3),  # its flags can't be seen; who calls it falls back on `clone`
            (_RETURN, 0, 0, _UNKNOWN),
            (_EQUAL, 0, 3, clone),
            (_LOAD, 0, 0, 16),  # its flags
            (_HAS, 1, 0, _THREAD),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        ]
    )


def _is_known() -> bool:
    return sys.platform == "linux" and platform.machine() in _MACHINES


def _filter(rules: Sequence[tuple[int, int, int, int]]) -> bool:
    """Put rules before each call of the system, which get the call's number. For good."""
    program = [
        (_LOAD, 0, 0, 4),  # the machine's name, which other numbers of calls hang on
        (_EQUAL, 1, 0, _MACHINES[platform.machine()][0]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # the call's number; the second set of x86-64 begins at 1 << 30
        (_AT_LEAST, 0, 1, 1 << 30),
        (_RETURN, 0, 0, _REFUSE),
        *rules,
    ]
    return load_filter(program)


def load_filter(program: Sequence[tuple[int, int, int, int]]) -> bool:
    """Hold this process to a seccomp program, of (code, jump if true, if false, value) a step.

    Returns whether the kernel took it.
    """
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    filter_ = struct.pack("@HP", len(program), ctypes.addressof(code))
    library = _library()
    return not library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) and not library.prctl(
        _SET_SECCOMP, _FILTER_MODE, filter_, 0, 0
    )


def watch_python(
    new_files: int, writable: Sequence[Path] | None = None, network: bool = True
) -> None:
    """Count the files that Python's own code makes, and refuse what no fence refuses.

    `writable` are the folders that it may write below (None: a fence holds it), `network` whether
    it may open sockets. For good: an audit hook can't be taken away.
    """
    made = 0

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal made
        if event == "open" and isinstance(args[0], str | bytes) and args[2] & _WRITES:
            made += bool(args[2] & os.O_CREAT)
            if made > new_files:
                raise OSError(errno.EMFILE, f"more than {new_files:,} files made")
            _check_path(args[0], writable)
        elif event in _CHANGES:
            _check_path(args[0], writable)
        elif event.startswith(_PROGRAMS) and writable is not None:
            raise PermissionError(errno.EACCES, "no program may be started here")
        elif not network and event in ("socket.__new__", "socket.getaddrinfo"):
            raise PermissionError(errno.EACCES, "the network may not be used here")

    sys.addaudithook(watch)


def _check_path(name: object, writable: Sequence[Path] | None) -> None:
    if writable is None or not isinstance(name, str | bytes):
        return
    path = Path(os.fsdecode(name)).absolute()
    path = path.parent.resolve() / path.name
    if path != Path(os.devnull) and not any(
        path.is_relative_to(each.resolve()) for each in writable
    ):
        raise PermissionError(errno.EACCES, "nothing may be written there", str(path))

"""Folders for temporary files: private ones, and ones whose names leave room for a socket's.

Knows nothing of what lies in them.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_MOST_SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
"""How long the path of a socket may be, by the operating system."""

_BASES = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - a name of its own follows


def can_write(folder: Path) -> bool:
    """Tell whether files can be written to a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def private_folder() -> Path:
    """Return a folder for temporary files that nobody but this user can write to or read."""
    folder = Path(tempfile.gettempdir()) / f"raygen-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="raygen-"))
    safe = stat.S_ISDIR(status.st_mode) and not stat.S_IMODE(status.st_mode) & 0o077
    if safe and status.st_uid == os.getuid():
        return folder
    return Path(tempfile.mkdtemp(prefix="raygen-"))


def socket_folder(own: str, names: Sequence[str], socket: str) -> str | None:
    """Return a folder that can be written and in which a socket fits; None where there is none.

    Looks for `names` in `own` and then in the other folders for temporary files. `socket` is the
    longest path of a socket in the folder.
    """
    for base in dict.fromkeys((own, tempfile.gettempdir(), *_BASES)):
        for name in names:
            folder = Path(base) / name
            if len(os.fsencode(folder / socket)) <= _MOST_SOCKET_BYTES and can_write(folder):
                return str(folder)
    return None


def room_for_folder(socket: str) -> int:
    """Count how many bytes the path of a folder may have for a socket to fit in."""
    return _MOST_SOCKET_BYTES - len(os.fsencode(f"/{socket}"))

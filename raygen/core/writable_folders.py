"""Folders that this process can write to: for temporary files, sockets, and libraries' caches.

In a container a process often runs as a user without a name, with / or nothing as its home, or with
a home that is read-only. Then each library finds its own way to fail. A variable that the user has
set is never touched. Knows nothing of the libraries but their variables.
"""

from __future__ import annotations

import getpass
import os
import pwd
import stat
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MOST_SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
"""How long the path of a socket may be, by the operating system."""

_RANDOM_LETTERS = 8
"""In the name of a folder that `tempfile.mkdtemp` makes."""

_BASES = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - a name of its own follows


def expand_home(path: str | Path) -> Path:
    """Put the home folder in place of a leading `~`; of nobody's here, `~name` stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises for such a name


def can_write(folder: Path) -> bool:
    """Tell whether files can be written to a folder, which is made if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def private_folder(base: str | None = None) -> Path:
    """Return a folder for temporary files that nobody but this user can write to or read.

    It lies in `base`, by default the system's. One that somebody else made under its name, or that
    others can look into, is left alone, and another is made. Raises OSError.
    """
    parent = Path(base or tempfile.gettempdir())
    folder = parent / f"raygen-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="raygen-", dir=parent))
    safe = stat.S_ISDIR(status.st_mode) and not stat.S_IMODE(status.st_mode) & 0o077
    if safe and status.st_uid == os.getuid():
        return folder
    return Path(tempfile.mkdtemp(prefix="raygen-", dir=parent))


def make_private(folder: Path) -> None:
    """Make a folder, where it isn't there yet, that nobody but this user may look into."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_private(path: str, flags: int) -> int:
    """Open a file, as an `opener`: a new one is for this user alone, and no link is followed."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def socket_folder(preferred: str, socket: str) -> str | None:
    """Return a private folder in which a socket fits; None where there is none.

    It lies in `preferred`, else in another folder for temporary files. `socket` is the longest path
    of a socket in the folder.
    """
    name = f"raygen-{'x' * max(_RANDOM_LETTERS, len(str(os.getuid())))}"
    for base in dict.fromkeys((preferred, tempfile.gettempdir(), *_BASES)):
        if len(os.fsencode(Path(base) / name / socket)) <= _MOST_SOCKET_BYTES:
            with suppress(OSError):
                return str(private_folder(base))
    return None


def room_for_folder(socket: str) -> int:
    """Count the bytes that a folder's path may have for a socket's path to fit in."""
    return _MOST_SOCKET_BYTES - len(os.fsencode(f"/{socket}"))


@dataclass(frozen=True, slots=True)
class _LibraryFolder:
    """Where a library keeps something: the variable that says so, and the default.

    The default is below the cache folder or the home. Content that is already there may be
    `worth_reading`, though nothing can be added.
    """

    variable: str
    default: str
    below_cache: bool = True
    worth_reading: bool = False


_LIBRARY_FOLDERS = (
    _LibraryFolder("HF_HOME", "huggingface", worth_reading=True),
    _LibraryFolder("HF_DATASETS_CACHE", "huggingface/datasets"),
    _LibraryFolder("RAYGEN_CACHE", "raygen"),
    _LibraryFolder("VLLM_CACHE_ROOT", "vllm"),
    _LibraryFolder("FLASHINFER_WORKSPACE_BASE", "flashinfer"),
    _LibraryFolder("VLLM_CONFIG_ROOT", ".config/vllm", below_cache=False),
    _LibraryFolder("TRITON_HOME", ".triton", below_cache=False),
    _LibraryFolder("MPLCONFIGDIR", ".config/matplotlib", below_cache=False),
)


def use_writable_home(environ: MutableMapping[str, str] = os.environ) -> None:
    """Point libraries, here and in child processes, to folders that can be written.

    Must run before they are imported. Changes nothing if the home can be written.
    """
    _name_user(environ)
    home = home_folder(environ)
    if home is None:
        environ["HOME"] = str(private_folder())
        return
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    if can_write(cache):
        return
    for library in _LIBRARY_FOLDERS:
        default = (cache if library.below_cache else home) / library.default
        is_readable = library.worth_reading and os.access(default, os.R_OK | os.X_OK)
        if not environ.get(library.variable) and not is_readable and not can_write(default):
            environ[library.variable] = str(private_folder() / library.default)


def home_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the user's home; None for a user without HOME whom the machine doesn't know."""
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def _name_user(environ: MutableMapping[str, str]) -> None:
    """Give a user without an entry in passwd a name, by which PyTorch names a folder."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        environ["USER"] = f"user{os.getuid()}"

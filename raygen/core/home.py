"""Home: folders for what libraries keep of their own where the user's home can't be written.

In a container a process often runs as a user without a name, with / or nothing as its home, or with
a home that is read-only. Then each library finds its own way to fail. A variable that the user has
set is never touched. Knows nothing of the libraries but their variables.
"""

from __future__ import annotations

import getpass
import os
import pwd
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from raygen.core.temporary import can_write, private_folder


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a library keeps something: the variable that says it, and the default.

    `below` the cache folder or the home. What is there already may be `worth_reading`, though
    nothing can be added.
    """

    variable: str
    default: str
    below_cache: bool = True
    worth_reading: bool = False


_PLACES = (
    _Place("HF_HOME", "huggingface", worth_reading=True),
    _Place("HF_DATASETS_CACHE", "huggingface/datasets"),
    _Place("RAYGEN_CACHE", "raygen"),
    _Place("VLLM_CACHE_ROOT", "vllm"),
    _Place("FLASHINFER_WORKSPACE_BASE", "flashinfer"),
    _Place("VLLM_CONFIG_ROOT", ".config/vllm", below_cache=False),
    _Place("TRITON_HOME", ".triton", below_cache=False),
    _Place("MPLCONFIGDIR", ".config/matplotlib", below_cache=False),
)


def use_writable_home(environ: MutableMapping[str, str] = os.environ) -> None:
    """Point libraries, here and in child processes, to folders that can be written.

    To be called before they are imported. Changes nothing where the home is as it should be.
    """
    _name_user(environ)
    home = home_folder(environ)
    if home is None:
        environ["HOME"] = str(private_folder())
        return
    cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
    if can_write(cache):
        return
    for place in _PLACES:
        default = (cache if place.below_cache else home) / place.default
        kept = place.worth_reading and os.access(default, os.R_OK | os.X_OK)
        if not environ.get(place.variable) and not kept and not can_write(default):
            environ[place.variable] = str(private_folder() / place.default)


def home_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the user's home; None for a user whom the machine doesn't know and who has no HOME."""
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def _name_user(environ: MutableMapping[str, str]) -> None:
    """Give a user without an entry in passwd a name; PyTorch names a folder by it."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        environ["USER"] = f"user{os.getuid()}"

"""What a process that looks at a stranger's recipe may read: its needs, and what the user names.

Neither the user's home nor their current folder is among it. Knows nothing of what is looked at.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from raygen.core import expand_home
from raygen.ops import ENTRY_POINTS
from raygen.recipe.remote import Fetched

_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/sys", "/dev/urandom", "/dev/random",
    "/run/systemd/resolve", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",
    "/proc/sys",
)  # fmt: skip
_SETTINGS = (
    "ca-certificates", "crypto-policies", "gai.conf", "group", "host.conf", "hostname", "hosts",
    "ld.so.cache", "localtime", "mime.types", "nsswitch.conf", "os-release", "passwd", "pki",
    "protocols", "resolv.conf", "services", "ssl", "timezone",
)  # fmt: skip
"""Names in /etc: of certificates, the network and the clock. No password is in any of them."""
_CERTIFICATES = (
    "AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE",
)  # fmt: skip
_CREDENTIALS = ("~/.aws", "~/.azure", "~/.config/gcloud", "~/.netrc")
_CREDENTIAL_VARIABLES = (
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_FEDERATED_TOKEN_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "HF_TOKEN_PATH", "NETRC",
)  # fmt: skip
"""Where the clients of stores find who the user is, for `--as-me`."""
_WILD = "*?["
_FILES = re.compile(r"[^\s\[]*\.\w+")
"""A glob of files in the current folder."""


def readable_paths(
    fetched: Sequence[Fetched], values: Iterable[str], files: Iterable[Path], *, as_user: bool
) -> tuple[Path, ...]:
    """List the files and folders that looking at a fetched recipe needs; all of them exist.

    Args:
        fetched: What may be read of what was fetched.
        values: What the user set, some of which may name paths.
        files: Files that the user named.
        as_user: Whether stores are read as the user, by the files of their keys.
    """
    paths = [
        *map(Path, _SYSTEM),
        *(Path("/etc", name) for name in _SETTINGS),
        *_in_variables(_CERTIFICATES),
        *(_credentials() if as_user else ()),
        *map(Path, (sys.prefix, sys.base_prefix)),
        *(path for path in _search_path() if path not in _mixed()),
        *_own_packages(),
        *(each.root for each in fetched),
        *map(_tidy, files),
        *_named(values),
        *_datasets(),
    ]
    return tuple(dict.fromkeys(path for path in paths if path.exists()))


def listed_paths() -> tuple[Path, ...]:
    """List the folders whose names alone may be read, since packages are looked for in them."""
    return tuple(path for path in _search_path() if path in _mixed() and path.is_dir())


def _in_variables(names: Sequence[str]) -> Iterator[Path]:
    return (expand_home(os.environ[name]) for name in names if os.environ.get(name))


def _credentials() -> Iterator[Path]:
    yield from map(expand_home, _CREDENTIALS)
    yield from _in_variables(_CREDENTIAL_VARIABLES)
    cache = expand_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    yield expand_home(os.environ.get("HF_HOME") or cache / "huggingface") / "token"


def _search_path() -> list[Path]:
    return [Path(entry).absolute() for entry in sys.path]


def _mixed() -> set[Path]:
    """Return the folders that hold packages among other things of the user's."""
    return {Path.cwd(), Path.home(), Path(__file__).parents[2]} - {
        path for path in _search_path() if path.name in ("site-packages", "dist-packages")
    }


def _own_packages() -> Iterator[Path]:
    """Find the folders of raygen, streamtrain and the installed packages of ops."""
    names = {point.module.partition(".")[0] for point in entry_points(group=ENTRY_POINTS)}
    for name in ("raygen", "streamtrain", *sorted(names)):
        spec = find_spec(name)
        if spec is None:
            continue
        yield from map(Path, spec.submodule_search_locations or [spec.origin or os.devnull])


def _named(values: Iterable[str]) -> Iterator[Path]:
    """Find the paths among the values that the user set."""
    for value in values:
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            parsed = value
        for text in _texts(parsed):
            path = Path(text.partition("\0")[0][:4096])
            wild = next((i for i, part in enumerate(path.parts) if set(part) & set(_WILD)), None)
            if wild == 0 and not _FILES.fullmatch(text):
                continue  # a prompt, an expression
            path = _tidy(Path(*path.parts[:wild]))
            if path != Path("/"):
                yield path


def _tidy(path: Path) -> Path:
    return Path(os.path.normpath(expand_home(path).absolute()))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _datasets() -> Iterator[Path]:
    """Find the datasets below the current folder, whose past runs an estimate goes by."""
    for pattern in ("*/rows/_delta_log", "*/*/rows/_delta_log"):
        for log in Path.cwd().glob(pattern):
            yield log.parents[1]

"""Reading as nobody in particular: what the libraries that read files need to be told for that.

Knows the options of fsspec's file systems and of object stores; knows nothing of what is read.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from raygen.core.access.hosts import addresses_of, is_public

_FILES: dict[tuple[str, ...], dict[str, Any]] = {
    ("s3", "s3a"): {"anon": True},
    ("gs", "gcs"): {"token": "anon"},
    ("az", "abfs", "abfss"): {"anon": True},
    ("hf",): {"token": False},
}
_TABLES = {
    ("s3", "s3a"): {"aws_skip_signature": "true"},
    ("gs", "gcs"): {"google_skip_signature": "true"},
    ("az", "abfs", "abfss"): {"azure_skip_signature": "true"},
}
_REVISED = ("hf://", "git+https://", "git+http://")
_AZURE = "AZURE_STORAGE_"


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Reading without credentials, on the web from public hosts and that of the URL `home`."""

    home: str

    def file_options(self, url: str) -> dict[str, Any]:
        """Return the options of fsspec's file system for a URL. Raises PermissionError."""
        scheme = url.partition("://")[0]
        if scheme in ("http", "https"):
            return {"get_client": partial(_public_client, addresses_of(self.home))}
        if scheme in ("az", "abfs", "abfss") and any(
            name.startswith(_AZURE) for name in os.environ
        ):
            raise PermissionError(
                f"{url}: fsspec's client of Azure takes {_AZURE}... from the environment; unset "
                "them, or say --as-me"
            )
        return next((dict(known) for names, known in _FILES.items() if scheme in names), {})

    def table_options(self, url: str) -> dict[str, str]:
        """Return the `storage_options` of a Delta table at a URL."""
        scheme = url.partition("://")[0]
        return next((dict(known) for names, known in _TABLES.items() if scheme in names), {})


def access_to(url: str, home: str, as_me: Collection[str]) -> Anonymous | None:
    """Say as whom a URL of a stranger's is read: anonymously, or, by None, as the user.

    `as_me` are the addresses that the user lets be read as themselves, with all below them.
    """
    plain = _plain(url)
    for address in as_me:
        start = _plain(address).rstrip("/")
        if "://" in address and (plain == start or plain.startswith(f"{start}/")):
            return None
    return Anonymous(home)


def _plain(url: str) -> str:
    """Return a URL without the revision that its repository may have."""
    return re.sub(r"@[^/#?]*", "", url.partition("#")[0]) if url.startswith(_REVISED) else url


async def _public_client(home: frozenset[str], **options: Any) -> Any:
    """Make a web client that connects to public hosts only, wherever it is redirected."""
    import aiohttp

    def open_socket(address: Any) -> socket.socket:
        family, kind, protocol, _, where = address
        if where[0] not in home and not is_public(where[0]):
            raise PermissionError(errno.EACCES, f"{where[0]} is in a private network")
        return socket.socket(family=family, type=kind, proto=protocol)

    connector = aiohttp.TCPConnector(socket_factory=open_socket)
    return aiohttp.ClientSession(connector=connector, **options)

"""Reading as nobody in particular: what the libraries that read files need to be told for that.

Knows the options of fsspec's file systems and of object stores; knows nothing of what is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from raygen.core.access.hosts import addresses_of

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
_NAMES_A_HOST = re.compile(r"[^:/]+://[^/]")
_AZURE = "AZURE_STORAGE_"


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Reading without credentials, on the web from public hosts and that of the URL `home`."""

    home: str

    def file_options(self, url: str) -> dict[str, Any]:
        """Return the options of fsspec's file system for a URL. Raises PermissionError."""
        scheme = url.partition("://")[0]
        if scheme in ("http", "https"):
            from raygen.core.access.web_client import public_client

            return {"get_client": partial(public_client, addresses_of(self.home))}
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


def file_options(url: str, access: Anonymous | None) -> dict[str, Any]:
    """Return the options of fsspec's file system for a URL; `access` None reads it as the user.

    Raises PermissionError.
    """
    if access is not None:
        return access.file_options(url)
    if not url.startswith(("http://", "https://")):
        return {}
    from raygen.core.access.web_client import web_client

    return {"get_client": web_client}


def access_to(url: str, home: str, as_me: Collection[str]) -> Anonymous | None:
    """Say as whom a URL of a stranger's is read: anonymously, or, by None, as the user.

    `as_me` are the addresses that the user lets be read as themselves, with all below them.
    """
    plain = _plain(url)
    for address in as_me:
        start = _plain(address).rstrip("/")
        if _NAMES_A_HOST.match(address) and (plain == start or plain.startswith(f"{start}/")):
            return None
    return Anonymous(home)


def _plain(url: str) -> str:
    """Return a URL without the revision that its repository may have."""
    return re.sub(r"@[^/#?]*", "", url.partition("#")[0]) if url.startswith(_REVISED) else url

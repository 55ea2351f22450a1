"""What a fetched recipe may reach: the files that were fetched with it, and what anyone can read.

Knows paths, links, addresses and hosts; knows nothing of what is read from them.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

from raygen.recipe.remote.ref import Fetched

_ADVICE = "a fetched recipe reaches no file but those that were fetched with it"
_SCHEMES = ("hf://", "https://", "http://", "s3://", "gs://", "gcs://", "az://", "abfs://",
            "abfss://", "git+https://", "git+ssh://")  # fmt: skip
"""What needs a network, so nothing on this machine."""


def escape_reason(fetched: Fetched, folder: Path, text: str) -> str | None:
    """Say why the path `text`, which starts in `folder`, leaves what was fetched; None if not."""
    if text.startswith("~"):
        return f"{text!r} is a path of somebody's home folder; {_ADVICE}"
    if text.lower().startswith(("file:", "local:")) or Path(text).is_absolute():
        return f"{text!r} is an absolute path; {_ADVICE}"
    if "\0" in text:
        return f"{text!r} is not a path"
    path = folder / text
    if not Path(os.path.normpath(path)).is_relative_to(fetched.root):
        return f"{text!r} leads out of what was fetched; {_ADVICE}"
    try:
        inside = path.resolve().is_relative_to(fetched.root)
    except (OSError, RuntimeError):  # RuntimeError: a loop of links, in Python up to 3.12
        return f"{text!r} can't be followed: its links go round in a circle"
    return None if inside else f"{text!r} is a link out of what was fetched; {_ADVICE}"


def alone_reason(fetched: Fetched, text: str) -> str | None:
    """Say why a file can't have come with a recipe from the web; None where it can."""
    if not fetched.is_alone:
        return None
    return (
        f"{text!r} didn't come along: of a recipe on the web only its own file is fetched; write "
        "the text into it, name rows by a URL, or publish the folder by git, on the Hugging Face "
        "hub or in an object store"
    )


def url_refusal(fetched: Fetched, url: str) -> str | None:
    """Say why what was fetched may not read from a URL; None where it may."""
    if not url.startswith(_SCHEMES) or "::" in url:
        return f"{url!r}: a fetched recipe reads its own files and {', '.join(_SCHEMES)} only"
    return private_host(url, fetched.pinned)


def private_host(url: str, same_as: str) -> str | None:
    """Say why a URL's host is not public; None where it is, or is the host of `same_as`.

    What only this machine's network reaches (its own services, a cloud's metadata) may hold
    secrets. A host that can't be resolved is no reason: the request itself will report it.
    """
    host = _host(url)
    if host is None or host == _host(same_as):
        return None
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return None
    private = sorted(address for address in addresses if not _is_public(address))
    if not private:
        return None
    where = "" if private == [host] else f" ({private[0]})"
    return f"{url!r}: {host}{where} is in a private network, which a fetched recipe may not read"


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url.removeprefix("git+"))
    except ValueError:
        return None
    return parts.hostname if parts.scheme in ("http", "https", "ssh") else None


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (inner or address).is_global and not address.is_multicast

"""Which hosts a stranger's recipe may have this machine ask: those that anybody can reach.

What only this machine's network reaches (its own services, a cloud's metadata) may hold secrets,
and what is read becomes rows. Knows nothing of recipes.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit


def private_host(url: str, own: str) -> str | None:
    """Why a URL's host is none of the public network; None where it is, or is that of `own`.

    A host that isn't found is told when it is asked.
    """
    host = _host(url)
    if host is None or host == _host(own):
        return None
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return None
    private = sorted(address for address in found if not _is_public(address))
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

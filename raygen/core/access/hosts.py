"""Which hosts are of the public network. Reaches nothing but the resolver of names."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

_SCHEMES = ("http", "https", "ssh")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def private_host(url: str, same_as: str) -> str | None:
    """Say why a URL's host is not public; None where it is, or is the host of `same_as`.

    What only this machine's network reaches (its own services, a cloud's metadata) may hold
    secrets. A host that can't be resolved is refused: who asks later might get another answer.
    """
    try:
        host = _host(url)
        if host is None or host == _host(same_as):
            return None
        addresses = _addresses(host)
    except (OSError, ValueError) as error:  # UnicodeError, of odd names, is a ValueError
        return f"{url!r}: its host can't be resolved ({error}); correct it, or check the network"
    private = sorted(address for address in addresses if not is_public(address))
    if not private:
        return None
    where = "" if private == [host] else f" ({private[0]})"
    return f"{url!r}: {host}{where} is in a private network, which a fetched recipe may not read"


def public_addresses(url: str, same_as: str) -> list[str]:
    """List the addresses of a URL's host that may be asked: public, or those of `same_as`.

    Raises OSError and ValueError where it can't be resolved.
    """
    host = _host(url) or ""
    allowed = host == _host(same_as)
    return sorted(address for address in _addresses(host) if allowed or is_public(address))


def addresses_of(url: str) -> frozenset[str]:
    """Find the addresses of a URL's host; none where it has none or can't be resolved."""
    try:
        host = _host(url)
        return frozenset(_addresses(host)) if host else frozenset()
    except (OSError, ValueError):
        return frozenset()


def is_public(text: str) -> bool:
    """Tell whether an IP address is one of the public network, also one inside another."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(str(inner))
        if address.is_site_local or address.is_reserved:
            return False
    return address.is_global and not address.is_multicast


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Find the address of the old kind that one of the new kind carries."""
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _host(url: str) -> str | None:
    parts = urlsplit(url.removeprefix("git+"))
    return parts.hostname if parts.scheme in _SCHEMES else None


def _addresses(host: str) -> set[str]:
    return {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}

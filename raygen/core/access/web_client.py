"""The web client that fsspec reads by, which holds a server to what was asked of it.

A server may send more than it says, and may pack it tighter. Knows nothing of what is read.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Collection
from typing import Any

import aiohttp

from raygen.core.access.hosts import is_public
from raygen.core.errors import UserError

MOST_BYTES = 2**24
"""Of a body that is read whole without a range, which is a page that lists files."""


async def web_client(**options: Any) -> aiohttp.ClientSession:
    """Make a web client that reads no body whole beyond its limit."""
    return aiohttp.ClientSession(response_class=_BoundedResponse, **options)


async def public_client(home: Collection[str], **options: Any) -> aiohttp.ClientSession:
    """Make such a client that connects to public hosts and the addresses `home` only.

    It does so wherever it is redirected.
    """

    def open_socket(address: Any) -> socket.socket:
        family, kind, protocol, _, where = address
        if where[0] not in home and not is_public(where[0]):
            raise PermissionError(errno.EACCES, f"{where[0]} is in a private network")
        return socket.socket(family=family, type=kind, proto=protocol)

    connector = aiohttp.TCPConnector(socket_factory=open_socket)
    return await web_client(connector=connector, **options)


class _BoundedResponse(aiohttp.ClientResponse):
    async def read(self) -> bytes:
        """Read the whole body, counted unpacked. Raises UserError where it is too large."""
        if self._body is None:
            limit, what = self._limit()
            content = bytearray()
            async for part in self.content.iter_any():
                content += part
                if len(content) > limit:
                    self.close()
                    raise UserError(
                        f"{self.request_info.url}: the server sent more than {limit:,} bytes, "
                        f"unpacked, which is {what}; download what you need and name the copies",
                        1,
                    )
            self._body = bytes(content)
        return await super().read()

    def _limit(self) -> tuple[int, str]:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.request_info.headers.get("Range", ""))
        if asked is None:
            return MOST_BYTES, "the limit of a page that lists files"
        return int(asked[2]) - int(asked[1]) + 1, "the part of the file that it was asked for"

"""A key that must stand in no message and no answer, whatever a server sends back.

Knows nothing of where a key comes from or what is sent with it.
"""

from __future__ import annotations

import json
from base64 import b64encode
from urllib.parse import quote

_INSTEAD = "***"
_LONG = 16
"""Shorter ones are names for local servers, such as EMPTY, and stand in texts by chance."""


class Secret:
    """A key, or an empty text where there is none."""

    def __init__(self, key: str) -> None:
        forms = {key, json.dumps(key)[1:-1], quote(key, safe=""), b64encode(key.encode()).decode()}
        forms |= {form.replace("/", "\\/") for form in forms}
        self._forms = sorted(filter(None, forms), key=len, reverse=True) if key else []
        self._bytes = [form.encode() for form in self._forms] if len(key) >= _LONG else []

    def hidden(self, message: str) -> str:
        """Return a message to people, without the key."""
        for form in self._forms:
            message = message.replace(form, _INSTEAD)
        return message

    def out_of(self, reply: bytes) -> bytes:
        """Return what a server sends, without the key where it is long enough to be one for
        sure."""
        for form in self._bytes:
            reply = reply.replace(form, _INSTEAD.encode())
        return reply

"""The bytes of a reply as JSON, also where a server packs or streams it without being asked.

Pure: knows nothing of connections, and of a reply only how parts of a stream add up.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from raygen.engines.openai.reply import BadReplyError

_GZIP = b"\x1f\x8b"
_MOST_BYTES = 2**26


def unpack_reply(raw: bytes) -> Any:
    """Parse a reply: JSON, packed or plain, or the events of a stream put together.

    Raises BadReplyError and ValueError.
    """
    if raw.startswith(_GZIP):
        raw = _unzipped(raw)
    if _is_stream(raw):
        return _joined(raw)
    return json.loads(raw)


def _unzipped(raw: bytes) -> bytes:
    packed = zlib.decompressobj(wbits=31)
    try:
        plain = packed.decompress(raw, _MOST_BYTES)
    except zlib.error as error:
        raise BadReplyError(f"its gzip is damaged ({error})") from error
    if packed.unconsumed_tail:
        raise BadReplyError(f"it has more than {_MOST_BYTES:,} bytes, unpacked")
    return plain


def _is_stream(raw: bytes) -> bool:
    head = raw[:4096].lstrip()
    return head.startswith((b"data:", b"event:", b"id:", b": ", b":\n"))


def _events(raw: bytes) -> Iterator[Mapping[str, Any]]:
    for line in raw.decode("utf-8").splitlines():
        text = line.removeprefix("data:").strip()
        if line.startswith("data:") and text and text != "[DONE]":
            event = json.loads(text)
            if isinstance(event, Mapping):
                yield event


def _joined(raw: bytes) -> dict[str, Any]:
    """Put the events of a stream together; a choice without its end was broken off."""
    choices: dict[int, dict[str, Any]] = {}
    whole: dict[str, Any] = {}
    for event in _events(raw):
        if event.get("error"):
            return {"error": event["error"]}
        if event.get("usage"):
            whole["usage"] = event["usage"]
        for part in event.get("choices") or ():
            if not isinstance(part, Mapping):
                raise BadReplyError("a choice in its stream is no object")
            index = int(part.get("index") or 0)
            _add(choices.setdefault(index, {"index": index}), part)
    for choice in choices.values():
        choice.setdefault("finish_reason", "error")
    return {**whole, "choices": list(choices.values())}


def _add(choice: dict[str, Any], part: Mapping[str, Any]) -> None:
    if part.get("finish_reason"):
        choice["finish_reason"] = part["finish_reason"]
    if isinstance(part.get("text"), str):
        choice["text"] = choice.get("text", "") + part["text"]
    delta = part.get("delta") or part.get("message")
    if isinstance(delta, Mapping):
        message = choice.setdefault("message", {})
        for name, value in delta.items():
            if isinstance(value, str) and name != "role":
                message[name] = message.get(name, "") + value
    logprobs = part.get("logprobs")
    if isinstance(logprobs, Mapping):
        known = choice.setdefault("logprobs", {})
        for name, values in logprobs.items():
            if isinstance(values, list):
                known[name] = [*known.get(name, []), *values]

"""Replies that are packed or streamed without being asked for."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from raygen.engines.openai.reply import BadReplyError, ErrorReplyError, parse_completions
from raygen.engines.openai.unpacking import unpack_reply

REPLY = {"choices": [{"index": 0, "text": "dög", "finish_reason": "stop"}]}


def stream(*events: Any) -> bytes:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    return (": comment\n\n" + "".join(lines) + "data: [DONE]\n\n").encode()


def delta(index: int, finish: str | None = None, **said: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": said, "finish_reason": finish}]}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda raw: b"\n \n" + raw])
def test_a_plain_reply(pack: Any) -> None:
    assert unpack_reply(pack(json.dumps(REPLY).encode())) == REPLY


def test_a_stream_of_chats_is_put_together() -> None:
    raw = stream(
        delta(0, role="assistant", content="A "),
        delta(1, content="cat"),
        delta(0, content="dog", reasoning_content="hm"),
        delta(1, "length"),
        delta(0, "stop"),
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    )
    first, second = parse_completions(unpack_reply(raw))
    assert (first.text, first.thinking, first.finish_reason) == ("A dog", "hm", "stop")
    assert (second.text, second.finish_reason) == ("cat", "length")
    assert first.prompt_tokens == 3


def test_a_stream_that_breaks_off_has_no_whole_answer() -> None:
    raw = stream(delta(0, content="One could"))
    assert [answer.finish_reason for answer in parse_completions(unpack_reply(raw))] == ["error"]
    with pytest.raises(BadReplyError):
        parse_completions(unpack_reply(b": comment\n\n"))


def test_an_error_in_a_stream_is_one() -> None:
    raw = stream(delta(0, content="One"), {"error": {"code": 502, "message": "gone"}})
    with pytest.raises(ErrorReplyError, match="gone"):
        parse_completions(unpack_reply(raw))


@pytest.mark.parametrize("raw", [gzip.compress(b"x" * 99)[:30], b"data: {\n\n", b"\x1f\x8b", b""])
def test_damaged_bytes_are_a_bad_reply(raw: bytes) -> None:
    with pytest.raises((BadReplyError, ValueError)):
        unpack_reply(raw)


def test_a_reply_that_unpacks_to_too_much_is_a_bad_one() -> None:
    with pytest.raises(BadReplyError, match="unpacked"):
        unpack_reply(gzip.compress(b" " * (2**26 + 1), 1))

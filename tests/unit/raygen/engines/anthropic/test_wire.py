from __future__ import annotations

from typing import Any

import pytest

from raygen.engines.anthropic.wire import BadMessageError, closed, message_body, parse_message
from raygen.engines.base import Message, Request, Sampling, Thinking

CHAT = (
    Message("system", "Be brief."),
    Message("user", "1 + 1?"),
    Message("assistant", "2"),
    Message("user", "2 + 2?"),
)


def params(request: Request, *without: Any) -> dict[str, Any]:
    return dict(message_body("claude", request, frozenset(without)).params)


def texts(turns: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    return [
        (turn["role"], block["text"], "cache_control" in block)
        for turn in turns
        for block in turn["content"]
    ]


def test_the_system_text_is_apart_and_what_rows_share_is_cached() -> None:
    body = params(Request(CHAT, Sampling(max_tokens=50, stop=("\n\n",))))
    assert body["system"] == [{"type": "text", "text": "Be brief."}]
    assert texts(body["messages"]) == [
        ("user", "1 + 1?", False),
        ("assistant", "2", True),
        ("user", "2 + 2?", False),
    ]
    assert (body["max_tokens"], body["stop_sequences"]) == (50, ["\n\n"])


def test_a_lone_question_shares_its_system_text_and_several_answers_all_of_it() -> None:
    body = params(Request((CHAT[0], CHAT[1]), Sampling(n=4)))
    assert "cache_control" in body["system"][0]
    assert texts(body["messages"]) == [("user", "1 + 1?", True)]
    assert "n" not in body
    body = params(Request(CHAT, Sampling(n=4)), "cache")
    assert not any(cached for *_, cached in texts(body["messages"]))


@pytest.mark.parametrize(
    ("thinking", "expected", "most"),
    [
        (None, None, 100),
        (Thinking("auto"), None, 100),
        (Thinking("off"), {"type": "disabled"}, 100),
        (Thinking("on"), {"type": "adaptive"}, 100),
        (Thinking("on", budget=2000), {"type": "enabled", "budget_tokens": 2000}, 2100),
        (Thinking("on", budget=10), {"type": "enabled", "budget_tokens": 1024}, 1124),
    ],
)
def test_thoughts_have_a_budget_of_their_own(
    thinking: Thinking | None, expected: dict[str, Any] | None, most: int
) -> None:
    request = Request(CHAT, Sampling(max_tokens=100, temperature=0.7, thinking=thinking))
    body = message_body("claude", request)
    assert (body.params.get("thinking"), body.params["max_tokens"]) == (expected, most)
    assert ("temperature" in body.extra) == (expected is None)


def test_effort_and_schema_are_the_outputs_configuration() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}
    request = Request(CHAT, Sampling(thinking=Thinking("auto", effort="low")), schema)
    assert params(request)["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": closed(schema)},
    }
    assert closed(schema)["additionalProperties"] is False
    assert closed(schema)["properties"]["a"]["additionalProperties"] is False
    assert "output_config" not in params(request, "effort", "format")


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(temperature=0.7), {"temperature": 0.7}),
        (Sampling(temperature=None, top_p=None), {}),
        (Sampling(temperature=1.0, top_p=0.9, top_k=20), {"top_p": 0.9, "top_k": 20}),
        (Sampling(temperature=0.5, extra={"speed": "fast"}), {"temperature": 0.5, "speed": "fast"}),
    ],
)
def test_sampling_is_sent_as_far_as_it_is_set(sampling: Sampling, expected: Any) -> None:
    assert message_body("claude", Request(CHAT, sampling)).extra == expected
    kept = {k: v for k, v in expected.items() if k == "speed"}
    assert message_body("claude", Request(CHAT, sampling), frozenset({"sampling"})).extra == kept


def test_a_completion_prompt_has_no_such_form() -> None:
    with pytest.raises(ValueError, match="completion prompt"):
        message_body("claude", Request("2 + 2 ="))


def test_a_reply_has_its_thoughts_apart() -> None:
    answer = parse_message(
        {
            "content": [
                {"type": "thinking", "thinking": "Two and two. ", "signature": "x"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "Fo"},
                {"type": "text", "text": "ur"},
            ],
            "stop_reason": "max_tokens",
            "usage": {
                "input_tokens": 5,
                "cache_read_input_tokens": 90,
                "cache_creation_input_tokens": None,
                "output_tokens": 12,
                "output_tokens_details": {"thinking_tokens": 9},
            },
        }
    )
    assert (answer.text, answer.thinking, answer.finish_reason) == (
        "Four",
        "Two and two.",
        "length",
    )
    assert (answer.prompt_tokens, answer.output_tokens, answer.thinking_tokens) == (95, 12, 9)


@pytest.mark.parametrize("reason", ["refusal", "pause_turn", "something new"])
def test_other_ends_keep_their_name(reason: str) -> None:
    assert parse_message({"content": [], "stop_reason": reason}).finish_reason == reason


@pytest.mark.parametrize("reply", [{}, {"content": None}, {"content": [{"type": "text"}]}])
def test_a_reply_that_is_none_is_bad(reply: dict[str, Any]) -> None:
    with pytest.raises(BadMessageError):
        parse_message(reply)

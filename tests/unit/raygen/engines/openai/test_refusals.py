"""What the text and the status of a refusal say."""

from __future__ import annotations

import pytest

from raygen.engines.base import EngineUnavailableError
from raygen.engines.openai.dialect import Dialect, reworded
from raygen.engines.openai.refusals import (
    RefusalError,
    RetryableFailure,
    read_refusal,
)

WHERE = "engine 'e' at http://h/v1"
BODY = {
    "model": "m",
    "messages": [],
    "max_tokens": 5,
    "n": 8,
    "temperature": 0.7,
    "top_p": 1.0,
    "stop": ["x"],
    "seed": 3,
    "logprobs": True,
    "response_format": {"type": "json_schema"},
}


def refusal(status: int, text: str) -> RefusalError:
    read = read_refusal(status, text, None, WHERE, str)
    assert isinstance(read, RefusalError)
    return read


@pytest.mark.parametrize(
    ("status", "text", "reason", "message"),
    [
        (400, '{"error": {"code": "context_length_exceeded"}}', "prompt_too_long", "context"),
        (400, '{"message": "maximum context length is 2 tokens"}', "prompt_too_long", "maximum"),
        (413, "", "prompt_too_long", "nothing"),
        (400, '{"error": {"code": "content_filter", "message": "no"}}', "refused", "400: no"),
        (403, '{"error": {"message": "flagged by moderation"}}', "refused", "403: flagged"),
        (400, '[{"error": {"code": 400, "message": "bad"}}]', "bad_request", "400: bad"),
        (422, '{"detail": "temperature"}', "bad_request", "422: temperature"),
        (401, '{"error": "Incorrect key sk-a1b2***c3"}', "bad_request", "Incorrect key ***"),
        (402, '{"error": {"message": "Insufficient Balance"}}', "bad_request", "Insufficient"),
        (302, "", "bad_request", "302: nothing"),
    ],
)
def test_what_a_refusal_says(status: int, text: str, reason: str, message: str) -> None:
    read = refusal(status, text)
    assert read.reason == reason
    assert message in str(read)
    assert str(read).startswith(WHERE)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, "busy"),
        (503, "busy"),
        (529, "busy"),
        (500, "broken"),
        (502, "broken"),
        (408, "broken"),
    ],
)
def test_what_is_tried_again(status: int, kind: str) -> None:
    failure = read_refusal(status, "oops", 2.5, WHERE, str)
    assert isinstance(failure, RetryableFailure)
    assert (failure.kind, failure.retry_after, failure.answered) == (kind, 2.5, True)


def test_no_credit_is_not_waited_for() -> None:
    body = '{"error": {"code": "insufficient_quota", "message": "pay"}}'
    with pytest.raises(EngineUnavailableError, match="429: pay; add credit"):
        read_refusal(429, body, None, WHERE, str)


@pytest.mark.parametrize(
    ("text", "learned"),
    [
        ('{"error": {"message": "Unsupported", "param": "temperature"}}', {"temperature"}),
        ('{"error": {"message": "Unsupported value: \'temperature\' is 1"}}', {"temperature"}),
        ('{"error": "`temperature` and `top_p` cannot both be set"}', {"top_p"}),
        (
            (
                '{"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "no",'
                ' "input": "stop"}]}'
            ),
            {"seed"},
        ),
        ("{\"error\": {\"message\": \"[{'loc': ('body', 'stop')}]\"}}", {"stop"}),
        ('{"error": {"message": "no logprobs here"}}', {"logprobs"}),
        ('{"error": {"message": "don\'t"}}', None),
        ('{"error": {"message": "line one\\\\nline two"}}', None),
        ('{"error": {"message": "no model m"}}', None),
        ('{"error": {"message": "max_tokens is too large"}}', None),
    ],
)
def test_which_setting_a_refusal_names(text: str, learned: set[str] | None) -> None:
    other = reworded(Dialect(), BODY, refusal(400, text))
    assert (other and set(other.left_out)) == learned


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("n must be at most 4", 4),
        ("Only one completion choice is allowed", 1),
        ("Multiple candidates is not enabled for this model", 1),
        ("'n' is not taken", 4),
        ("n: Input should be less than or equal to 5", 5),
    ],
)
def test_how_many_choices_a_refusal_leaves(text: str, most: int) -> None:
    other = reworded(Dialect(), BODY, refusal(400, text))
    assert other is not None
    assert other.most == most


def test_the_names_that_a_refusal_asks_for() -> None:
    limit = reworded(Dialect(), BODY, refusal(400, "use max_completion_tokens"))
    assert limit == Dialect("max_completion_tokens")
    weaker = reworded(Dialect(), BODY, refusal(400, "response_format is not supported"))
    assert weaker == Dialect(format="json_object")

"""The OpenAI wire format."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.engines.base import Message, Request, Sampling, Score
from raygen.engines.openai.dialect import Dialect
from raygen.engines.openai.reply import BadReplyError, parse_completions, parse_scores
from raygen.engines.openai.wire import derived_seed, request_body

STRICT = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def test_a_plain_prompt_with_everything() -> None:
    sampling = Sampling(n=3, temperature=0.7, top_p=0.9, max_tokens=5, stop=("\n",), seed=4)
    assert request_body("m", Request("hi", sampling), Dialect()) == {
        "model": "m",
        "prompt": "hi",
        "n": 3,
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 5,
        "stop": ["\n"],
        "seed": 4,
        "logprobs": 1,
    }


def test_a_setting_that_is_none_is_left_out_and_extra_goes_as_it_is() -> None:
    sampling = Sampling(
        temperature=None, top_p=None, top_k=20, logit_bias={7: -1.0}, extra={"user": "u", "n": 9}
    )
    body = request_body("m", Request("hi", sampling), Dialect(left_out=frozenset({"logprobs"})))
    assert body == {
        "model": "m",
        "prompt": "hi",
        "n": 1,
        "max_tokens": 256,
        "top_k": 20,
        "logit_bias": {"7": -1.0},
        "user": "u",
    }


def test_a_chat_with_a_schema() -> None:
    request = Request((Message("user", "hi"),), Sampling(max_tokens=5), STRICT)
    body = request_body("m", request, Dialect("max_completion_tokens"))
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert body["max_completion_tokens"] == 5
    assert body["response_format"]["json_schema"] == {
        "name": "answer",
        "schema": STRICT,
        "strict": True,
    }
    assert body["logprobs"] is True
    assert "seed" not in body
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (STRICT, True),
        ({**STRICT, "additionalProperties": True}, False),
        ({**STRICT, "required": []}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({"type": "array", "items": STRICT}, True),
    ],
)
def test_strict_only_where_the_schema_allows_it(schema: dict[str, Any], strict: bool) -> None:
    body = request_body("m", Request("hi", schema=schema), Dialect())
    assert body["response_format"]["json_schema"]["strict"] is strict


def test_what_an_endpoint_does_not_take_is_left_out() -> None:
    request = Request("hi", schema=STRICT)
    left_out = frozenset({"logprobs"})
    weaker = request_body("m", request, Dialect(left_out=left_out, format="json_object"))
    assert weaker["response_format"] == {"type": "json_object"}
    assert "logprobs" not in weaker
    assert "response_format" not in request_body("m", request, Dialect(format="text"))


def test_choices_come_in_the_order_of_their_index() -> None:
    reply = {
        "choices": [
            {"index": 1, "text": "second", "finish_reason": "length"},
            {"index": 0, "text": "first one", "finish_reason": None},
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5},
    }
    first, second = parse_completions(reply)
    assert (first.text, first.finish_reason, first.prompt_tokens) == ("first one", "stop", 7)
    assert (second.text, second.finish_reason, second.prompt_tokens) == ("second", "length", 7)
    assert first.output_tokens + second.output_tokens == 5


@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=8), total=st.integers(0, 10_000))
def test_no_token_is_lost_in_the_split(texts: list[str], total: int) -> None:
    choices = [{"index": index, "text": text} for index, text in enumerate(texts)]
    reply = {"choices": choices, "usage": {"completion_tokens": total}}
    answers = parse_completions(reply)
    assert sum(answer.output_tokens for answer in answers) == total
    assert min(answer.output_tokens for answer in answers) >= 0
    assert [answer.text for answer in answers] == texts


def test_a_refusal_says_so() -> None:
    (answer,) = parse_completions(
        {"choices": [{"message": {"content": None, "refusal": "I can't"}, "finish_reason": "stop"}]}
    )
    assert (answer.text, answer.finish_reason) == ("I can't", "refusal")


@pytest.mark.parametrize(
    ("message", "text", "thinking"),
    [
        ({"content": "(B)", "reasoning_content": "\nhm\n"}, "(B)", "hm"),
        ({"content": None, "reasoning": "hm"}, "", "hm"),
        ({"content": "(B)", "reasoning_content": None}, "(B)", None),
        ({"content": "<think>hm</think>(B)"}, "<think>hm</think>(B)", None),
        ({"content": "(B)", "thinking": "hm"}, "(B)", "hm"),
        ({"content": "(B)", "reasoning": {"content": "hm"}}, "(B)", "hm"),
        (
            {"content": "(B)", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
            "(B)",
            "hm",
        ),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "(B"},
                    {"type": "text", "text": ")"},
                ]
            },
            "(B)",
            "hm",
        ),
        (
            {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "redacted_thinking"}]},
            "",
            "hm",
        ),
        ({"content": []}, "", None),
    ],
)
def test_what_a_server_tells_of_its_thoughts(
    message: dict[str, Any], text: str, thinking: str | None
) -> None:
    (answer,) = parse_completions({"choices": [{"message": message}]})
    assert (answer.text, answer.thinking) == (text, thinking)


@pytest.mark.parametrize(
    ("logprobs", "expected"),
    [
        ({"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1}]}, -1.5),
        ({"tokens": ["a", "b"], "token_logprobs": [-0.5, -0.25]}, -0.75),
        ({"tokens": ["a", "b"], "token_logprobs": [None, -0.25]}, None),
        ({"content": []}, None),
        ({"content": None}, None),
        (None, None),
        ("no", None),
    ],
)
def test_the_likelihood_of_an_answer_where_the_server_tells_it(
    logprobs: Any, expected: float | None
) -> None:
    (answer,) = parse_completions({"choices": [{"text": "ab", "logprobs": logprobs}]})
    assert answer.logprob == expected


@pytest.mark.parametrize(
    ("usage", "output"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14}, 9),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 107}, 102),
        ({"prompt_tokens": 5, "completion_tokens": 2}, 2),
        ({}, 0),
    ],
)
def test_thoughts_are_paid_for_wherever_they_are_counted(
    usage: dict[str, int], output: int
) -> None:
    (answer,) = parse_completions({"choices": [{"text": "a"}], "usage": usage})
    assert answer.output_tokens == output


@pytest.mark.parametrize(
    ("said", "meant"),
    [("MAX_TOKENS", "length"), ("eos", "stop"), (None, "stop"), ("content_filter",) * 2],
)
def test_other_words_for_why_an_answer_ends(said: str | None, meant: str) -> None:
    (answer,) = parse_completions({"choices": [{"text": "a", "finish_reason": said}]})
    assert answer.finish_reason == meant


@pytest.mark.parametrize(
    "reply",
    [
        None,
        [],
        {},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"text": 5}]},
        {"choices": [{"message": None}]},
        {"choices": "x"},
        {"choices": [{"text": "x"}], "usage": {"prompt_tokens": "many"}},
    ],
)
def test_garbage_is_a_bad_reply(reply: Any) -> None:
    with pytest.raises(BadReplyError):
        parse_completions(reply)


def test_scores_sum_the_tokens_behind_the_prompt() -> None:
    logprobs = {
        "tokens": ["Is", " it", "?", " Y", "es", "!!"],
        "token_logprobs": [None, -1.0, -2.0, -0.5, -0.25, -9.0],
        "text_offset": [0, 2, 5, 6, 8, 10],
    }
    reply = {"choices": [{"index": 0, "logprobs": logprobs}]}
    assert parse_scores(reply, "Is it?", [" Yes"]) == [Score(-0.75, 2, 5)]
    del logprobs["text_offset"]
    assert parse_scores(reply, "Is it?", [" Yes"]) == [Score(-0.75, 2, 5)]


def test_a_token_across_the_end_of_the_prompt_counts() -> None:
    logprobs = {"tokens": ["a", " b", "c"], "token_logprobs": [None, -1.0, -2.0]}
    assert parse_scores({"choices": [{"logprobs": logprobs}]}, "a ", ["bc"]) == [Score(-3.0, 2, 3)]


@pytest.mark.parametrize(
    "choices", [[], [{"logprobs": None}], [{"text": "x"}], [{"logprobs": {"token_logprobs": []}}]]
)
def test_a_reply_without_echo_gives_no_scores(choices: list[Any]) -> None:
    with pytest.raises(BadReplyError):
        parse_scores({"choices": choices}, "q", ["a"])


def test_derived_seeds_differ_and_the_first_is_the_seed() -> None:
    seeds = [derived_seed(9, index) for index in range(50)]
    assert seeds[0] == 9
    assert len(set(seeds)) == 50
    assert derived_seed(None, 3) is None


def test_thoughts_that_a_server_counted_are_shared_by_their_length() -> None:
    choices = [
        {"index": 0, "message": {"content": "(B)", "reasoning": "a thought of some length"}},
        {"index": 1, "message": {"content": "(A), without any thought"}},
    ]
    usage = {"completion_tokens": 90, "completion_tokens_details": {"reasoning_tokens": 40}}
    first, second = parse_completions({"choices": choices, "usage": usage})
    assert (first.thinking_tokens, second.thinking_tokens) == (40, 0)
    assert first.output_tokens + second.output_tokens == 90

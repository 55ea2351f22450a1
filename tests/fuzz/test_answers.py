"""Whatever a model answers is read as one option, or as none; never as another one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from string import ascii_uppercase
from typing import Any

import pytest
from hypothesis import strategies as st

from raygen.checks import check, settle
from raygen.core.answers import fold, names_option, read_answer, read_free_answer, read_gold
from raygen.engines.base import EngineUnavailableError, Request, Sampling
from raygen.engines.openai.dialect import Dialect, reworded
from raygen.engines.openai.refusals import RefusalError, read_refusal
from raygen.engines.openai.reply import (
    BadReplyError,
    ErrorReplyError,
    parse_completions,
    parse_scores,
)
from raygen.engines.openai.wire import request_body
from raygen.engines.reasoning import split_thinking
from raygen.ops.common.completions import InvalidJsonError, parse_json_answer
from tests.fuzz.cases import cases
from tests.fuzz.strategies import anything, choices, hostile, noise, values

answers = st.one_of(hostile, st.lists(hostile, max_size=5).map("\n".join))
any_choices = st.lists(hostile, min_size=2, max_size=26)

FORMATS: tuple[Callable[[str, str], str], ...] = (
    lambda letter, text: f"So the answer is ({letter.lower()}).",
    lambda letter, text: f"So the answer is ({letter}) {text}.",
    lambda letter, text: f"The correct answer is {text}.",
    lambda letter, text: f"**Answer:** {letter}",
    lambda letter, text: f"Answer: {letter}. {text}",
    lambda letter, text: f"I choose option {letter}.",
    lambda letter, text: f"Therefore, the answer is \\boxed{{{letter}}}",
    lambda letter, text: json.dumps({"reason": "It is so.", "answer": letter}),
    lambda letter, text: "```json\n" + json.dumps({"answer": text}) + "\n```",
    lambda letter, text: f"({letter.lower()})",
    lambda letter, text: f"#### {letter}",
)
REASONS = ("", "One must think.", "Milk stays fresh there, e.g. for days.", "It's 2 + 2 = 4; thus:")


@cases("answers", answers, any_choices, vary=(0, 1))
def test_any_answer_to_any_question(text: str, options: list[str]) -> None:
    read = read_answer(text, options)
    assert read.option is None or 0 <= read.option < len(options)
    assert 0 <= read.confidence <= 1
    assert (read.option is None) == (read.confidence == 0)
    assert isinstance(read.rationale, str)
    names_option(text, options[0])


@cases("answers", choices, st.data(), weight=0.1, sample=60)
def test_a_stated_answer_is_read_as_it_is_stated(options: list[str], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(options) - 1))
    say = data.draw(st.sampled_from(FORMATS))
    reason = data.draw(st.sampled_from(REASONS))
    text = f"{reason}\n{say(ascii_uppercase[index], options[index])}"
    assert read_answer(text, options).option == index


@cases("answers", choices, hostile, st.data(), weight=2.0, sample=60, vary=(1,))
def test_what_stands_before_an_answer_does_not_change_it(
    options: list[str], before: str, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(options) - 1))
    stated = f"{before.replace('{', '(')}\n\nSo the answer is ({ascii_uppercase[index]})."
    assert read_answer(stated, options).option == index


@cases("answers", noise, choices, weight=0.2, sample=60)
def test_noise_gives_no_sure_answer(text: str, options: list[str]) -> None:
    assert read_answer(text, options).confidence <= 0.5
    if len(text.split()) > 5:
        assert read_free_answer(text).confidence <= 0.5


@cases("answers", answers, choices, st.integers(0, 60), vary=(0, 2))
def test_any_answer_that_is_cut_off(text: str, options: list[str], at: int) -> None:
    read = read_answer(text[:at], options, cut_off=True)
    assert read.confidence == 0 or read.confidence >= 0.66
    read_free_answer(text[:at], cut_off=True)
    gold = read_gold(text)
    assert gold.text in (text.strip(), fold(gold.text)) or gold.text in text


@cases("answers", answers, vary=(0,))
def test_any_text_is_as_long_when_folded(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert len(fold(text).lower()) == len(text)


@cases("answers", answers, vary=(0,))
def test_any_free_answer(text: str) -> None:
    read = read_free_answer(text)
    assert (read.text is None) == (read.confidence == 0)
    assert 0 <= read.confidence <= 1


@cases("pairs", answers, answers, vary=(0, 1))
def test_any_two_answers_are_compared(one: str, other: str) -> None:
    for how in ("math", "number", "exact", "option"):
        settle(one, other, how, ("sand", "snow"))
    forth, back = settle(one, other, "math"), settle(other, one, "math")
    if forth is not None and back is not None:
        assert forth.correct == back.correct


@cases(
    "answers", st.integers(-(10**9), 10**9), st.sampled_from(REASONS[:3]), weight=0.5, sample=15,
    vary=(0,),
)  # fmt: skip
def test_a_stated_number_is_read_as_it_is_stated(number: int, reason: str) -> None:
    for text in (f"The answer is {number:,}.", f"#### {number}", f'{{"answer": {number}}}'):
        read = read_free_answer(f"{reason}\n{text}")
        assert read.text is not None
        assert check(read.text, str(number), "number").correct


SCHEMA = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["score"],
}


@cases(
    "answers",
    st.one_of(answers, values.map(json.dumps), values.map(lambda v: json.dumps({"score": v}))),
    weight=1.5,
    vary=(0,),
)
def test_any_structured_answer(text: str) -> None:
    try:
        value = parse_json_answer(text, SCHEMA)
    except InvalidJsonError as error:
        assert error.reject.reason == "invalid_json"
        assert error.reject.detail
    else:
        assert math.isfinite(value["score"])
        assert not isinstance(value["score"], bool)


@cases("answers", answers, answers, weight=0.5, sample=15, vary=(0, 1))
def test_any_thoughts(text: str, after: str) -> None:
    thoughts, answer = split_thinking(f"{text}</think>{after}")
    assert thoughts is not None
    assert "</think>" not in answer
    assert split_thinking(answer)[1] in (answer, "")


replies = st.one_of(
    values,
    st.builds(
        lambda choices, usage: {"choices": choices, "usage": usage},
        st.lists(
            st.one_of(
                values,
                st.fixed_dictionaries({"index": values, "text": hostile | values}),
                st.fixed_dictionaries({"message": values, "finish_reason": values}),
                st.fixed_dictionaries(
                    {
                        "message": st.fixed_dictionaries({"content": hostile | values}),
                        "logprobs": values,
                    }
                ),
            ),
            max_size=3,
        ),
        values | st.fixed_dictionaries({"prompt_tokens": values, "completion_tokens": values}),
    ),
)


@cases("replies", replies, weight=1.5, sample=45, vary=(0,))
def test_any_reply_of_an_endpoint(reply: Any) -> None:
    try:
        for answer in parse_completions(reply):
            assert isinstance(answer.text, str)
            assert answer.prompt_tokens >= 0
            assert answer.output_tokens >= 0
    except (BadReplyError, ErrorReplyError) as error:
        assert str(error)
    try:
        parse_scores(reply, "prompt", ["a", "b"])
    except BadReplyError as error:
        assert str(error)


@cases(
    "replies",
    st.integers(201, 599),
    st.one_of(hostile, replies.map(json.dumps), anything),
    vary=(1,),
)
def test_any_refusal_of_an_endpoint(status: int, body: str) -> None:
    try:
        refusal = read_refusal(status, body, None, "engine 't'", str)
    except EngineUnavailableError as error:
        assert str(error)
        return
    if isinstance(refusal, RefusalError):
        assert str(refusal)
        sent = request_body("m", Request("q", Sampling(n=3, seed=1)), Dialect())
        assert reworded(Dialect(), sent, refusal) != Dialect()


@pytest.mark.parametrize(
    "unit",
    [
        "\n", " ", "best ", "the answer ", "answer is ", "(a) ", "a, ", "a or ", "{", '{"a":',
        '{"answer":"',
        "\\boxed{", "not ", "so ", "**", "1,", "- ", "is ", "the most ", "<think>",
        "(a", "I choose ",
        "answer to ", ";\n", "a\n", "neither a nor ", "because ", "- answer -", '"',
    ],
)  # fmt: skip
def test_a_degenerate_answer_of_a_megabyte_is_read(unit: str) -> None:
    """A model that says the same for ever; the limit of the whole test is what could fail it."""
    text = "x" + unit * (1_000_000 // len(unit)) + "x"
    options = ["river bank", "the sky", "a"]
    assert read_answer(text, options).option in (None, 0, 1, 2)
    assert read_free_answer(text).confidence <= 1
    split_thinking(text)

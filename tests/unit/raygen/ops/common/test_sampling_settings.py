"""Sampling and thinking as ops take them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from raygen.engines.base import Sampling, Thinking
from raygen.ops.common.request_params import SamplingParams


def params(**given: Any) -> SamplingParams:
    """As a recipe gives them: strictly, from JSON."""
    return SamplingParams.model_validate_json(json.dumps(given), strict=True)


def test_unset_settings_are_no_part_of_what_is_hashed() -> None:
    written = set(SamplingParams().model_dump(mode="json"))
    old = {"chat", "n", "temperature", "top_p", "max_tokens", "stop", "seed", "thinking"}
    assert written == old


def test_every_setting_reaches_the_request() -> None:
    given: dict[str, Any] = {
        "temperature": None,
        "top_p": None,
        "top_k": 20,
        "min_p": 0.1,
        "presence_penalty": 1.5,
        "frequency_penalty": -0.5,
        "repetition_penalty": 1.05,
        "extra": {"bad_words": ["x"]},
    }
    asked = params(**given, logit_bias={"7": -100}).sampling(3)
    assert asked == Sampling(seed=3, logit_bias={7: -100.0}, **given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"top_k": -2},
        {"min_p": 1.5},
        {"presence_penalty": 3},
        {"frequency_penalty": -3},
        {"repetition_penalty": 0},
        {"logit_bias": {"7": 101}},
        {"logit_bias": {"word": 1}},
        {"thinking": {"budget": 0}},
        {"thinking": {"mode": "maybe"}},
        {"thinking": {"keep": "both"}},
    ],
)
def test_values_that_no_backend_takes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        params(**wrong)


@pytest.mark.parametrize("short", ["drop", "column"])
def test_keeping_thoughts_alone_is_the_word_that_it_was(short: str) -> None:
    old, new = params(thinking=short), params(thinking={"keep": short})
    assert old == new
    assert new.model_dump(mode="json")["thinking"] == short
    assert new.sampling(0).thinking is None
    assert new.keeps_thoughts is (short == "column")


def test_a_thought_has_its_budget_beside_the_answer() -> None:
    thinks = params(max_tokens=50, thinking={"mode": "on", "budget": 400, "keep": "column"})
    assert thinks.sampling(0).thinking == Thinking("on", 400)
    assert thinks.sampling(0).most_tokens == thinks.cost().max_tokens == 450
    assert thinks.keeps_thoughts
    assert params(max_tokens=50, thinking={"mode": "on"}).cost().max_tokens == 100
    assert params(max_tokens=50, thinking={"mode": "off"}).cost().max_tokens == 50

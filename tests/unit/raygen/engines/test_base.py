"""Sampling: what of it decides a call's identity."""

from __future__ import annotations

import json
from typing import Any

import pytest

from raygen.core.row import digest
from raygen.engines.base import Sampling, Thinking

OLD = {"n": 2, "temperature": 1.0, "top_p": 1.0, "max_tokens": 8, "stop": ("\n",), "seed": 3}


def test_calls_of_the_first_version_keep_their_identity() -> None:
    settings = Sampling(n=2, max_tokens=8, seed=3, stop=("\n",)).settings()
    written = (
        '{"n": 2, "temperature": 1.0, "top_p": 1.0, "max_tokens": 8, "stop": ["\\n"], "seed": 3}'
    )
    assert json.dumps(settings) == written
    # Written by raygen 0.1.0.
    call_id = "530ba866f91abb7a3f4b197aaa7f2734"
    assert digest("generate", "m", "r", "Why?", True, settings) == call_id


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ({"top_k": 20, "min_p": 0.0}, {"top_k": 20, "min_p": 0.0}),
        ({"presence_penalty": 1.5}, {"presence_penalty": 1.5}),
        ({"logit_bias": {7: -100.0}}, {"logit_bias": {"7": -100.0}}),
        ({"logit_bias": {}, "extra": {}}, {}),
        ({"extra": {"bad_words": ["x"]}}, {"extra": {"bad_words": ["x"]}}),
        ({"thinking": Thinking("on", 64)}, {"thinking": {"mode": "on", "budget": 64}}),
        ({"temperature": None, "top_p": None}, {"temperature": None, "top_p": None}),
    ],
)
def test_a_setting_that_is_set_is_part_of_it(given: dict[str, Any], added: dict[str, Any]) -> None:
    sampling = Sampling(n=2, max_tokens=8, seed=3, stop=("\n",), **given)
    assert sampling.settings() == {**OLD, **added}

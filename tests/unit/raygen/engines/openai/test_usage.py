"""Tokens and cost of replies, with and without what a provider reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raygen.engines.base import Completion, EngineSpec, Message, Request, Sampling
from raygen.engines.openai.engine import OpenAIEngine
from raygen.engines.openai.usage import UsageCounter, cached_tokens, reported_cost
from tests.support.provider import ANSWER, Manners, provider

CHAT = (Message("user", "Which animal barks?"),)


@pytest.mark.parametrize(
    ("usage", "cached", "cost"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 7}, "cost": 0.25}, 7, 0.25),
        ({"prompt_cache_hit_tokens": 0, "cost": {"total_cost": 1}}, 0, 1.0),
        ({"prompt_tokens_details": None, "cost": "free"}, None, None),
        ({"cost": -1.0}, None, None),
        ({}, None, None),
    ],
)
def test_what_a_provider_reports(usage: dict[str, Any], cached: Any, cost: Any) -> None:
    assert (cached_tokens(usage), reported_cost(usage)) == (cached, cost)


def test_tokens_that_nobody_counted_are_estimated_and_marked_so() -> None:
    counter = UsageCounter("no-such/model-anywhere", None)
    assert counter.note == ""
    (answer,) = counter.counted("a prompt", [Completion("ünd", thinking="12345678")])
    assert (answer.prompt_tokens, answer.output_tokens, answer.thinking_tokens) == (2, 3, 2)
    assert answer.counted_by == "estimate"
    assert "4 bytes" in counter.note
    (known,) = counter.counted("a prompt", [Completion("x", prompt_tokens=9)])
    assert known.counted_by == "backend"


def test_the_models_own_tokenizer_counts_where_it_is_here(word_tokenizer: Path) -> None:
    counter = UsageCounter(str(word_tokenizer), None)
    (answer,) = counter.counted("a a a", [Completion("a a")])
    assert (answer.prompt_tokens, answer.output_tokens) == (3, 2)
    assert answer.counted_by == "tokenizer"


async def test_an_endpoint_without_usage_is_counted_and_says_so() -> None:
    with provider(Manners(usage=False)) as server:
        spec = EngineSpec("teacher", "m", backend="openai", args={"base_url": server.url})
        engine = await OpenAIEngine.start(spec, first_wait=0.001)
        first, second = await engine.generate(Request(CHAT, Sampling(n=2)))
        await engine.close()
    assert first.output_tokens == second.output_tokens == -(-len(ANSWER) // 4)
    assert first.prompt_tokens > 4
    assert [note for note in engine.notes if "no usage" in note] == list(engine.notes)


@pytest.fixture
def word_tokenizer(tmp_path: Path) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = Tokenizer(WordLevel({"a": 0, "?": 1}, unk_token="?"))
    words.pre_tokenizer = Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    return tmp_path

"""Letters scored after a chat, against a fake provider."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from raygen.engines.base import EngineSetupError, EngineSpec, Message
from raygen.engines.openai.engine import OpenAIEngine
from tests.support.provider import Manners, Provider, provider

CHAT = (Message("system", "One letter."), Message("user", "Which? A. sand B. snow"))


@asynccontextmanager
async def asked(server: Provider) -> AsyncIterator[OpenAIEngine]:
    spec = EngineSpec("teacher", "m", backend="openai", args={"base_url": server.url})
    engine = await OpenAIEngine.start(spec, first_wait=0.001)
    try:
        yield engine
    finally:
        await engine.close()


def listing(**logprobs: float) -> dict[str, Any]:
    entries = [{"token": token, "logprob": logprob} for token, logprob in logprobs.items()]
    entries.append({"token": " B", "logprob": math.log(0.1)})
    return {"logprobs": {"content": [{"token": "B", "logprob": -1, "top_logprobs": entries}]}}


async def test_the_first_tokens_log_probabilities_are_read_in_one_request() -> None:
    choice = listing(B=math.log(0.6), A=math.log(0.2))
    with provider(Manners(choice=choice)) as server:
        async with asked(server) as engine:
            scores = await engine.score(CHAT, ["A", "B", "C"])
        (body,) = server.bodies
    assert [math.exp(score.logprob) for score in scores] == pytest.approx([0.2, 0.7, 0.1])
    assert [score.read for score in scores] == [10, 0, 0]
    assert (body["max_tokens"], body["logprobs"], body["top_logprobs"]) == (1, True, 20)
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


@pytest.mark.parametrize("refused", [frozenset(), frozenset({"top_logprobs", "logprobs"})])
async def test_without_them_letters_are_voted_on_and_that_is_said_once(
    refused: frozenset[str],
) -> None:
    manners = Manners(refused=refused, answer=lambda _: "**B**.")
    with provider(manners) as server:
        async with asked(server) as engine:
            first = await engine.score(CHAT, ["A", "B", "C"])
            await engine.score(CHAT, ["A", "B"])
            notes = [note for note in engine.notes if "by a vote of 16 answers" in note]
    assert len(notes) == 1
    a, b, c = (math.exp(score.logprob) for score in first)
    assert a == c < 0.05
    assert b > 0.9


async def test_only_letters_can_be_scored() -> None:
    with provider() as server:
        async with asked(server) as engine:
            with pytest.raises(EngineSetupError, match="only the letters of options"):
                await engine.score(CHAT, ["sand", "snow"])

"""Settings of sampling, and thoughts with a budget, on tiny random models in transformers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import torch

from raygen.engines.base import Engine, EngineSpec, Message, Request, Sampling, Thinking
from raygen.engines.registry import start_engine
from raygen.engines.transformers.generation import sample_next_tokens
from raygen.engines.transformers.penalties import penalised

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHAT = (Message("user", "Why is the sky blue?"),)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(thinking_model: Path) -> AsyncIterator[Engine]:
    started = await start_engine(EngineSpec("t", str(thinking_model), backend="transformers"))
    yield started
    await started.close()


def drawn(logits: list[float], sampling: Sampling) -> set[int]:
    """Every token that some draw gives."""
    draws = [at / 200 for at in range(200)]
    rows = torch.tensor([logits] * len(draws))
    return set(sample_next_tokens(rows, [sampling] * len(draws), draws).tolist())


@pytest.mark.parametrize(
    ("sampling", "tokens"),
    [
        (Sampling(), {0, 1, 2, 3}),
        (Sampling(temperature=None, top_p=None), {0, 1, 2, 3}),
        (Sampling(top_k=2), {1, 3}),
        (Sampling(top_k=0), {0, 1, 2, 3}),
        (Sampling(top_k=-1), {0, 1, 2, 3}),
        (Sampling(top_k=9), {0, 1, 2, 3}),
        (Sampling(min_p=0.5), {1, 3}),
        (Sampling(min_p=0.0), {0, 1, 2, 3}),
        (Sampling(top_k=3, top_p=0.5), {3}),
        (Sampling(temperature=0.0, top_k=3), {3}),
    ],
)
async def test_which_tokens_may_be_drawn(sampling: Sampling, tokens: set[int]) -> None:
    assert drawn([0.0, 2.0, 1.0, 2.5], sampling) == tokens


async def test_penalties_are_those_of_vllm_and_openai() -> None:
    logits = torch.tensor([[1.0, -1.0, 2.0, 0.0]] * 5)
    samplings = [
        Sampling(),
        Sampling(logit_bias={3: 5.0}),
        Sampling(repetition_penalty=2.0),
        Sampling(presence_penalty=0.5),
        Sampling(frequency_penalty=0.5),
    ]
    changed = penalised(logits, samplings, [[1]] * 5, [[2, 2]] * 5)
    assert changed.tolist() == [
        [1.0, -1.0, 2.0, 0.0],
        [1.0, -1.0, 2.0, 5.0],
        [1.0, -2.0, 1.0, 0.0],
        [1.0, -1.0, 1.5, 0.0],
        [1.0, -1.0, 1.0, 0.0],
    ]
    assert logits.tolist() == [[1.0, -1.0, 2.0, 0.0]] * 5


async def test_a_thought_has_its_budget_and_the_answer_its_own_tokens(engine: Engine) -> None:
    sampling = Sampling(n=8, max_tokens=12, seed=1, thinking=Thinking("on", 20))
    for answer in await engine.generate(Request(CHAT, sampling)):
        assert answer.thinking
        assert 1 < answer.thinking_tokens <= 21, "its closing tag is one token"
        assert 0 < answer.output_tokens - answer.thinking_tokens <= 12
        assert "<think>" not in answer.thinking + answer.text
    (alone,) = await engine.generate(Request(CHAT, Sampling(max_tokens=12, seed=1)))
    assert alone.thinking is None
    assert alone.thinking_tokens == 0


async def test_a_thought_leaves_the_answer_room_in_what_the_model_takes(engine: Engine) -> None:
    sampling = Sampling(max_tokens=12, seed=1, thinking=Thinking("on", 10_000))
    (answer,) = await engine.generate(Request(CHAT, sampling))
    assert answer.thinking_tokens < answer.output_tokens


async def test_a_greedy_thought_that_repeats_itself_ends_before_its_budget(engine: Engine) -> None:
    sampling = Sampling(max_tokens=400, temperature=0.0, thinking=Thinking("on", 400))
    (answer,) = await engine.generate(Request(CHAT, sampling))
    assert answer.output_tokens < 400, "a tiny model repeats itself within a few tokens"


async def test_an_off_switch_is_what_the_template_calls_it(engine: Engine) -> None:
    off, on = (Sampling(max_tokens=4, thinking=Thinking(mode, 4)) for mode in ("off", "on"))
    (silent,), (loud,) = await asyncio.gather(
        engine.generate(Request(CHAT, off)), engine.generate(Request(CHAT, on))
    )
    assert silent.thinking is None
    assert silent.output_tokens <= 4
    assert loud.thinking is not None


async def test_a_stop_in_a_thought_is_no_stop(engine: Engine) -> None:
    sampling = Sampling(max_tokens=12, seed=1, thinking=Thinking("on", 20))
    (free,) = await engine.generate(Request(CHAT, sampling))
    assert free.thinking is not None
    stop = free.thinking[3]
    (held,) = await engine.generate(
        Request(CHAT, Sampling(max_tokens=12, seed=1, stop=(stop,), thinking=Thinking("on", 20)))
    )
    assert held.thinking == free.thinking
    assert stop not in held.text

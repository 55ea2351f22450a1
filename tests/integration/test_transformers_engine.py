"""The transformers engine on the bundled models: a causal one that says sense, and an encoder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from raygen.engines.base import (
    Attributor,
    Classifier,
    Engine,
    EngineSpec,
    Message,
    Request,
    Sampling,
)
from raygen.engines.models.bundled import model_path
from raygen.engines.registry import start_engine

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.bundled]
SMOLLM = "bundled:smollm2-135m-instruct"
TEXT = "Question: Where is milk kept cold?\nBecause milk must stay cold, it is kept in the"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    spec = EngineSpec("teacher", SMOLLM, backend="transformers", args={"steps": 8})
    started = await start_engine(spec)
    yield started
    await started.close()


async def test_it_says_and_scores_sense(engine: Engine) -> None:
    greedy = Sampling(max_tokens=6, temperature=0.0)
    (plain,) = await engine.generate(Request("The capital of France is", greedy))
    assert "Paris" in plain.text
    assert plain.logprob is not None
    assert -10 < plain.logprob < 0
    (chat,) = await engine.generate(
        Request((Message("user", "What is the capital of France?"),), greedy)
    )
    assert chat.text
    found = await engine.score("The capital of France is", [" Paris", " milk", " blue"])
    assert max(found, key=lambda score: score.logprob) == found[0]


async def test_many_requests_share_batches_and_keep_their_answers(engine: Engine) -> None:
    requests = [
        Request(f"{number} plus one is", Sampling(n=2, max_tokens=4, seed=number))
        for number in range(6)
    ]
    together = await asyncio.gather(*(engine.generate(request) for request in requests))
    for request, answers in list(zip(requests, together, strict=True))[::5]:
        alone = await engine.generate(request)
        assert [a.text for a in alone] == [a.text for a in answers]


async def test_it_knows_which_words_are_near_and_which_matter(engine: Engine) -> None:
    assert isinstance(engine, Attributor)
    near = await engine.nearest("fridge", 15)
    assert len(near) == 15
    assert {"refrigerator", "freezer", "refrigeration", "fridge"} & {word.lower() for word in near}
    start = TEXT.index("Because")
    scores = await engine.attribute(TEXT, start, " fridge")
    assert [token.text for token in scores[:2]] == ["Because", "milk"]
    assert len({token.score for token in scores}) == len(scores)


async def test_an_encoder_with_a_head_classifies(tmp_path: Path) -> None:
    """The bundled encoder, with a head whose weights are drawn here."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = model_path("bundled:minilm-l6")
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1}
    )
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    engine = await start_engine(EngineSpec("judge", str(tmp_path), backend="transformers"))
    assert isinstance(engine, Classifier)
    first, second = await asyncio.gather(engine.classify("Yes."), engine.classify("Never. " * 9))
    await engine.close()
    assert list(first) == ["no", "yes"]
    assert sum(first.values()) == pytest.approx(1)
    assert first != second

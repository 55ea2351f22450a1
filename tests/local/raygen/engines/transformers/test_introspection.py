"""Integrated gradients and nearest words of the transformers engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from raygen.engines.base import Attributor, EngineSpec, RequestRefusedError
from raygen.engines.registry import start_engine
from raygen.engines.transformers.introspection import WordEmbeddings, integrated_gradients

pytestmark = pytest.mark.asyncio(loop_scope="module")
TEXT = "Why is the sky blue? Light is scattered by the air."


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    """The tiny model, its weights made large so that what it reads changes what it says."""
    loaded = AutoModelForCausalLM.from_pretrained(tiny_model).requires_grad_(requires_grad=False)
    for weights in loaded.parameters():
        weights *= 8 if weights.dim() > 1 else 1
    return loaded


@pytest.fixture(scope="module")
def tokens(tiny_model: Path) -> list[int]:
    ids: list[int] = AutoTokenizer.from_pretrained(tiny_model).encode(TEXT + " So (B).")
    return ids


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tiny_model: Path) -> AsyncIterator[Attributor]:
    started = await start_engine(EngineSpec("tiny", str(tiny_model), backend="transformers"))
    assert isinstance(started, Attributor)
    yield started
    await started.close()


def log_probability(model: Any, tokens: list[int], target: int, scale: torch.Tensor) -> float:
    """Of the target, where each token's embedding is scaled so much."""
    with torch.no_grad():
        inputs = model.get_input_embeddings()(torch.tensor([tokens])) * scale[None, :, None]
        logs = torch.log_softmax(model(inputs_embeds=inputs).logits[0], dim=-1)
    return sum(float(logs[at - 1, tokens[at]]) for at in range(target, len(tokens)))


@pytest.mark.parametrize("positions", [[3], [2, 5, 6], list(range(1, 15))])
async def test_scores_add_up_to_the_change_from_the_baseline(
    model: Any, tokens: list[int], positions: list[int]
) -> None:
    target = len(tokens) - 3
    scores = integrated_gradients(model, tokens, target, positions, steps=256, batch=50)
    unscaled = torch.ones(len(tokens))
    baseline = unscaled.clone()
    baseline[positions] = 0
    change = log_probability(model, tokens, target, unscaled) - log_probability(
        model, tokens, target, baseline
    )
    assert abs(change) > 0.05
    assert sum(scores) == pytest.approx(change, abs=0.01)
    assert len(scores) == len(positions)


async def test_the_batch_does_not_matter(model: Any, tokens: list[int]) -> None:
    positions = [2, 3, 4]
    at_once = integrated_gradients(model, tokens, 12, positions, steps=20, batch=64)
    in_batches = integrated_gradients(model, tokens, 12, positions, steps=20, batch=3)
    assert in_batches == pytest.approx(at_once, abs=1e-4)


class Additive(torch.nn.Module):
    """A model that says log-odds of token 1 over token 0: a fixed sum over all embeddings."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(3, 4)
        self.direction = torch.tensor([1.0, -2.0, 0.5, 3.0])

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.embedding

    def forward(self, inputs_embeds: torch.Tensor, **_: Any) -> Any:
        summed = (inputs_embeds @ self.direction).cumsum(dim=1)
        # exp(summed) is the chance of token 1, so its logarithm is linear in the embeddings.
        logits = torch.stack([torch.log1p(-summed.exp()), summed], dim=-1)
        return type("Output", (), {"logits": logits})


async def test_a_linear_function_gives_each_token_its_own_term() -> None:
    model = Additive()
    model.embedding.weight.data = torch.tensor(
        [[0.0, 0.1, 0, 0], [-0.1, 0, 0, -0.1], [0, 0, -0.4, 0]]
    )
    scores = integrated_gradients(model, [0, 1, 2, 1], 3, [0, 2], steps=4, batch=4)
    assert scores == pytest.approx([-0.2, -0.2], abs=1e-5)


async def test_tokens_are_located_in_the_text(engine: Attributor) -> None:
    start = TEXT.index("Light")
    scores = await engine.attribute(TEXT, start, " So the answer is (B).")
    assert all(token.text == TEXT[token.start : token.end] for token in scores)
    assert "".join(token.text for token in scores) == TEXT[start:].replace(" ", "")
    assert len({token.score for token in scores}) == len(scores)
    all_scores = await engine.attribute(TEXT, 0, " So the answer is (B).")
    assert all_scores[0].start == 0
    assert len(all_scores) > len(scores)


@pytest.mark.parametrize(("start", "target"), [(0, ""), (len(TEXT), " x")])
async def test_nothing_to_attribute_is_refused(engine: Attributor, start: int, target: str) -> None:
    with pytest.raises(RequestRefusedError, match="bad_request"):
        await engine.attribute(TEXT, start, target)


class Vocabulary:
    """A fake tokenizer with a few words."""

    pieces = ("Ġcold", "Ġice", "Ġhot", "Ġ,", "ing", "ĠCold", "Ġsun")

    def get_vocab(self) -> dict[str, int]:
        return {piece: at for at, piece in enumerate(self.pieces)}

    def convert_tokens_to_string(self, pieces: list[str]) -> str:
        return "".join(pieces).replace("Ġ", " ")

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        return [0, 4] if text == "colding" else [3]


async def test_the_nearest_words_are_whole_and_each_is_there_once() -> None:
    vectors = [[1.0, 0], [0.9, 0.1], [-1, 0], [1, 0], [0, 1], [1, 0.01], [-0.2, -1]]
    model = torch.nn.Module()
    model.get_input_embeddings = lambda: torch.nn.Embedding.from_pretrained(  # type: ignore[assignment]
        torch.tensor(vectors) * torch.tensor([[1.0], [9], [1], [1], [1], [1], [5]])
    )
    words = WordEmbeddings(model, Vocabulary())
    assert words.nearest("cold", 2) == ["ice", "sun"]
    assert words.nearest("COLD", 9) == ["ice", "sun", "hot"]
    assert words.nearest("colding", 1) == ["ice"]


async def test_the_engine_knows_words(engine: Attributor) -> None:
    words = await engine.nearest("fridge", 5)
    assert len(words) == 5
    assert all(word.isalpha() for word in words)

"""The transformers engine on tiny random models with an encoder and a decoder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch

from raygen.engines.base import (
    Engine,
    EngineSetupError,
    EngineSpec,
    Request,
    RequestRefusedError,
    Sampling,
)
from raygen.engines.registry import abilities, start_engine
from tests.local.streamtrain.models.test_seq2seq import family

PROMPTS = ["Where would you", "a", "The answer is one of them, because", "Why?"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module", params=["t5", "bart"])
def folder(
    request: pytest.FixtureRequest,
    tiny_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    return family(request.param, tmp_path_factory.mktemp("seq2seq"), tiny_model)


def spec(folder: Path, **args: Any) -> EngineSpec:
    return EngineSpec("tiny", str(folder), backend="transformers", args=args)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(folder: Path) -> AsyncIterator[Engine]:
    started = await start_engine(spec(folder, batch_size=3))
    yield started
    await started.close()


def reference(folder: Path) -> tuple[Any, Any]:
    """The same model and its tokenizer, straight from transformers."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    return model, AutoTokenizer.from_pretrained(folder)


async def test_greedy_answers_are_transformers_own(engine: Engine, folder: Path) -> None:
    sampling = Sampling(max_tokens=12, temperature=0.0)
    answers = await asyncio.gather(*(engine.generate(Request(p, sampling)) for p in PROMPTS))
    model, tokenizer = reference(folder)
    model.generation_config.forced_eos_token_id = None
    for prompt, (answer,) in zip(PROMPTS, answers, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            (written,) = model.generate(input_ids=ids, max_new_tokens=12, do_sample=False)
            logits = model(input_ids=ids, decoder_input_ids=written[None, :-1]).logits[0]
            likely = torch.log_softmax(logits, dim=-1).max(dim=-1)
        assert likely.indices.tolist() == written[1:].tolist()
        assert answer.output_tokens == len(written) - 1
        assert answer.logprob == pytest.approx(likely.values.sum().item(), rel=1e-4)
        assert answer.text == tokenizer.decode(written, skip_special_tokens=True).rstrip("\ufffd")
        assert answer.prompt_tokens == ids.shape[1]


async def test_an_answer_has_the_probability_that_the_model_gives_it(
    engine: Engine, folder: Path
) -> None:
    """Drawn at temperature 1, so that its log-probability is what it was drawn by."""
    sampling = Sampling(n=40, max_tokens=1, temperature=1.0, seed=3)
    answers = await engine.generate(Request(PROMPTS[0], sampling))
    model, tokenizer = reference(folder)
    ids = tokenizer(PROMPTS[0], return_tensors="pt")["input_ids"]
    start = torch.tensor([[model.config.decoder_start_token_id]])
    with torch.inference_mode():
        logits = model(input_ids=ids, decoder_input_ids=start).logits[0, -1]
    known = torch.log_softmax(logits, dim=-1)
    assert len({answer.text for answer in answers}) > 5
    for answer in answers:
        assert answer.logprob is not None
        assert float((known - answer.logprob).abs().min()) < 1e-4


async def test_samples_are_the_same_in_any_batch(engine: Engine) -> None:
    requests = [
        Request(prompt, Sampling(n=3, max_tokens=8, seed=number))
        for number, prompt in enumerate(PROMPTS)
    ]
    together = await asyncio.gather(*(engine.generate(request) for request in requests))
    for request, answers in zip(requests, together, strict=True):
        alone = await engine.generate(request)
        assert [answer.text for answer in alone] == [answer.text for answer in answers]
        assert len({answer.text for answer in answers}) > 1


async def test_it_writes_and_does_nothing_else(engine: Engine, folder: Path) -> None:
    assert abilities(spec(folder)) == {"generate"}
    with pytest.raises(EngineSetupError, match="can't score texts; name a causal model"):
        await engine.score("a", ["b"])
    with pytest.raises(RequestRefusedError, match="the prompt is empty"):
        await engine.generate(Request(""))


async def test_the_lengths_of_prompt_and_answer_are_apart(folder: Path) -> None:
    engine = await start_engine(spec(folder, max_model_len=16))
    prompt = "a b c d e f g"
    (answer,) = await engine.generate(Request(prompt, Sampling(max_tokens=15, seed=0)))
    assert answer.prompt_tokens + answer.output_tokens > 16
    with pytest.raises(RequestRefusedError, match="takes 16"):
        await engine.generate(Request(prompt * 3))
    await engine.close()


async def test_a_decoder_that_cannot_begin_is_refused(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = reference(folder)
    model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = None
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(EngineSetupError, match="no decoder_start_token_id"):
        await start_engine(spec(tmp_path))

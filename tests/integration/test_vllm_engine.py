"""The vllm engine on a tiny model with an adapter; a plain one answers in `test_apply_vllm.py`."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path

import pytest

from raygen.engines.base import (
    Engine,
    EngineDeadError,
    EngineSetupError,
    EngineSpec,
    Message,
    Request,
    RequestRefusedError,
    Sampling,
    Thinking,
    TokenPredictor,
)
from raygen.engines.registry import start_engine
from raygen.engines.vllm.engine import VLLMEngine
from tests.support.engine_faults import outcome

pytestmark = pytest.mark.asyncio(loop_scope="session")
SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}, "size": {"enum": ["big", "small"]}},
    "required": ["ok", "size"],
    "additionalProperties": False,
}


@pytest.fixture
def engine(vllm_engine: Engine) -> Engine:
    return vllm_engine


async def test_n_completions_of_one_request(engine: Engine) -> None:
    answers = await engine.generate(Request("Where is", Sampling(n=5, max_tokens=8, seed=1)))
    assert len(answers) == 5
    assert len({answer.text for answer in answers}) > 1
    assert {answer.prompt_tokens for answer in answers} == {answers[0].prompt_tokens}
    assert all(1 <= answer.output_tokens <= 8 for answer in answers)
    assert {answer.finish_reason for answer in answers} <= {"stop", "length"}


async def test_the_same_seed_gives_the_same_texts(engine: Engine) -> None:
    async def texts(seed: int) -> list[str]:
        request = Request("What do people", Sampling(n=3, max_tokens=8, seed=seed))
        return [answer.text for answer in await engine.generate(request)]

    assert await texts(7) == await texts(7)
    assert await texts(7) != await texts(1000)


async def test_a_stop_ends_the_text_and_is_left_out(engine: Engine) -> None:
    request = Request("a", Sampling(max_tokens=60, seed=3))
    (whole,) = await engine.generate(request)
    stop = whole.text[10:12]
    (cut,) = await engine.generate(Request("a", Sampling(max_tokens=60, seed=3, stop=(stop,))))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish_reason == "stop"


async def test_a_chat_is_rendered_with_the_template(engine: Engine) -> None:
    chat = (Message("system", "Be brief."), Message("user", "Why is the sky blue?"))
    sampling = Sampling(max_tokens=8, temperature=0.0)
    (said,) = await engine.generate(Request(chat, sampling))
    rendered = "<|system|>Be brief.\n<|user|>Why is the sky blue?\n<|assistant|>"
    (plain,) = await engine.generate(Request(rendered, sampling))
    assert said == plain


async def test_a_schema_holds_the_answer(engine: Engine) -> None:
    answers = await engine.generate(
        Request("Answer:", Sampling(n=2, max_tokens=60, seed=2), SCHEMA)
    )
    found = [json.loads(answer.text) for answer in answers if answer.finish_reason == "stop"]
    assert found
    assert all(isinstance(f["ok"], bool) and f["size"] in ("big", "small") for f in found)


async def test_the_grammar_starts_after_the_thought(engine: Engine) -> None:
    chat = (Message("user", "Why is the sky blue?"),)
    sampling = Sampling(n=3, max_tokens=60, seed=2, thinking=Thinking("on", 16))
    answers = await engine.generate(Request(chat, sampling, SCHEMA))
    assert all(answer.thinking for answer in answers)
    assert all(1 < answer.thinking_tokens <= 17 for answer in answers), "with its closing tag"
    found = [json.loads(answer.text) for answer in answers if answer.finish_reason == "stop"]
    assert found
    assert all(isinstance(f["ok"], bool) and f["size"] in ("big", "small") for f in found)
    off = Sampling(max_tokens=60, seed=2, thinking=Thinking("off"))
    (silent,) = await engine.generate(Request(chat, off, SCHEMA))
    assert silent.thinking is None
    assert silent.text.lstrip().startswith("{")


async def test_a_thought_that_repeats_itself_is_cut_and_answered(engine: Engine) -> None:
    chat = (Message("user", "Why?"),)
    bias = {300: 100.0}
    thinking = Thinking("on", 100)
    sampling = Sampling(max_tokens=8, temperature=0.0, logit_bias=bias, thinking=thinking)
    (answer,) = await engine.generate(Request(chat, sampling))
    assert answer.thinking
    assert answer.text
    assert answer.thinking_tokens < 40


async def test_settings_of_vllms_own_go_through(engine: Engine) -> None:
    settings = Sampling(
        max_tokens=6,
        seed=1,
        temperature=None,
        top_p=None,
        top_k=20,
        min_p=0.01,
        presence_penalty=0.5,
        frequency_penalty=0.5,
        repetition_penalty=1.1,
        extra={"min_tokens": 6, "ignore_eos": True},
    )
    (answer,) = await engine.generate(Request("Why", settings))
    assert answer.output_tokens == 6
    with pytest.raises(RequestRefusedError, match="min_tokens"):
        await engine.generate(Request("Why", Sampling(max_tokens=2, extra={"min_tokens": 6})))


async def test_scores_are_the_models_log_probabilities(engine: Engine, tiny_adapter: Path) -> None:
    prompt, candidates = "The answer is", [" (B).", " scissors", " the air"]
    scores = await engine.score(prompt, candidates)
    assert [s.logprob for s in scores] == pytest.approx(
        reference(tiny_adapter, prompt, candidates), abs=1e-3
    )


def reference(model_folder: Path, prompt: str, candidates: list[str]) -> list[float]:
    """The same scores, straight from the model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    start = len(tokenizer.encode(prompt))
    sums = []
    for candidate in candidates:
        ids = torch.tensor([tokenizer.encode(prompt + candidate)])
        with torch.no_grad():
            logs = torch.log_softmax(model(ids).logits[0].float(), dim=-1)
        sums.append(float(sum(logs[at - 1, ids[0, at]] for at in range(start, ids.shape[1]))))
    return sums


async def test_the_transformers_engine_says_the_same(engine: Engine, tiny_adapter: Path) -> None:
    other = await start_engine(EngineSpec("other", str(tiny_adapter), backend="transformers"))
    prompts = ["Where would you keep", "Why?", "The answer is one of them, because"]
    for prompt in prompts:
        request = Request(prompt, Sampling(max_tokens=24, temperature=0.0, stop=("zz",)))
        (ours,), (theirs,) = await engine.generate(request), await other.generate(request)
        assert (ours.text, ours.finish_reason) == (theirs.text, theirs.finish_reason)
        assert (ours.prompt_tokens, ours.output_tokens) == (
            theirs.prompt_tokens,
            theirs.output_tokens,
        )
        assert ours.logprob == pytest.approx(theirs.logprob, abs=1e-2)
        candidates = [" (B).", " scissors", "x"]
        found = await engine.score(prompt, candidates)
        expected = await other.score(prompt, candidates)
        assert [s.tokens for s in found] == [s.tokens for s in expected]
        assert [s.logprob for s in found] == pytest.approx([s.logprob for s in expected], abs=1e-3)
        assert isinstance(engine, TokenPredictor)
        assert isinstance(other, TokenPredictor)
        told = await engine.top_tokens(prompt, " because it is so", 4)
        wanted = await other.top_tokens(prompt, " because it is so", 4)
        assert (told.tokens, told.vocabulary, told.read) == (
            wanted.tokens,
            wanted.vocabulary,
            wanted.read,
        )
        assert {len(place) for place in (*told.ids, *told.logprobs)} == {4}
        for ours_at, theirs_at in zip(told.logprobs, wanted.logprobs, strict=True):
            assert ours_at == pytest.approx(theirs_at, abs=1e-3)
        assert [place[0] for place in told.ids] == [place[0] for place in wanted.ids]
        with pytest.raises(EngineSetupError, match="max_logprobs: 500"):
            await engine.top_tokens(prompt, " so", 500)
    await other.close()


async def test_likelihoods_are_the_models_at_any_temperature(engine: Engine) -> None:
    answers = await engine.generate(Request("Why", Sampling(n=4, max_tokens=1, seed=1)))
    scores = await engine.score("Why", [answer.text for answer in answers])
    for answer, score in zip(answers, scores, strict=True):
        if score.tokens == 1:
            assert answer.logprob == pytest.approx(score.logprob, abs=1e-3)
    hot = Sampling(max_tokens=1, temperature=2.0, top_p=0.01, seed=1)
    (answer,) = await engine.generate(Request("Why", hot))
    (score,) = await engine.score("Why", [answer.text])
    assert answer.logprob == pytest.approx(score.logprob, abs=1e-3)


async def test_each_fault_has_its_reason(engine: Engine) -> None:
    """What a random model can be brought to; it refuses nothing, and the schema is enforced."""
    fine = await outcome(engine, "Why", truncated="keep")
    assert fine.reason is None
    assert (await outcome(engine, "why " * 300)).reason == "prompt_too_long"
    assert (await outcome(engine, "Why", max_tokens=2)).reason == "truncated"
    assert (await outcome(engine, "Why", stop=[fine.data["text"][:1]])).reason == "empty"
    cut = await outcome(engine, "Why", schema=SCHEMA, max_tokens=2, truncated="keep")
    assert cut.reason == "invalid_json"


async def test_prefixes_are_cached_in_blocks_that_short_prompts_fill(engine: Engine) -> None:
    assert isinstance(engine, VLLMEngine)
    cache = engine._llm.vllm_config.cache_config
    assert cache.enable_prefix_caching
    assert cache.block_size == 32


async def test_a_chat_can_be_scored_and_nothing_costs_nothing(engine: Engine) -> None:
    scores = await engine.score((Message("user", "A or B?"),), ["A", "B", ""])
    assert all(math.isfinite(score.logprob) and score.logprob < 0 for score in scores[:2])
    assert scores[2].logprob == 0.0


async def test_a_prompt_too_long_is_refused(engine: Engine) -> None:
    with pytest.raises(RequestRefusedError, match=r"tokens; .* takes 256") as raised:
        await engine.generate(Request("why " * 400))
    assert raised.value.reason == "prompt_too_long"


async def test_a_request_that_vllm_refuses_harms_nobody(engine: Engine) -> None:
    bad = engine.generate(Request("a", Sampling(n=2, temperature=0.0)))
    good = engine.generate(Request("a", Sampling(max_tokens=4, seed=1)))
    refused, fine = await asyncio.gather(bad, good, return_exceptions=True)
    assert isinstance(refused, RequestRefusedError)
    assert refused.reason == "bad_request"
    assert isinstance(fine, list)


async def test_many_seeded_requests_with_more_prompt_than_one_step_reads(engine: Engine) -> None:
    text = "What is the answer to this question? " * 3
    requests = [Request(f"{i}. {text}", Sampling(n=2, max_tokens=6, seed=i)) for i in range(60)]
    together = await asyncio.gather(*(engine.generate(request) for request in requests))
    assert sum(answers[0].prompt_tokens for answers in together) > 8 * 256
    assert [len(answers) for answers in together] == [2] * 60
    assert all(answer.output_tokens > 0 for answers in together for answer in answers)


async def test_a_cancelled_request_leaves_the_engine_well(engine: Engine) -> None:
    task = asyncio.ensure_future(engine.generate(Request("a", Sampling(max_tokens=200, seed=1))))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await engine.generate(Request("a", Sampling(max_tokens=4)))) == 1


async def test_a_dead_core_has_an_error_of_its_own(engine: Engine) -> None:
    """Last, because it kills the engine."""
    import psutil

    task = asyncio.ensure_future(engine.generate(Request("a", Sampling(n=8, max_tokens=200))))
    await asyncio.sleep(0.1)
    cores = [
        child
        for child in psutil.Process().children(recursive=True)
        if "EngineCore" in " ".join(child.cmdline())
    ]
    # The session's other engine, where a test has started it, is older.
    max(cores, key=lambda core: core.create_time()).kill()
    with pytest.raises(EngineDeadError, match=r"'tiny'.*died"):
        await task
    with pytest.raises(EngineDeadError):
        await engine.generate(Request("a"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("/nowhere/at/all", "there is no folder /nowhere/at/all"),
        ("bundled:smollm", "there is no bundled model"),
        ("not a name", "neither a folder here nor a possible name"),
    ],
)
async def test_a_model_that_is_not_there(model: str, message: str) -> None:
    with pytest.raises(EngineSetupError, match=message):
        await start_engine(EngineSpec("tiny", model))

"""The anthropic engine: the real SDK against a local server in that form."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from raygen.dataset.batches import BatchLog
from raygen.dataset.storage import Folder
from raygen.engines.anthropic.engine import AnthropicEngine
from raygen.engines.base import (
    EngineSetupError,
    EngineSpec,
    EngineUnavailableError,
    Message,
    Request,
    RequestRefusedError,
    Sampling,
    Thinking,
)
from raygen.engines.batches import Timing
from tests.support.messages_api import MessagesApi, message, problem, served

KEY = "sk-ant-a-secret-that-nobody-may-read"
ASK = Request((Message("user", "hello"),), Sampling(temperature=0.7))
AT_ONCE = Timing(quiet=0.05, first_look=0.01, longest_look=0.01)


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MessagesApi]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    async with served(MessagesApi()) as running:
        yield running


def spec(api: MessagesApi, **args: Any) -> EngineSpec:
    model = args.pop("model", api.model)
    return EngineSpec("teacher", model, backend="anthropic", args={"base_url": api.url, **args})


@pytest.fixture
async def engine(api: MessagesApi) -> AsyncIterator[AnthropicEngine]:
    started = await AnthropicEngine.start(spec(api, timeout=2), first_wait=0.001)
    yield started
    await started.close()


async def test_each_answer_is_a_request_and_all_that_was_read_is_counted(
    api: MessagesApi, engine: AnthropicEngine
) -> None:
    answers = await engine.generate(Request(ASK.prompt, Sampling(n=3, temperature=0.7)))
    assert [(a.text, a.prompt_tokens, a.output_tokens) for a in answers] == [
        ("said: hello", 30, 4)
    ] * 3
    assert [body["temperature"] for body in api.bodies] == [0.7] * 3
    assert api.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "fault",
    [
        lambda: problem(429, "rate_limit_error", "slow down", **{"retry-after": "0"}),
        lambda: problem(529, "overloaded_error", "Overloaded"),
        lambda: problem(500, "api_error", "oops"),
        lambda: web.Response(status=502, text="<html>bad gateway"),
        lambda: web.json_response({"type": "message", "content": None}),
        lambda: web.Response(text="no JSON"),
        lambda: web.Response(headers={"Content-Encoding": "br"}, body=b"x"),
    ],
)
async def test_transient_faults_are_tried_again(
    api: MessagesApi, engine: AnthropicEngine, fault: Any
) -> None:
    api.reply = lambda body, count: fault() if count < 2 else None
    (answer,) = await engine.generate(ASK)
    assert answer.text == "said: hello"
    assert len(api.bodies) == 3


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (problem(400, "invalid_request_error", "prompt is too long: 9 tokens > 8"),
         RequestRefusedError, "prompt_too_long"),
        (problem(413, "request_too_large", "too large"), RequestRefusedError, "prompt_too_long"),
        (problem(400, "invalid_request_error", "messages: at least one"), RequestRefusedError,
         "bad_request"),
        (problem(401, "authentication_error", f"invalid x-api-key {KEY}"), EngineSetupError,
         "ANTHROPIC_API_KEY"),
        (problem(404, "not_found_error", "model: claude-0"), EngineSetupError, "engine's model"),
        (problem(400, "invalid_request_error", "Your credit balance is too low"),
         EngineUnavailableError, "add credit"),
    ],
)  # fmt: skip
async def test_what_a_refusal_is_about_decides_who_is_at_fault(
    api: MessagesApi, engine: AnthropicEngine, reply: web.Response, error: Any, words: str
) -> None:
    api.reply = lambda body, count: web.Response(
        status=reply.status, body=reply.body, content_type="application/json"
    )
    with pytest.raises(error, match=words) as raised:
        await engine.generate(ASK)
    assert KEY not in str(raised.value)


async def test_what_a_model_refuses_is_left_out_and_said_once(
    api: MessagesApi, engine: AnthropicEngine, caplog: pytest.LogCaptureFixture
) -> None:
    def reply(body: dict[str, Any], count: int) -> web.Response | None:
        if "temperature" in body:
            return problem(400, "invalid_request_error", "`temperature` is deprecated")
        if "output_config" in body:
            return problem(400, "invalid_request_error", "output_config: not supported")
        return None

    api.reply = reply
    caplog.set_level(logging.INFO)
    for _ in range(2):
        await engine.generate(Request(ASK.prompt, ASK.sampling, {"type": "object"}))
    assert len(api.bodies) == 4
    assert len(engine.notes) == 2


async def test_thoughts_come_apart(api: MessagesApi, engine: AnthropicEngine) -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "4"},
    ]
    api.reply = lambda body, count: web.json_response(message(body, content=blocks))
    thinking = Sampling(thinking=Thinking("on", budget=2048))
    (answer,) = await engine.generate(Request(ASK.prompt, thinking))
    assert (answer.text, answer.thinking) == ("4", "hm")


async def test_a_secret_in_an_answer_is_hidden(api: MessagesApi, engine: AnthropicEngine) -> None:
    blocks = [{"type": "text", "text": f"your key is {KEY}"}]
    api.reply = lambda body, count: web.json_response(message(body, content=blocks))
    (answer,) = await engine.generate(ASK)
    assert answer.text == "your key is ***"


async def test_a_long_prompt_is_written_to_the_cache_before_the_others_read_it(
    api: MessagesApi, engine: AnthropicEngine
) -> None:
    seen: list[int] = []
    api.reply = lambda body, count: seen.append(count)  # type: ignore[func-returns-value]
    await engine.generate(Request((Message("user", "x" * 5000),), Sampling(n=4)))
    assert seen == [0, 1, 2, 3]
    marked = api.bodies[0]["messages"][0]["content"][0]
    assert marked["cache_control"] == {"type": "ephemeral"}


async def test_a_wrong_model_or_address_ends_the_run_before_any_row(api: MessagesApi) -> None:
    with pytest.raises(EngineSetupError, match="model: claude-0"):
        await AnthropicEngine.start(spec(api, model="claude-0"), first_wait=0.001)
    away = EngineSpec("t", "m", backend="anthropic", args={"base_url": "http://127.0.0.1:9"})
    with pytest.raises(EngineUnavailableError, match="can't be reached"):
        await AnthropicEngine.start(away, first_wait=0.001)


async def test_completion_prompts_and_scores_are_refused_with_what_to_do(
    engine: AnthropicEngine,
) -> None:
    with pytest.raises(EngineSetupError, match="set api: chat"):
        await engine.generate(Request("2 + 2 ="))
    with pytest.raises(EngineSetupError, match="log-probabilities"):
        await engine.score("q", ["a"])


async def test_a_reply_without_end_breaks_off(
    api: MessagesApi, engine: AnthropicEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygen.engines.anthropic.client.MAX_REPLY_BYTES", 5000)
    api.reply = lambda body, count: web.Response(text="x" * 10000) if count == 0 else None
    (answer,) = await engine.generate(ASK)
    assert answer.text == "said: hello"
    assert len(api.bodies) == 2


@pytest.fixture
async def batching(api: MessagesApi, tmp_path: Path) -> AsyncIterator[AnthropicEngine]:
    record = BatchLog(Folder.at(tmp_path / "out"))
    started = await AnthropicEngine.start(
        spec(api, mode="batch"), first_wait=0.001, record=record, timing=AT_ONCE
    )
    yield started
    await started.close()


async def test_in_batches_each_request_gets_its_own_answers(
    api: MessagesApi, batching: AnthropicEngine
) -> None:
    answers = await batching.generate(Request(ASK.prompt, Sampling(n=3, temperature=0.7, seed=1)))
    assert [answer.text for answer in answers] == ["said: hello"] * 3
    assert [len(entries) for entries in api.batches.values()] == [3]
    assert api.bodies == []
    assert all(entry["params"]["temperature"] == 0.7 for entry in api.batches["msgbatch_0"])


async def test_what_failed_in_a_batch_is_sent_again_and_what_is_refused_is_not(
    api: MessagesApi, batching: AnthropicEngine
) -> None:
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    too_long = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long"},
    }

    def outcome(entry: dict[str, Any]) -> dict[str, Any] | None:
        text = entry["params"]["messages"][0]["content"][0]["text"]
        if text == "long":
            return {"type": "errored", "error": too_long}
        if len(api.batches) == 1:
            return {"type": "errored", "error": overloaded}
        return None

    api.outcome = outcome
    (answer,) = await batching.generate(ASK)
    assert answer.text == "said: hello"
    with pytest.raises(RequestRefusedError, match="prompt_too_long"):
        await batching.generate(Request((Message("user", "long"),)))
    assert len(api.batches) == 3


async def test_a_creation_whose_answer_was_lost_is_found(
    api: MessagesApi, batching: AnthropicEngine
) -> None:
    api.lose_creations = 1
    (answer,) = await batching.generate(ASK)
    assert answer.text == "said: hello"
    assert len(api.batches) == 1


async def test_without_a_key_no_other_credentials_are_sent(
    api: MessagesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    engine = await AnthropicEngine.start(spec(api), first_wait=0.001)
    await engine.generate(ASK)
    await engine.close()
    assert KEY not in str(api.headers)

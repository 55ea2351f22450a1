"""Batches of an endpoint in OpenAI's form, against a local server of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from raygen.dataset.batches import BatchLog
from raygen.dataset.storage import Folder
from raygen.engines.base import (
    EngineSetupError,
    EngineSpec,
    Message,
    Request,
    RequestRefusedError,
    Sampling,
)
from raygen.engines.batches import Timing
from raygen.engines.openai.engine import OpenAIEngine
from tests.support.batch_server import BatchServer, last_turn, served

AT_ONCE = Timing(quiet=0.05, first_look=0.01, longest_look=0.01)


@pytest.fixture
async def server() -> AsyncIterator[BatchServer]:
    async with served(BatchServer()) as running:
        yield running


@pytest.fixture
def record(tmp_path: Path) -> BatchLog:
    return BatchLog(Folder.at(tmp_path / "out"))


async def start(server: BatchServer, record: BatchLog, **args: Any) -> OpenAIEngine:
    args = {"base_url": server.url, "mode": "batch", **args}
    spec = EngineSpec("teacher", "m", backend="openai", args=args)
    return await OpenAIEngine.start(spec, 0.001, record, AT_ONCE)


def question(text: str, **sampling: Any) -> Request:
    return Request((Message("user", text),), Sampling(seed=7, temperature=0.7, **sampling))


async def answers(engine: OpenAIEngine, *texts: str, **sampling: Any) -> list[Any]:
    asked = (engine.generate(question(text, **sampling)) for text in texts)
    done = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 20)
    await engine.close()
    return [[a.text for a in one] if isinstance(one, list) else one for one in done]


async def test_rows_ask_once_and_together(server: BatchServer, record: BatchLog) -> None:
    done = await answers(await start(server, record), "a", "b", "c", n=2)
    assert done == [["said: a"] * 2, ["said: b"] * 2, ["said: c"] * 2]
    assert server.sent() == [["a", "b", "c"]]
    assert len(server.live) == 1, "a control question, before anything waits"
    assert [batch.answered for batch in record.read()] == [3]
    assert await answers(await start(server, record), "a", n=2) == [["said: a"] * 2]
    assert len(server.batches) == 1


async def test_what_the_endpoint_refuses_is_learned_before_anything_waits(
    server: BatchServer, record: BatchLog
) -> None:
    server.refuse = lambda body: (
        "Unsupported parameter: 'temperature'" if "temperature" in body else None
    )
    engine = await start(server, record)
    assert await answers(engine, "a", "b") == [["said: a"], ["said: b"]]
    (entries,) = server.files.values()
    assert all("temperature" not in entry["body"] for entry in entries)
    assert any("temperature" in note for note in engine.notes)


async def test_failures_in_part_are_sent_again_and_refusals_are_the_rows(
    server: BatchServer, record: BatchLog
) -> None:
    def outcome(entry: dict[str, Any]) -> dict[str, Any] | None:
        text = last_turn(entry["body"])
        if text == "long":
            body = {"error": {"message": "this model's maximum context length is 9 tokens"}}
            return {"response": {"status_code": 400, "body": body}}
        if len(server.batches) > 1:
            return None
        if text == "late":
            return {"response": None, "error": {"code": "batch_expired", "message": "expired"}}
        if text == "busy":
            return {"response": {"status_code": 503, "body": {"error": {"message": "busy"}}}}
        return None

    server.outcome = outcome
    done = await answers(await start(server, record), "a", "late", "busy", "long")
    assert done[:3] == [["said: a"], ["said: late"], ["said: busy"]]
    assert isinstance(done[3], RequestRefusedError)
    assert done[3].reason == "prompt_too_long"
    assert server.sent() == [["a", "busy", "late", "long"], ["busy", "late"]]


async def test_a_batch_over_the_accounts_limit_goes_out_in_parts(
    server: BatchServer, record: BatchLog
) -> None:
    limit = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}

    def status(batch: dict[str, Any]) -> dict[str, Any] | None:
        many = len(server.files[batch["input_file_id"]]) > 2
        return {"status": "failed", "errors": {"data": [limit]}} if many else None

    server.status = status
    assert len(await answers(await start(server, record), *"abcd")) == 4
    assert [len(sent) for sent in server.sent()] == [4, 2, 2]


async def test_a_creation_whose_reply_is_lost_is_not_paid_twice(
    server: BatchServer, record: BatchLog
) -> None:
    for _ in range(3):  # batches of others, so that ours is on a later page
        server.batches[f"batch_{len(server.batches)}"] = {"id": "x", "input_file_id": "none"}
    server.lose = 2
    done = await answers(await start(server, record), "a")
    assert done == [["said: a"]]
    assert len(server.batches) == 4


async def test_an_endpoint_without_batches_says_so(server: BatchServer, record: BatchLog) -> None:
    server.status = lambda batch: {
        "status": "failed",
        "errors": {"data": [{"code": "model_not_found", "message": "no batches of this model"}]},
    }
    (done,) = await answers(await start(server, record), "a")
    assert isinstance(done, EngineSetupError)
    assert "no batches of this model" in str(done)


async def test_a_preview_asks_at_once(server: BatchServer) -> None:
    spec = EngineSpec("t", "m", backend="openai", args={"base_url": server.url, "mode": "batch"})
    assert await answers(await OpenAIEngine.start(spec), "a") == [["said: a"]]
    assert server.batches == {}

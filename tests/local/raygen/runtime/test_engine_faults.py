"""Each fault of an answer has a reason of its own, the same one whichever engine gives it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from raygen.engines.base import Engine, EngineSpec
from raygen.engines.registry import start_engine
from tests.support.engine_faults import SCHEMA, outcome

THOUGHTS = "First this, then that."


SCRIPT = [
    {"match": "fine", "reply": "Fine."},
    {"match": "long", "reply": {"error": "prompt_too_long"}},
    {"match": "refuse", "reply": {"text": "No.", "finish_reason": "refusal"}},
    {"match": "filter", "reply": {"text": "", "finish_reason": "content_filter"}},
    {"match": "sorry", "reply": "I'm sorry, but I can't help with that."},
    {"match": "nothing", "reply": " \n"},
    {"match": "endless", "reply": "and " * 100},
    {"match": "garbage", "reply": '{"ok": perhaps}'},
    {"match": "thinks", "reply": {"text": "(B)", "thinking": THOUGHTS}},
    {"match": "tags", "reply": f"<think>\n{THOUGHTS}\n</think>\n\n(B)"},
    {"match": "ponders", "reply": f"<think>{THOUGHTS}"},
]


def chosen(text: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A choice of a chat completion."""
    return {"index": 0, "finish_reason": finish, "message": {"content": text, **message}}


CHOICES = {
    "fine": chosen("Fine."),
    "refuse": chosen(None, refusal="No."),
    "filter": chosen("", "content_filter"),
    "sorry": chosen("I'm sorry, but I can't help with that."),
    "nothing": chosen(""),
    "endless": chosen("and and", "length"),
    "garbage": chosen('{"ok": perhaps}'),
    "thinks": chosen("(B)", reasoning_content=THOUGHTS),
    "tags": chosen(f"<think>\n{THOUGHTS}\n</think>\n\n(B)"),
    "ponders": chosen(None, reasoning=THOUGHTS),
}


async def answer(request: web.Request) -> web.StreamResponse:
    """A stub of a server: it answers as the prompt says."""
    if request.method == "GET":
        return web.json_response({})
    (turn,) = (await request.json())["messages"]
    if "long" in turn["content"]:
        error = {"message": "maximum context length is 5", "code": "context_length_exceeded"}
        return web.json_response({"error": error}, status=400)
    name = next((name for name in CHOICES if name in turn["content"]), "fine")
    return web.json_response({"choices": [CHOICES[name]], "usage": {"completion_tokens": 2}})


@asynccontextmanager
async def fake() -> AsyncIterator[Engine]:
    args = {"answers": SCRIPT}
    yield await start_engine(EngineSpec("teacher", "m", backend="fake", args=args))


@asynccontextmanager
async def openai() -> AsyncIterator[Engine]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    args = {"base_url": f"http://127.0.0.1:{runner.addresses[0][1]}/v1"}
    engine = await start_engine(EngineSpec("teacher", "m", backend="openai", args=args))
    yield engine
    await engine.close()
    await runner.cleanup()


BOTH = pytest.mark.parametrize("backend", [fake, openai])
Start = Callable[[], AbstractAsyncContextManager[Engine]]


@BOTH
@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("fine", None),
        ("long", "prompt_too_long"),
        ("refuse", "refused"),
        ("filter", "refused"),
        ("sorry", "refused"),
        ("nothing", "empty"),
        ("endless", "truncated"),
        ("garbage", "invalid_json"),
        ("ponders", "empty"),
    ],
)
async def test_each_fault_has_its_reason(backend: Start, prompt: str, reason: str | None) -> None:
    schema = SCHEMA if prompt == "garbage" else None
    async with backend() as engine:
        assert (await outcome(engine, prompt, chat=True, schema=schema)).reason == reason


@BOTH
@pytest.mark.parametrize("prompt", ["thinks", "tags"])
async def test_thoughts_are_kept_apart(backend: Start, prompt: str) -> None:
    async with backend() as engine:
        dropped = await outcome(engine, prompt, chat=True)
        kept = await outcome(engine, prompt, chat=True, thinking="column")
    assert dropped.data["text"] == "(B)"
    assert dropped.data.get("thinking") is None
    assert (kept.data["text"], kept.data["thinking"]) == ("(B)", THOUGHTS)


async def test_a_real_models_faults_have_the_same_reasons(tiny_model: Path) -> None:
    """What a random model can be brought to; it refuses nothing."""
    engine = await start_engine(EngineSpec("teacher", str(tiny_model), backend="transformers"))
    fine = await outcome(engine, "Why", truncated="keep")
    assert fine.reason is None
    assert (await outcome(engine, "why " * 600)).reason == "prompt_too_long"
    assert (await outcome(engine, "Why", max_tokens=2)).reason == "truncated"
    assert (await outcome(engine, "Why", stop=[fine.data["text"][:1]])).reason == "empty"
    garbage = await outcome(engine, "Why", schema=SCHEMA, truncated="keep")
    assert garbage.reason == "invalid_json"
    await engine.close()

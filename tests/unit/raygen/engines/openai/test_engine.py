"""The openai engine against a local server that misbehaves."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

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
from raygen.engines.openai.engine import OpenAIEngine
from raygen.engines.openai.retrying import retry_after_s

KEY = "sk-a-secret-that-nobody-may-read"
Reply = Callable[[dict[str, Any], int], Awaitable[web.StreamResponse]]


class Server:
    """A server on a free port; `reply(body, count)` answers the count-th POST."""

    def __init__(self) -> None:
        self.reply: Reply = echo
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.inside = 0
        self.most = 0
        self.models = 200
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.Response(status=self.models, text="{}")
        self.paths.append(request.path)
        self.bodies.append(await request.json())
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            return await self.reply(self.bodies[-1], len(self.bodies) - 1)
        finally:
            self.inside -= 1


def choices(body: dict[str, Any], n: int) -> web.Response:
    text = f"seed {body.get('seed')}"
    key = {"message": {"content": text}} if "messages" in body else {"text": text}
    return web.json_response(
        {
            "choices": [{"index": i, "finish_reason": "stop", **key} for i in range(n)],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2 * n},
        }
    )


async def echo(body: dict[str, Any], count: int) -> web.StreamResponse:
    return choices(body, body["n"])


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    behaviour = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", behaviour.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    behaviour.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield behaviour
    await runner.cleanup()


def spec(url: str, **args: Any) -> EngineSpec:
    return EngineSpec("teacher", "m", backend="openai", args={"base_url": url, **args})


@pytest.fixture
async def engine(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenAIEngine]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    started = await OpenAIEngine.start(spec(server.url, timeout=5), first_wait=0.001)
    yield started
    await started.close()


def failing(times: int, answer: Callable[[], web.StreamResponse]) -> Reply:
    """A reply that fails `times` times first."""

    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        return answer() if count < times else choices(body, body["n"])

    return reply


async def test_a_plain_prompt_goes_to_completions(server: Server, engine: OpenAIEngine) -> None:
    answers = await engine.generate(Request("q", Sampling(n=3, seed=5)))
    assert [(a.text, a.prompt_tokens, a.output_tokens) for a in answers] == [("seed 5", 3, 2)] * 3
    assert server.paths == ["/v1/completions"]


async def test_a_chat_goes_to_chat_completions(server: Server, engine: OpenAIEngine) -> None:
    (answer,) = await engine.generate(Request((Message("user", "q"),), Sampling(seed=5)))
    assert answer.text == "seed 5"
    assert server.paths == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=429, headers={"Retry-After": "0"}),
        lambda: web.Response(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        lambda: web.Response(status=500, text="<html>oops"),
        lambda: web.Response(status=503),
        lambda: web.Response(text="not JSON"),
        lambda: web.json_response({"choices": []}),
        lambda: web.json_response({"choices": [{"index": 0, "text": None, "message": 5}]}),
    ],
)
async def test_transient_faults_are_tried_again(
    server: Server, engine: OpenAIEngine, answer: Callable[[], web.StreamResponse]
) -> None:
    server.reply = failing(2, answer)
    (done,) = await engine.generate(Request("q", Sampling(seed=1)))
    assert done.text == "seed 1"
    assert len(server.bodies) == 3


async def test_half_a_body_is_tried_again() -> None:
    half = await half_body_server()
    async with half:
        port = half.sockets[0].getsockname()[1]
        other = await OpenAIEngine.start(spec(f"http://127.0.0.1:{port}/v1"), first_wait=0.001)
        (done,) = await other.generate(Request("q"))
        await other.close()
    assert done.text == "whole"


async def half_body_server() -> asyncio.Server:
    """Sends half of its first completion and closes; answers the next in full."""
    body = json.dumps({"choices": [{"index": 0, "text": "whole"}]}).encode()
    posts = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal posts
        head = await reader.readuntil(b"\r\n\r\n")
        sent = body
        if head.startswith(b"POST"):
            posts += 1
            sent = body[: len(body) // 2] if posts == 1 else body
        start = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(start.encode() + sent)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def test_a_slow_answer_is_given_up_and_requested_again(server: Server) -> None:
    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        if count == 0:
            await asyncio.sleep(5)
        return choices(body, 1)

    server.reply = reply
    engine = await OpenAIEngine.start(spec(server.url, timeout=0.5), first_wait=0.001)
    await engine.generate(Request("q"))
    await engine.close()
    assert len(server.bodies) == 2


async def test_one_bad_row_among_good_ones_is_refused(server: Server, engine: OpenAIEngine) -> None:
    asked = asyncio.Event()

    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        asked.set()
        if body["prompt"] == "poison":
            return web.Response(status=500, text=f"boom {KEY}")
        return choices(body, 1)

    server.reply = reply
    poison = asyncio.create_task(engine.generate(Request("poison")))
    await asked.wait()
    await engine.generate(Request("good"))
    with pytest.raises(RequestRefusedError, match=r"bad_response.*500.*boom \*\*\*") as raised:
        await poison
    assert raised.value.reason == "bad_response"


async def test_an_endpoint_that_fails_everyone_is_unavailable(
    server: Server, engine: OpenAIEngine
) -> None:
    server.reply = failing(100, lambda: web.Response(status=500))
    with pytest.raises(
        EngineUnavailableError, match=r"teacher.*http://127.*500.*6 times"
    ) as raised:
        await engine.generate(Request("q"))
    assert "start the server" not in str(raised.value)
    assert len(server.bodies) == 6


async def test_a_refused_connection_names_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineUnavailableError, match=rf"http://127.0.0.1:{port}/v1 can't be"):
        await OpenAIEngine.start(spec(f"http://127.0.0.1:{port}/v1"), first_wait=0.001)


async def test_an_endpoint_without_a_list_of_models_starts(server: Server) -> None:
    server.models = 404
    engine = await OpenAIEngine.start(spec(server.url), first_wait=0.001)
    assert len(await engine.generate(Request("q"))) == 1
    await engine.close()


async def test_a_server_that_ignores_n_gets_requests_for_the_rest(
    server: Server, engine: OpenAIEngine
) -> None:
    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        return choices(body, 1)

    server.reply = reply
    learning = await engine.generate(Request("q", Sampling(n=4, seed=7)))
    learned = await engine.generate(Request("q", Sampling(n=4, seed=7)))
    assert [a.text for a in learning] == [a.text for a in learned]
    assert len({a.text for a in learning}) == 4
    assert learning[0].text == "seed 7"
    assert [body["n"] for body in server.bodies] == [4, 1, 1, 1, 1, 1, 1, 1]


async def test_a_server_that_refuses_n_gets_requests_one_by_one(
    server: Server, engine: OpenAIEngine
) -> None:
    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        if body["n"] > 1:
            return web.Response(status=400, text="Only one completion choice is allowed")
        return choices(body, 1)

    server.reply = reply
    assert len(await engine.generate(Request("q", Sampling(n=3)))) == 3
    assert [body["n"] for body in server.bodies] == [3, 1, 1, 1]


async def test_the_other_name_of_max_tokens_is_learned(
    server: Server, engine: OpenAIEngine
) -> None:
    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        if "max_tokens" in body:
            return web.json_response(
                {"error": {"message": "use 'max_completion_tokens' instead"}}, status=400
            )
        return choices(body, 1)

    server.reply = reply
    for _ in range(2):
        await engine.generate(Request((Message("user", "q"),)))
    assert ["max_tokens" in body for body in server.bodies] == [True, False, False]


async def test_a_server_without_log_probabilities_gets_no_second_request_for_them(
    server: Server, engine: OpenAIEngine
) -> None:
    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        if "logprobs" in body:
            return web.json_response({"error": {"message": "no logprobs here"}}, status=403)
        return choices(body, 1)

    server.reply = reply
    for _ in range(2):
        (answer,) = await engine.generate(Request("q"))
        assert answer.logprob is None
    assert ["logprobs" in body for body in server.bodies] == [True, False, False]


async def test_a_server_without_schemas_is_tried_with_any_json_and_then_with_text(
    server: Server, engine: OpenAIEngine
) -> None:
    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        if "response_format" in body:
            return web.Response(status=400, text="response_format is unknown")
        return choices(body, 1)

    def asked() -> list[str | None]:
        return [body.get("response_format", {}).get("type") for body in server.bodies]

    server.reply = reply
    await engine.generate(Request("q", schema={"type": "object"}))
    assert asked() == ["json_schema", "json_object", None]
    server.bodies.clear()
    await engine.generate(Request("q", schema={"type": "object"}))
    await engine.generate(Request("q", schema={"type": "array"}))
    assert asked() == [None, "json_schema", "json_object", None]


async def test_many_at_once_learn_the_dialect_together(
    server: Server, engine: OpenAIEngine
) -> None:
    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        await asyncio.sleep(0.01)
        if "logprobs" in body:
            return web.Response(status=400, text="logprobs: not supported")
        if "max_tokens" in body:
            return web.Response(status=400, text="use max_completion_tokens")
        return choices(body, 1)

    server.reply = reply
    chat = (Message("user", "q"),)
    answers = await asyncio.gather(*(engine.generate(Request(chat)) for _ in range(20)))
    assert [len(found) for found in answers] == [1] * 20


async def test_a_prompt_too_long_is_refused_at_once(server: Server, engine: OpenAIEngine) -> None:
    await engine.generate(Request("q"))
    server.reply = failing(
        9,
        lambda: web.json_response(
            {"error": {"message": "the prompt is too long", "code": None}}, status=400
        ),
    )
    with pytest.raises(RequestRefusedError) as raised:
        await engine.generate(Request("q"))
    assert raised.value.reason == "prompt_too_long"
    assert len(server.bodies) == 2


async def test_a_busy_server_gets_fewer_requests_at_a_time_and_loses_nothing(
    server: Server, engine: OpenAIEngine
) -> None:
    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        if server.inside > 4:
            return web.Response(status=429)
        await asyncio.sleep(0.002)
        return choices(body, 1)

    server.reply = reply
    answers = await asyncio.gather(*(engine.generate(Request(f"q{i}")) for i in range(200)))
    assert len(answers) == 200
    before = len(server.bodies)
    server.most = 0
    await asyncio.gather(*(engine.generate(Request(f"q{i}")) for i in range(50)))
    assert server.most <= 16
    assert len(server.bodies) - before < 150


async def test_while_a_server_is_down_one_request_asks_and_all_are_answered_when_it_is_back(
    server: Server, engine: OpenAIEngine
) -> None:
    """Of 60 requests, 33 fail before anybody knows; they wait, and no other is sent in vain."""
    await engine.generate(Request("q"))
    server.bodies.clear()
    down, alone, all_sent = 37, list[int](), asyncio.Event()

    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        if count < down:
            if count >= 33:
                alone.append(server.inside)
            elif count == 32:
                all_sent.set()
            await all_sent.wait()
            return web.Response(status=500)
        return choices(body, 1)

    server.reply = reply
    answers = await asyncio.gather(*(engine.generate(Request(f"q{i}")) for i in range(60)))
    assert len(answers) == 60
    assert alone == [1, 1, 1, 1]
    assert len(server.bodies) == down + 60


async def test_a_refusal_is_an_answer_and_closes_the_circuit(
    server: Server, engine: OpenAIEngine
) -> None:
    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        if count >= 8 and body["prompt"].startswith("q"):
            return web.Response(status=400, text="no")
        return web.Response(status=500) if count < 8 else choices(body, 1)

    server.reply = reply
    ended = await asyncio.gather(
        *(engine.generate(Request(f"q{i}")) for i in range(12)), return_exceptions=True
    )
    assert {type(one) for one in ended} == {RequestRefusedError}
    assert len(server.bodies) == 8 + 12 + 1


async def test_a_server_that_stays_down_is_tried_by_one_request_and_all_end_with_its_error(
    server: Server, engine: OpenAIEngine
) -> None:
    server.reply = failing(10**6, lambda: web.Response(status=500))
    ended = await asyncio.gather(
        *(engine.generate(Request(f"q{i}")) for i in range(60)), return_exceptions=True
    )
    assert {type(one) for one in ended} == {EngineUnavailableError}
    assert len(server.bodies) < 32 + 2 * 6


@pytest.mark.parametrize(
    ("retry_after", "date", "seconds"),
    [
        ("7", None, 7.0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:30 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None, None),
        ("86400", None, 120.0),
        ("inf", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_how_long_a_server_wants_us_to_wait_hangs_on_no_clock_of_ours(
    retry_after: str | None, date: str | None, seconds: float | None
) -> None:
    assert retry_after_s(retry_after, date) == seconds


async def test_never_more_in_flight_than_allowed(server: Server) -> None:
    engine = await OpenAIEngine.start(spec(server.url, max_concurrency=3), first_wait=0.001)
    await asyncio.gather(*(engine.generate(Request(f"q{i}")) for i in range(20)))
    await engine.close()
    assert server.most <= 3


async def test_the_key_never_appears(
    server: Server, engine: OpenAIEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    for status in (400, 401, 403, 404, 422, 500):
        server.reply = failing(10**6, lambda s=status: web.Response(status=s, text=f"bad {KEY}"))
        with pytest.raises((EngineSetupError, EngineUnavailableError, RequestRefusedError)) as e:
            await engine.generate(Request("q"))
        told.append(f"{e.value!r} {e.value}")
    server.reply = failing(10**6, lambda: web.Response(text=f"not JSON {KEY}"))
    with pytest.raises(EngineUnavailableError) as garbage:
        await engine.generate(Request("q"))
    assert "not JSON ***" in str(garbage.value)
    assert not [text for text in [*told, str(garbage.value), caplog.text] if KEY in text]


async def test_a_key_with_a_line_break_is_not_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk\nX-Evil: 1")
    with pytest.raises(EngineSetupError, match="OPENAI_API_KEY holds characters"):
        await OpenAIEngine.start(spec(server.url))


async def test_scores_come_from_the_echo(server: Server, engine: OpenAIEngine) -> None:
    async def reply(body: dict[str, Any], count: int) -> web.StreamResponse:
        return web.json_response(
            {
                "choices": [
                    {
                        "index": i,
                        "logprobs": {
                            "tokens": ["q", text[1:], "!"],
                            "token_logprobs": [None, s, 9],
                        },
                    }
                    for i, (text, s) in enumerate(zip(body["prompt"], [-1.0, -2.0], strict=True))
                ]
            }
        )

    server.reply = reply
    assert [s.logprob for s in await engine.score("q", [" A", " B"])] == [-1.0, -2.0]


async def test_a_server_without_echo_cannot_score(server: Server, engine: OpenAIEngine) -> None:
    server.reply = failing(9, lambda: web.json_response({"choices": [{"text": "x"}]}))
    with pytest.raises(EngineSetupError, match=r"teacher.*no log-probabilities of a prompt"):
        await engine.score("q", ["A"])


async def test_a_thought_that_takes_all_tokens_is_answered(
    engine: OpenAIEngine, server: Server
) -> None:
    async def thinks(body: dict[str, Any], count: int) -> web.StreamResponse:
        goes_on = body["messages"][-1]["role"] == "assistant"
        message = {"content": "B"} if goes_on else {"content": None, "reasoning_content": "hm"}
        finish = "stop" if goes_on else "length"
        return web.json_response(
            {
                "choices": [{"message": message, "finish_reason": finish}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 2 if goes_on else 90},
            }
        )

    server.reply = thinks
    sampling = Sampling(max_tokens=50, thinking=Thinking("on", 40))
    (answer,) = await engine.generate(Request((Message("user", "Why?"),), sampling))
    assert (answer.text, answer.thinking, answer.finish_reason) == ("B", "hm", "stop")
    assert (answer.output_tokens, answer.thinking_tokens) == (92, 90)
    first, second = server.bodies
    assert (first["max_tokens"], first["thinking_token_budget"]) == (90, 40)
    assert first["chat_template_kwargs"]["enable_thinking"] is True
    assert (second["max_tokens"], second["continue_final_message"]) == (50, True)
    assert "thinking_token_budget" not in second

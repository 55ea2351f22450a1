"""A planted key stands in no error, answer or log, whatever the server sends back."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

import pytest

from raygen.engines.base import EngineError, EngineSpec, Request, Sampling
from raygen.engines.openai.engine import OpenAIEngine
from raygen.engines.openai.secret import Secret
from raygen.engines.registry import check_engine

KEY = 'sk-"planted"/key+that=nobody&may/read'
FORMS = (KEY, json.dumps(KEY)[1:-1], quote(KEY, safe=""), b64encode(KEY.encode()).decode())

Reply = Callable[[str], bytes]


def http(status: str, body: str, headers: str = "") -> bytes:
    size = len(body.encode())
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {size}\r\n\r\n{body}".encode()


def error(status: str) -> Reply:
    return lambda sent: http(status, json.dumps({"error": {"message": f"you sent {sent}"}}))


REPLIES: dict[str, Reply] = {
    "an error as JSON": error("400 Bad Request"),
    "an error that is retried": error("500 Internal Server Error"),
    "a busy one": error("429 Too Many Requests"),
    "no access": error("401 Unauthorized"),
    "no such page": error("404 Not Found"),
    "too long a prompt": lambda sent: http("413 Too Large", f"<p>{sent}</p>"),
    "plain text": lambda sent: http("400 Bad Request", sent),
    "a quoted key": lambda sent: http("400 Bad Request", quote(sent, safe="")),
    "a redirect": lambda sent: http("302 Found", "", f"Location: http://{quote(sent)}/\r\n"),
    "a bad status line": lambda sent: f"HTTP/9 {sent}\r\n\r\n".encode(),
    "a bad header": lambda sent: f"HTTP/1.1 200 OK\r\n{sent}\x00\r\n\r\n".encode(),
    "half a body": lambda sent: http("200 OK", sent * 9)[:-20],
    "garbage": lambda sent: http("200 OK", sent),
    "no choices": lambda sent: http("200 OK", json.dumps({"choices": [sent]})),
    "broken text": lambda sent: http("200 OK", json.dumps({"choices": [{"text": [sent]}]})),
    "an answer": lambda sent: http(
        "200 OK", json.dumps({"choices": [{"index": 0, "text": f"You sent {sent}"}]})
    ),
    "nothing": lambda _: b"",
}


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Reply], object]]:
    """Starts a server on a free port that answers with what it was sent; returns its address."""
    servers: list[asyncio.Server] = []

    async def start(reply: Reply) -> str:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            sent = next(line for line in head.splitlines() if line.startswith("Authorization"))
            found = http("200 OK", "{}") if head.startswith("GET") else reply(sent)
            writer.write(found)
            await writer.drain()
            writer.close()

        servers.append(await asyncio.start_server(handle, "127.0.0.1", 0))
        return f"http://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}/v1"

    yield start
    for server in servers:
        server.close()


def told(raised: BaseException | None) -> str:
    """All that a traceback would show."""
    parts = []
    while raised is not None:
        parts.append(f"{raised} {raised!r}")
        raised = raised.__cause__ or (None if raised.__suppress_context__ else raised.__context__)
    return "\n".join(parts)


@pytest.mark.parametrize("name", REPLIES)
async def test_no_reply_brings_the_key_back(
    name: str,
    serve: Callable[[Reply], object],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    monkeypatch.setenv("PLANTED", KEY)
    monkeypatch.setattr("raygen.engines.openai.endpoint.ATTEMPTS", 2)
    monkeypatch.setattr("raygen.engines.openai.endpoint.PATIENCE", 0)
    url = await serve(REPLIES[name])  # type: ignore[misc]
    args = {"base_url": url, "api_key_env": "PLANTED", "timeout": 5.0}
    spec = EngineSpec("teacher", "m", backend="openai", args=args)
    engine = await OpenAIEngine.start(spec, first_wait=0.001)
    try:
        answers = await engine.generate(Request("q", Sampling(max_tokens=4)))
        seen = answers[0].text
        assert seen == "You sent Authorization: Bearer ***"
    except EngineError as raised:
        seen = told(raised)
        assert seen
    finally:
        await engine.close()
    for form in FORMS:
        assert form not in seen
        assert form not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pa55word@host/v1",
        "https://pa55word@host/v1",
        "user:pa55word@host",
        "https://host/v1?api-key=pa55word",
        "https://host/v1#pa55word",
    ],
)
def test_an_address_carries_no_password(url: str) -> None:
    problems = check_engine(EngineSpec("t", "m", backend="openai", args={"base_url": url}))
    assert len(problems) == 1
    assert "args.api_key_env" in problems[0]
    assert "pa55word" not in problems[0]


def test_a_short_name_for_a_key_stays_in_answers_and_not_in_messages() -> None:
    short = Secret("EMPTY")
    assert short.out_of(b"An EMPTY fridge") == b"An EMPTY fridge"
    assert short.hidden("Bearer EMPTY") == "Bearer ***"
    assert Secret("").hidden("nothing") == "nothing"

"""A planted key stands in no error, answer or log, whatever the server sends back."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import quote, unquote

import pytest

from raygen.engines.base import EngineError, EngineSpec, Request, Sampling
from raygen.engines.openai.engine import OpenAIEngine
from raygen.engines.registry import check_engine
from tests.support.secret_forms import FORMS, shown_forms

KEY = 'sk-"planted"/key+that=nobody&may/read'
PASSWORD = "pa%2f55-w0rd-of-the-proxy"
SECRETS = {
    "PLANTED": KEY,
    "HF_TOKEN": "hf_PlantedTokenOfTheHub0123",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "HTTPS_PROXY": "http://me:another-pa55word@proxy.invalid:1",
}
VALUES = [*list(SECRETS.values())[:3], "another-pa55word"]

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
    "nothing": lambda _: b"",
}


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Reply], object]]:
    """Starts a server on a free port that answers with what it was sent; returns its address."""
    servers: list[asyncio.Server] = []

    async def start(reply: Reply) -> str:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            sent = "\n".join(line for line in head.splitlines() if "uthorization:" in line)
            found = http("200 OK", "{}") if head.startswith("GET /") else reply(sent)
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


Serve = Callable[[Reply], Awaitable[str]]


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("raygen.engines.openai.retrying.ATTEMPTS", 2)
    monkeypatch.setattr("raygen.engines.openai.retrying.PATIENCE", 0)


async def answered(url: str) -> str:
    """All that an engine at an address gives away: its answer, or its error."""
    args = {"base_url": url, "api_key_env": "PLANTED", "timeout": 5.0}
    spec = EngineSpec("teacher", "m", backend="openai", args=args)
    try:
        engine = await OpenAIEngine.start(spec, first_wait=0.001)
    except EngineError as raised:
        return told(raised)
    try:
        return "\n".join(map(repr, await engine.generate(Request("q", Sampling(max_tokens=4)))))
    except EngineError as raised:
        return told(raised)
    finally:
        await engine.close()


@pytest.mark.parametrize("name", REPLIES)
async def test_no_reply_brings_the_key_back(
    name: str, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    seen = await answered(await serve(REPLIES[name]))
    assert seen
    assert shown_forms(KEY, seen + caplog.text) == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "500 Internal Server Error"])
async def test_no_form_of_any_secret_comes_back(
    form: str, status: str, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """In an answer, in thoughts, in why it ended; in an error, as JSON and as text."""
    secrets = " ".join(FORMS[form](value) for value in VALUES)
    choice = {"message": {"content": f"Got {secrets}", "reasoning": secrets}, "index": 0}
    reply = json.dumps({"choices": [{**choice, "finish_reason": secrets}]})
    if status != "200 OK":
        reply = json.dumps({"error": {"message": f"Got {secrets}", "code": "bad"}})
    for body in (reply, reply.replace("\\\\u", "\\u"), f"Got {secrets}"):
        seen = await answered(await serve(lambda _, body=body: http(status, body)))  # type: ignore[misc]
        assert "Got " in seen
        assert [shown_forms(value, seen + caplog.text) for value in VALUES] == [[]] * 4


async def test_a_long_error_is_cut_after_the_key_is_hidden(serve: Serve) -> None:
    seen = await answered(await serve(lambda _: http("400 Bad Request", "x" * 390 + KEY)))
    assert KEY[:6] not in seen


async def proxied(serve: Serve, monkeypatch: pytest.MonkeyPatch, reply: Reply, url: str) -> str:
    """What an engine says whose requests go through a proxy that answers as `reply` does."""
    proxy = (await serve(reply)).removeprefix("http://").removesuffix("/v1")
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", f"http://me:{PASSWORD}@{proxy}")
    return await answered(url)


@pytest.mark.parametrize("url", ["https://model.invalid/v1", "http://model.invalid/v1"])
@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway"])
async def test_a_proxy_that_refuses_is_named_without_its_password(
    url: str,
    status: str,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = await proxied(serve, monkeypatch, lambda sent: http(status, f"not with {sent}"), url)
    assert url in seen
    assert ("HTTPS_PROXY" in seen) == status.startswith("407")
    for secret in (PASSWORD, unquote(PASSWORD)):
        assert shown_forms(secret, seen + caplog.text) == []


@pytest.mark.parametrize(
    "proxy", ["http://me:{}@127.0.0.1:1", "socks5://me:{}@127.0.0.1:1", "http://me:{}@[x:1"]
)
async def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("http_proxy", proxy.format(PASSWORD))
    seen = await answered("http://model.invalid/v1")
    assert "EngineSetupError" in seen or "can't be reached" in seen
    assert shown_forms(PASSWORD, seen + caplog.text) == []


async def test_a_proxy_is_sent_its_password(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str] = []

    def reply(head: str) -> bytes:
        heads.append(head)
        return http("200 OK", json.dumps({"choices": [{"index": 0, "text": "yes"}]}))

    assert "yes" in await proxied(serve, monkeypatch, reply, "http://model.invalid/v1")
    sent = b64encode(f"me:{unquote(PASSWORD)}".encode()).decode()
    assert f"Proxy-Authorization: Basic {sent}" in heads[-1]


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


def test_a_key_in_place_of_its_variables_name_is_not_shown() -> None:
    args = {"api_key_env": "sk-pa55word", "base_url": "https://host/v1"}
    (problem,) = check_engine(EngineSpec("t", "m", backend="openai", args=args))
    assert "no name of an environment variable" in problem
    assert "pa55word" not in problem


def test_a_token_of_the_hub_belongs_into_no_recipe() -> None:
    problems = check_engine(EngineSpec("t", "m", args={"hf_token": "hf_pa55word"}))
    assert len(problems) == 1
    assert "set the environment variable HF_TOKEN" in problems[0]
    assert "pa55word" not in problems[0]
    assert check_engine(EngineSpec("t", "m", args={"hf_token": True})) == []

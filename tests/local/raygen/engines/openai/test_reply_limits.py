"""Whatever an endpoint sends, and however much of it: memory is bounded and the error says why."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, repeat
from typing import Any

import pytest

from tests.support.bombs import bomb, limited

GIB = 2**30
BLANKS = repeat(b" " * 2**16)
CHUNKS = (b"10000\r\n" + part + b"\r\n" for part in BLANKS)
HEADS = {
    "gzip": "Content-Encoding: gzip",
    "deflate": "Content-Encoding: deflate",
    "chunked": "Transfer-Encoding: chunked",
    "length": "Content-Length: 99999999999",
    "blanks": "X-Nothing: 1",
}


def body(kind: str) -> Iterator[bytes]:
    if kind == "gzip":
        return bomb(2 * GIB)
    if kind == "deflate":
        return bomb(2 * GIB, wbits=15)
    return CHUNKS if kind == "chunked" else BLANKS


ASK = """
os.environ["OPENAI_API_KEY"] = ""
retrying.ATTEMPTS = 2

async def ask(case):
    args = {"base_url": f"{sys.argv[1]}/{case}", "timeout": 30.0}
    spec = EngineSpec("teacher", "m", backend="openai", args=args)
    try:
        engine = await OpenAIEngine.start(spec, first_wait=0.001)
    except Exception as error:
        return [type(error).__name__, str(error)]
    try:
        return ["answer", (await engine.generate(Request("q")))[0].text]
    except Exception as error:
        return [type(error).__name__, str(error)]
    finally:
        await engine.close()

async def all_of():
    return {case: await ask(case) for case in sys.argv[2:]}

print(json.dumps(asyncio.run(all_of())))
"""
IMPORTS = """
import asyncio, os
from raygen.engines.base import EngineSpec, Request
from raygen.engines.openai import retrying
from raygen.engines.openai.engine import OpenAIEngine
"""


class Hostile:
    """A server that answers `POST /STATUS-KIND/...` with a status and a body without an end."""

    def __init__(self) -> None:
        self.posts: Counter[str] = Counter()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[0]
        method, path, _ = line.split()
        case = path.split("/")[1]
        self.posts[case] += method == "POST"
        if method == "GET" and not case.startswith("models"):
            parts: Iterator[bytes] = iter([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])
        else:
            status, kind = case.replace("models", "200").split("-")
            head = f"HTTP/1.1 {status} X\r\n{HEADS[kind]}\r\nConnection: close\r\n\r\n"
            parts = chain([head.encode()], body(kind))
        with suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
        writer.close()


@pytest.fixture(scope="module")
def hostile() -> Iterator[tuple[str, Hostile]]:
    behaviour = Hostile()
    loop = asyncio.new_event_loop()
    started = loop.run_until_complete(asyncio.start_server(behaviour.handle, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{started.sockets[0].getsockname()[1]}", behaviour
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.fixture(scope="module")
def answers(hostile: tuple[str, Hostile]) -> dict[str, Any]:
    """What an engine with little memory makes of each body, by the case."""
    cases = [f"{status}-{kind}" for status in ("200", "400", "500", "models") for kind in HEADS]
    found: dict[str, Any] = limited(ASK, hostile[0], *cases, imports=IMPORTS)
    return found


@pytest.mark.parametrize("kind", HEADS)
def test_a_body_over_the_limit_fails_its_request_at_once(
    kind: str, answers: dict[str, Any], hostile: tuple[str, Hostile]
) -> None:
    error, message = answers[f"200-{kind}"]
    assert error == "RequestRefusedError"
    assert message.startswith("response_too_large: engine 'teacher' at http://127.0.0.1")
    assert "16,842,752 bytes, unpacked" in message
    assert hostile[1].posts[f"200-{kind}"] == 1


@pytest.mark.parametrize("kind", HEADS)
def test_an_error_says_what_its_status_says_however_long_it_is(
    kind: str, answers: dict[str, Any], hostile: tuple[str, Hostile]
) -> None:
    assert answers[f"400-{kind}"][0] == "EngineUnavailableError"
    assert "answered 400" in answers[f"400-{kind}"][1]
    assert hostile[1].posts[f"400-{kind}"] < 5
    assert answers[f"500-{kind}"][0] == "EngineUnavailableError"
    assert "answered 500" in answers[f"500-{kind}"][1]


@pytest.mark.parametrize("kind", HEADS)
def test_a_list_of_models_without_an_end_is_not_read(kind: str, answers: dict[str, Any]) -> None:
    assert answers[f"models-{kind}"][0] == "RequestRefusedError"
    assert "bytes, unpacked" in answers[f"models-{kind}"][1]


def test_large_replies_that_were_requested_are_read() -> None:
    """Four tokens' text at most a byte each, and the log-probabilities of 100,000 tokens."""
    code = """
import asyncio
from aiohttp import web
entry = {"token": "word", "logprob": -0.25, "bytes": [119, 111, 114, 100], "top_logprobs": []}
logprobs = {"content": [entry] * 1500}
choice = {"index": 0, "message": {"content": "word" * 1500}, "logprobs": logprobs}
reply = json.dumps({"choices": [{**choice, "index": i} for i in range(128)]}).encode()

async def main():
    async def handle(request):
        return web.Response(body=b"{}" if request.method == "GET" else reply)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    args = {"base_url": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    engine = await OpenAIEngine.start(EngineSpec("e", "m", backend="openai", args=args))
    chat = (Message("user", "q"),)
    answers = await engine.generate(Request(chat, Sampling(n=128, max_tokens=1500)))
    await engine.close()
    await runner.cleanup()
    return [len(answers), len(reply) > 2**24, answers[7].logprob]

print(json.dumps(asyncio.run(main())))
"""
    imports = IMPORTS + "from raygen.engines.base import Message, Sampling"
    assert limited(code, imports=imports, megabytes=2000) == [128, True, -375.0]

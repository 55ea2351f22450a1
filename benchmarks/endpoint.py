"""A local OpenAI-compatible endpoint that answers every request after a fixed latency.

Stands in for a model where the client is what is measured: it runs in its own process and speaks
just enough HTTP/1.1. Run it as `python benchmarks/endpoint.py --port 8123 --latency 0.1`; it
prints its address when it listens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests on it are answered in their order."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport; answers still due are dropped."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Take every whole request out of the buffer and plan its answer."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            answer = _answer(head, body)
            delay = self._latency if body else 0.0
            asyncio.get_running_loop().call_later(delay, self._write, answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(HEAD + str(len(answer)).encode() + b"\r\n\r\n" + answer)


def _answer(head: bytes, body: bytes) -> bytes:
    if not body:
        return b'{"object":"list","data":[{"id":"bench"}]}'
    n = json.loads(body).get("n", 1)
    chat = b"/chat/" in head[: head.find(b"\r\n")]
    text = "A short answer that costs nothing to make."
    choices = [
        {
            "index": index,
            "finish_reason": "stop",
            **({"message": {"role": "assistant", "content": text}} if chat else {"text": text}),
        }
        for index in range(n)
    ]
    usage = {"prompt_tokens": 16, "completion_tokens": 9 * n, "total_tokens": 16 + 9 * n}
    return json.dumps({"id": "bench", "choices": choices, "usage": usage}).encode()


async def serve(port: int, latency: float) -> None:
    """Listen on 127.0.0.1 until cancelled; port 0 takes a free one."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(latency), "127.0.0.1", port, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def running(latency: float) -> Iterator[str]:
    """The endpoint in a process of its own; gives its address and stops it at the end."""
    command = [sys.executable, str(Path(__file__)), "--port", "0", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main() -> None:
    """Serve with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--latency", type=float, default=0.1, help="seconds before each answer")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, options.latency))


if __name__ == "__main__":
    main()

"""A local object store that speaks S3, and a proxy before it that fails every k-th request.

The store is moto's; the proxy is a plain HTTP server that hands requests on. Both run in a process
of their own (`python -m tests.integration.failing_store`), because deltalake's client waits for its
answers with the interpreter's lock in its hand. Knows nothing of raygen.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Failure = Literal["500", "503", "dropped", "answer lost"]
"""How a request fails: refused, the connection cut before the store sees it, or after it acted."""

_CONTROL = "/-/fail"
_HOP = frozenset({"connection", "transfer-encoding", "content-length", "date", "server"})


class Chance:
    """Which requests fail: every k-th, in several ways by turns; none where `every` is 0."""

    def __init__(self) -> None:
        self._every = 0
        self._failures: Sequence[Failure] = ()
        self._seen = 0
        self._failed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def change(self, every: int, failures: Sequence[Failure]) -> dict[str, int]:
        """From now on another k; returns how many requests failed in which way until now."""
        with self._lock:
            until_now = dict(self._failed)
            self._every, self._failures, self._seen = every, failures, 0
            self._failed.clear()
            return until_now

    def next(self) -> Failure | None:
        """How the request that has just come is to fail, None where it isn't."""
        with self._lock:
            self._seen += 1
            if not self._every or self._seen % self._every:
                return None
            failure = self._failures[self._failed.total() % len(self._failures)]
            self._failed[failure] += 1
            return failure


class Proxy(ThreadingHTTPServer):
    """Hands requests on to a store, but for those that are to fail."""

    daemon_threads = True

    def __init__(self, store: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store = store
        self.chance = Chance()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def any_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == _CONTROL:
            told = self.server.chance.change(**json.loads(body))
            self._answer(200, {}, json.dumps(told).encode())
            return
        failure = self.server.chance.next()
        if failure == "dropped":
            self._cut()
        if failure in ("500", "503"):
            self._answer(int(failure), {}, b"<Error><Code>InternalError</Code></Error>")
            return
        status, headers, answer = self._handed_on(body)
        if failure == "answer lost":
            self._cut()
        self._answer(status, headers, answer)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = any_request  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _handed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        store = http.client.HTTPConnection(*self.server.store, timeout=60)
        try:
            store.request(self.command, self.path, body, dict(self.headers))
            found = store.getresponse()
            return found.status, dict(found.getheaders()), found.read()
        finally:
            store.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        length = str(len(body))
        for name, value in headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def _cut(self) -> None:
        """Reset the connection, as a router does that dies."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise ConnectionResetError


@dataclass(frozen=True, slots=True)
class FailingStore:
    """The store as its user sees it; it fails nothing until it is told to."""

    url: str

    def fail(self, every: int, *failures: Failure) -> dict[str, int]:
        """From now on every k-th request fails, none with 0; returns what failed until now."""
        body = json.dumps({"every": every, "failures": failures}).encode()
        with urllib.request.urlopen(self.url + _CONTROL, body, timeout=60) as answer:  # noqa: S310
            told: dict[str, int] = json.load(answer)
        return told

    @property
    def environment(self) -> dict[str, str]:
        """What clients of S3 read to find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }


@contextmanager
def failing_store() -> Iterator[FailingStore]:
    """An empty store behind its proxy, until the block ends."""
    command = [sys.executable, "-m", "tests.integration.failing_store"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield FailingStore(process.stdout.readline().strip())
        finally:
            process.kill()


def main() -> None:
    """Serve until killed; the first line is the address."""
    from moto.server import ThreadedMotoServer

    store = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    store.start()
    proxy = Proxy(store.get_host_and_port())
    print(f"http://127.0.0.1:{proxy.server_address[1]}", flush=True)
    proxy.serve_forever()


if __name__ == "__main__":
    main()

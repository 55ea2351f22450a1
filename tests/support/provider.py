"""A fake provider: an OpenAI-compatible endpoint whose manners a test switches on and off.

It says that it is one in its `Server` header, and answers at once, with the number of its answers.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = "Dogs bark and the others do not. The answer is (B)."
Reply = tuple[int, Any]


@dataclass
class Manners:
    """How the provider differs from what the format promises; by default it doesn't.

    `refused` are settings that it refuses with 400, by name unless `silent`. Of `n` answers it
    gives `gives`, and more than `takes` it refuses. `other_limit`: it wants max_completion_tokens.
    `models` is the status of its list of models. `flagged` maps words in a prompt to the reply.
    `everybody` is its reply to every request, `paths` are those that it has.
    """

    refused: frozenset[str] = frozenset()
    silent: bool = False
    gives: int | None = None
    takes: int | None = None
    other_limit: bool = False
    models: int = 200
    usage: bool = True
    flagged: dict[str, Reply] = field(default_factory=dict)
    everybody: Reply | None = None
    paths: tuple[str, ...] = ("/v1/completions", "/v1/chat/completions")
    choice: dict[str, Any] = field(default_factory=dict)
    answer: Callable[[int], str] = lambda _: ANSWER


class Provider(ThreadingHTTPServer):
    """The server. `bodies` are the requests, in their order; `url` is its base_url."""

    daemon_threads = True

    def __init__(self, manners: Manners) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manners = manners
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()

    def reply(self, path: str, body: dict[str, Any]) -> Reply:
        """The status and the reply of a POST."""
        manners = self.manners
        prompt = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
        flagged = [reply for words, reply in manners.flagged.items() if words in prompt]
        if path.partition("?")[0] not in manners.paths:
            return 404, {"detail": "Not Found"}
        if manners.everybody is not None:
            return manners.everybody
        if flagged:
            return flagged[0]
        if refused := sorted(manners.refused & set(body)):
            named = "something" if manners.silent else refused[0]
            return 400, error(f"this model does not take {named} so")
        if manners.other_limit and "max_tokens" in body:
            return 400, error("use 'max_completion_tokens' instead")
        n = body.get("n", 1)
        if manners.takes is not None and n > manners.takes:
            return 400, error(f"n must be at most {manners.takes}")
        return 200, self.chat(n if manners.gives is None else min(n, manners.gives), path)

    def chat(self, n: int, path: str) -> dict[str, Any]:
        """A completion with n choices."""
        manners = self.manners
        choices = []
        for index in range(n):
            text = manners.answer(len(self.bodies) - 1)
            said = {"message": {"content": text}} if "chat" in path else {"text": text}
            choices.append({"index": index, "finish_reason": "stop", **said, **manners.choice})
        usage = {"prompt_tokens": 10, "completion_tokens": 12 * n}
        return {"choices": choices, **({"usage": usage} if manners.usage else {})}


def error(message: str, **more: Any) -> dict[str, Any]:
    """The body of a refusal."""
    return {"error": {"type": "invalid_request_error", "message": message, **more}}


@contextmanager
def provider(manners: Manners | None = None) -> Iterator[Provider]:
    """Run a provider on a free port."""
    server = Provider(manners or Manners())
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # heads and bodies in one packet
    server_version = "raygen-fake-provider"
    server: Provider

    def do_GET(self) -> None:
        self._send(self.server.manners.models, {"data": [{"id": "m"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.paths.append(self.path)
            self.server.headers.append(dict(self.headers))
            reply = self.server.reply(self.path, body)
        self._send(*reply)

    def _send(self, status: int, value: Any) -> None:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

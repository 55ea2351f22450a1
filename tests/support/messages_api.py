"""A local server in the form of Anthropic's Messages API; a fake, with no model behind it."""

from __future__ import annotations

import datetime
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Reply = Callable[[dict[str, Any], int], web.Response | None]


class MessagesApi:
    """Answers `said: LAST TURN`; `reply(body, count)` may answer the count-th request otherwise.

    Batches end when `batches_end` is set; `outcome` may give a request of one another result.
    """

    def __init__(self) -> None:
        self.url = ""
        self.model = "claude-test"
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.batches: dict[str, list[dict[str, Any]]] = {}
        self.batches_end = True
        self.reply: Reply = lambda body, count: None
        self.outcome: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda entry: None
        self.lose_creations = 0

    def app(self) -> web.Application:
        """Make the web application."""
        app = web.Application(client_max_size=2**28)
        app.router.add_get("/v1/models/{name}", self._get_model)
        app.router.add_post("/v1/messages", self._message)
        app.router.add_post("/v1/messages/batches", self._create)
        app.router.add_get("/v1/messages/batches", self._list)
        app.router.add_get("/v1/messages/batches/{name}", self._retrieve)
        app.router.add_get("/v1/messages/batches/{name}/results", self._results)
        return app

    async def _get_model(self, request: web.Request) -> web.Response:
        if request.match_info["name"] != self.model:
            return problem(404, "not_found_error", f"model: {request.match_info['name']}")
        return web.json_response({"id": self.model, "type": "model", "display_name": "Test"})

    async def _message(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append({k.lower(): v for k, v in request.headers.items()})
        return self.reply(body, len(self.bodies) - 1) or web.json_response(message(body))

    async def _create(self, request: web.Request) -> web.Response:
        entries = (await request.json())["requests"]
        name = f"msgbatch_{len(self.batches)}"
        self.batches[name] = entries
        if self.lose_creations:
            self.lose_creations -= 1
            return problem(500, "api_error", "lost")
        return web.json_response(self._batch(request, name))

    async def _list(self, request: web.Request) -> web.Response:
        data = [self._batch(request, name) for name in reversed(self.batches)]
        return web.json_response({"data": data, "has_more": False, "first_id": None})

    async def _retrieve(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.batches:
            return problem(404, "not_found_error", "no such batch")
        return web.json_response(self._batch(request, name))

    async def _results(self, request: web.Request) -> web.Response:
        lines = [
            {
                "custom_id": entry["custom_id"],
                "result": self.outcome(entry)
                or {"type": "succeeded", "message": message(entry["params"])},
            }
            for entry in reversed(self.batches[request.match_info["name"]])
        ]
        return web.Response(text="".join(json.dumps(line) + "\n" for line in lines))

    def _batch(self, request: web.Request, name: str) -> dict[str, Any]:
        entries = self.batches[name]
        failed = sum(self.outcome(entry) is not None for entry in entries)
        ended = self.batches_end
        now = datetime.datetime.now(datetime.UTC).isoformat()
        return {
            "id": name,
            "type": "message_batch",
            "created_at": now,
            "expires_at": now,
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": {
                "processing": 0 if ended else len(entries),
                "succeeded": len(entries) - failed if ended else 0,
                "errored": failed if ended else 0,
                "expired": 0,
                "canceled": 0,
            },
            "results_url": f"{self.url}/v1/messages/batches/{name}/results" if ended else None,
        }


def message(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Make the reply to a request."""
    last = body["messages"][-1]["content"][-1]["text"]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": f"said: {last}"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 4},
        **changes,
    }


def problem(status: int, kind: str, text: str, **headers: str) -> web.Response:
    """Make an error reply."""
    error = {"type": "error", "error": {"type": kind, "message": text}}
    return web.json_response(error, status=status, headers=headers)


@asynccontextmanager
async def served(api: MessagesApi) -> AsyncIterator[MessagesApi]:
    """Serve it on a free port of the loopback address."""
    runner = web.AppRunner(api.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()

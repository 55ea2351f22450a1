"""A local endpoint with chats and batches in OpenAI's form; a fake, with no model behind it.

Run as a program it serves until it is killed, and prints its address.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Entry = dict[str, Any]


class BatchServer:
    """Answers `said: LAST TURN`. What it does otherwise is set on it before or between requests.

    A batch ends when it has been looked at `looks` times. `outcome` may give a request of a batch
    another result, `status` of a batch another state; `lose` counts creations whose reply is lost.
    """

    def __init__(self, looks: int = 0) -> None:
        self.url = ""
        self.looks = looks
        self.live: list[Entry] = []
        self.files: dict[str, list[Entry]] = {}
        self.batches: dict[str, Entry] = {}
        self.seen: dict[str, int] = {}
        self.outcome: Callable[[Entry], Entry | None] = lambda entry: None
        self.status: Callable[[Entry], Entry | None] = lambda batch: None
        self.refuse: Callable[[Entry], str | None] = lambda body: None
        self.lose = 0

    def app(self) -> web.Application:
        """Make the web application."""
        app = web.Application(client_max_size=2**28)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files/{name}/content", self._content)
        app.router.add_post("/v1/batches", self._create)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{name}", self._retrieve)
        app.router.add_get("/sent", self._sent)
        return app

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": []})

    async def _chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.live.append(body)
        if why := self.refuse(body):
            return web.json_response({"error": {"message": why}}, status=400)
        return web.json_response(chat_reply(body))

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        assert form["purpose"] == "batch"
        name = f"file-{len(self.files)}"
        self.files[name] = [json.loads(line) for line in file.file.read().splitlines()]
        return web.json_response({"id": name})

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = f"batch_{len(self.batches)}"
        self.batches[name] = {"id": name, **body}
        if self.lose:
            self.lose -= 1
            return web.Response(status=502, text="lost")
        return web.json_response(self.batches[name])

    async def _list(self, request: web.Request) -> web.Response:
        names = list(reversed(self.batches))
        if after := request.query.get("after"):
            names = names[names.index(after) + 1 :]
        page, more = names[:2], len(names) > 2
        return web.json_response({"data": [self.batches[n] for n in page], "has_more": more})

    async def _retrieve(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.batches:
            return web.json_response({"error": {"message": "no such batch"}}, status=404)
        batch = self.batches[name]
        self.seen[name] = self.seen.get(name, 0) + 1
        if other := self.status(batch):
            return web.json_response({**batch, **other})
        if self.seen[name] <= self.looks:
            return web.json_response({**batch, "status": "in_progress"})
        entries = self.files[batch["input_file_id"]]
        failed = sum(self.outcome(entry) is not None for entry in entries)
        counts = {"total": len(entries), "completed": len(entries) - failed, "failed": failed}
        done = {"status": "completed", "request_counts": counts, "output_file_id": f"{name}-out"}
        error = {"error_file_id": f"{name}-errors"} if failed else {}
        return web.json_response({**batch, **done, **error})

    async def _content(self, request: web.Request) -> web.Response:
        batch, _, kind = request.match_info["name"].rpartition("-")
        lines = []
        for entry in reversed(self.files[self.batches[batch]["input_file_id"]]):
            other = self.outcome(entry)
            if (other is None) == (kind == "out"):
                response = {"status_code": 200, "body": chat_reply(entry["body"])}
                lines.append({"custom_id": entry["custom_id"], **(other or {"response": response})})
        return web.Response(text="".join(json.dumps(line) + "\n" for line in lines))

    async def _sent(self, request: web.Request) -> web.Response:
        return web.json_response(self.sent())

    def sent(self) -> list[list[str]]:
        """List the last turns of the requests of each batch."""
        return [
            sorted(last_turn(entry["body"]) for entry in self.files[batch["input_file_id"]])
            for batch in self.batches.values()
        ]


def last_turn(body: Entry) -> str:
    """Return the text of a request's last turn."""
    return str(body["messages"][-1]["content"])


def chat_reply(body: Entry) -> Entry:
    """Make the reply to a chat."""
    choice = {"finish_reason": "stop", "message": {"content": f"said: {last_turn(body)}"}}
    n = body.get("n", 1)
    return {
        "choices": [{"index": index, **choice} for index in range(n)],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2 * n},
    }


@asynccontextmanager
async def served(server: BatchServer) -> AsyncIterator[BatchServer]:
    """Serve it on a free port of the loopback address."""
    runner = web.AppRunner(server.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()


async def _serve(looks: int) -> None:
    async with served(BatchServer(looks)) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))

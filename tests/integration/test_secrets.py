"""A planted key is looked for in all that `raygen apply` leaves and says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

KEY = "sk-planted-that-nobody-may-read/0123456789"
"""In the environment of the process alone: what starts the tests doesn't have it."""


class _Echo(BaseHTTPRequestHandler):
    """Answers with the header that it was sent; every third question with an error that has it."""

    def do_GET(self) -> None:
        self._send(200, {"data": []})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sent = self.headers["Authorization"]
        prompt = json.dumps(body)
        if "Question 3?" in prompt:
            self._send(400, {"error": {"message": f"bad request with {sent}"}})
        elif "Question 4?" in prompt:
            self._send(413, {"error": {"message": f"too long, with {sent}"}})
        elif "Question 5?" in prompt:
            self.connection.sendall(f"HTTP/9 {sent}\r\n\r\n".encode())
        elif "Question 6?" in prompt:
            self._send(200, {"choices": [{"index": 0, "text": [sent]}]})
        else:
            text = f"I was sent {sent}. So the answer is: (a)"
            answer = {"content": text} if "messages" in body else text
            key = "message" if "messages" in body else "text"
            choices = [{"index": i, key: answer} for i in range(body["n"])]
            self._send(200, {"choices": choices, "usage": {"prompt_tokens": 3}})

    def log_message(self, *_: Any) -> None:
        pass

    def _send(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Refuse(_Echo):
    """Lets nobody in, and says with which key they came."""

    def do_POST(self) -> None:
        self._send(403, {"error": {"message": f"not with {self.headers['Authorization']}"}})


@pytest.fixture
def serve() -> Iterator[Any]:
    servers = []

    def start(handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/v1"

    yield start
    for server in servers:
        server.shutdown()


def leaks(folder: Path) -> list[str]:
    """The files with the key in them, parquet by its values."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += str(pl.read_parquet(path).to_dicts()).encode()
            if KEY.encode() in content or KEY.replace("/", "\\/").encode() in content:
                found.append(str(path))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("handler", [_Echo, _Refuse])
def test_a_planted_key_is_nowhere(
    project: Any, serve: Any, handler: type[BaseHTTPRequestHandler]
) -> None:
    args = {"base_url": serve(handler), "api_key_env": "PLANTED_KEY", "timeout": 20}
    teacher = {"model": "m", "backend": "openai", "args": args}
    recipe = project.write(
        12, engines={"teacher": teacher}, output={"from": "correct", "path": "out",
                                                  "max_failed": 1.0}
    )  # fmt: skip
    environment = {**os.environ, "PLANTED_KEY": KEY}

    def raygen(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "raygen.cli", *words],
            capture_output=True, text=True, env=environment, timeout=280,
        )  # fmt: skip

    done = raygen("apply", str(recipe), "--address", project.address, "--yes", "--json")
    assert done.returncode == (1 if handler is _Echo else 2), done.stderr
    assert "Traceback" not in done.stderr
    said = [done]
    for words in (
        ("plan", str(recipe)),
        ("validate", str(recipe)),
        ("status", str(project.out), "--json"),
        ("status", str(project.out)),
    ):
        said.append(raygen(*words))
        assert "Traceback" not in said[-1].stderr
    assert not any(KEY in one.stdout or KEY in one.stderr for one in said)
    assert leaks(project.folder) == []
    if handler is _Echo:
        assert "***" in str(pl.read_delta(str(project.out / "transcripts")).to_dicts())
        assert json.loads(said[0].stdout)["rows"]["kept"] >= 2
    assert list((project.out / "logs").rglob("*")), "what is searched has the workers' logs"

"""Planted secrets are looked for, in every usual form, in all that a run leaves and says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.integration.conftest import Project
from tests.support.secret_forms import FORMS, leaks, shown_forms

PLANTED = {
    "PLANTED_KEY": "sk-planted+that-nobody-may-read/0123456789",
    "HF_TOKEN": "hf_PlantedTokenOfTheHub0123456789",
    "HTTPS_PROXY": "http://me:the-pa55word+of/the-proxy@proxy.invalid:3128",
    "X_GATEWAY_TOKEN": "token=of;a-header/of+the-gateway-1",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
}
"""In the environment of the process alone: what starts the tests doesn't have them."""
SECRETS = [value.partition("//me:")[2].partition("@")[0] or value for value in PLANTED.values()]
NAMES = list(FORMS)
LOOK = Path(__file__).with_name("several_commands.py")
"""Runs commands one after the other in one process."""


def replied(number: int) -> tuple[int, str]:
    """What the endpoint answers: all secrets in a form that hangs on the question."""
    name = NAMES[number % len(NAMES)]
    text = "I got " + " and ".join(FORMS[name](secret) for secret in SECRETS)
    match number // len(NAMES):
        case 0:
            answer = f"{text}. So the answer is: ({'abc'[number % 3]})"
            body = json.dumps({"choices": [{"index": 0, "text": answer}] * 2})
            # As a careless server writes it: escapes that are read as JSON's own.
            return 200, body.replace("\\\\u", "\\u")
        case 1:
            return 400, json.dumps({"error": {"message": text, "code": text}})
        case _:
            return 413, text


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._send(200, "{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        found = re.search(r"Question (\d+)\?", body)
        # By a question without a number the engine finds out whose fault a refusal is.
        self._send(*replied(int(found[1]) if found else 0))

    def log_message(self, *_: Any) -> None:
        pass

    def _send(self, status: int, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Refuse(_Echo):
    """Lets nobody in, and says with which key they came."""

    def do_POST(self) -> None:
        self._send(403, f"not with {self.headers['Authorization']}")


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


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the run has its home, its temporary files and Ray's sockets and logs: a short path."""
    folder = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("handler", [_Echo, pytest.param(_Refuse, marks=pytest.mark.slow)])
def test_planted_secrets_are_nowhere(
    tmp_path: Path, temporary: Path, serve: Any, handler: type[BaseHTTPRequestHandler]
) -> None:
    project = Project(tmp_path, "")
    args = {"base_url": serve(handler), "api_key_env": "PLANTED_KEY", "timeout": 20}
    recipe = project.write(
        3 * len(NAMES),
        engines={"teacher": {"model": "m", "backend": "openai", "args": args}},
        output={"from": "correct", "path": "out", "max_failed": 1.0},
    )
    places = {name: str(temporary) for name in ("HOME", "TMPDIR", "RAY_TMPDIR", "RAYGEN_CACHE")}
    environment = {**os.environ, **PLANTED, **places, "COLUMNS": "200"}

    def python(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, words)],
            capture_output=True, text=True, env=environment, timeout=280, check=False,
        )  # fmt: skip

    done = python("-m", "raygen.cli", "apply", recipe, "--yes", "--json")
    assert done.returncode == (0 if handler is _Echo else 2), done.stderr
    commands: list[list[object]] = [
        ["plan", recipe],
        ["status", project.out],
        ["show", project.out],
        ["report", project.out, "--out", tmp_path / "report.html"],
        ["export", project.out, "--format", "jsonl", "--out", tmp_path / "exported"],
    ]
    looked = python(LOOK, *(json.dumps([*map(str, words)]) for words in commands))
    shown = "\n".join(each.stdout + each.stderr for each in (done, looked))
    assert "Traceback" not in shown
    assert [shown_forms(secret, shown) for secret in SECRETS] == [[]] * len(SECRETS)
    assert leaks(tmp_path, SECRETS) == []
    assert leaks(temporary, SECRETS) == []
    assert list((project.out / "logs").rglob("worker-*.log")), "the workers' logs are searched"
    assert list(temporary.rglob("session_*/logs/*")), "and Ray's"
    if handler is _Echo:
        assert (tmp_path / "exported").exists()
        transcripts = pl.read_delta(str(project.out / "transcripts"))["completions"].to_list()
        assert len([text for text in transcripts if text.count("***") >= 5]) >= len(NAMES)
        assert "***" in str(pl.read_delta(str(project.out / "rows")).to_dicts())

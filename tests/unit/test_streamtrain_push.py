"""Pushing a student, against a stub of the hub's HTTP interface in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from streamtrain.errors import InputError
from streamtrain.push import check_pushable

PUSH = "import sys; from pathlib import Path; from streamtrain.push import push; "


class Hub(BaseHTTPRequestHandler):
    """A stand-in for the hub: makes repositories, takes commits, and refuses other tokens."""

    seen: list[tuple[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.headers.get("Authorization") != "Bearer hf_good":
            self.answer(401, {"error": "Invalid token"})
        elif self.path == "/api/repos/create":
            self.seen.append(("create", json.loads(body)))
            self.answer(200, {"url": f"http://{self.headers['Host']}/me/student"})
        elif "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self.answer(200, {"files": files})
        elif "/commit/" in self.path:
            lines = [json.loads(line) for line in body.splitlines()]
            self.seen.append(("commit", lines))
            url = f"http://{self.headers['Host']}/me/student/commit/1"
            self.answer(200, {"commitUrl": url, "commitOid": "1", "success": True})
        else:
            self.answer(200, {})

    def do_GET(self) -> None:
        self.answer(200, {"id": "me/student", "sha": "0", "siblings": []})

    def answer(self, status: int, data: Any) -> None:
        text = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def hub() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    seen: list[tuple[str, Any]] = []
    handler = type("SeenHub", (Hub,), {"seen": seen})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()


def push(folder: Path, endpoint: str, token: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_TOKEN": token}
    environment.pop("HF_HUB_OFFLINE", None)
    code = f"{PUSH}print(push(Path({str(folder)!r}), 'me/student', True))"
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_a_folder_becomes_a_commit_in_a_repository(
    hub: tuple[str, list[tuple[str, Any]]], tmp_path: Path
) -> None:
    endpoint, seen = hub
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("# A student\n")
    done = push(tmp_path, endpoint, "hf_good")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("/me/student/commit/1")
    (create, asked), (commit, lines) = seen
    assert (create, commit) == ("create", "commit")
    assert (asked["name"], asked["visibility"]) == ("student", "private")
    files = {line["value"]["path"] for line in lines if line["key"] == "file"}
    assert files == {"config.json", "README.md"}


def test_a_token_that_is_refused_is_one_clear_error(
    hub: tuple[str, list[tuple[str, Any]]], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    done = push(tmp_path, hub[0], "hf_bad")
    assert done.returncode != 0
    assert "InputError: can't push to me/student: " in done.stderr
    assert "hf auth login" in done.stderr
    assert "hf_bad" not in done.stderr


def test_an_adapter_of_a_local_model_is_not_pushed(tmp_path: Path) -> None:
    settings = tmp_path / "adapter_config.json"
    settings.write_text(json.dumps({"base_model_name_or_path": "/models/mine"}))
    with pytest.raises(InputError, match="with --merge"):
        check_pushable(tmp_path)
    settings.write_text(json.dumps({"base_model_name_or_path": "org/model"}))
    check_pushable(tmp_path)

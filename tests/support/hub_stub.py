"""A fake of the Hugging Face hub: repositories in memory, behind as much of its HTTP interface as
pushing, reading and loading ask for. Another token than its own is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_good"
_SESSION = """
import contextlib, io, json, os, sys, traceback

answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    request = json.loads(line)
    os.environ["HF_TOKEN"] = request["token"]
    output, code = io.StringIO(), 0
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            exec(request["program"], {})
        except SystemExit as end:
            code = end.code or 0
        except Exception:
            code = 1
            traceback.print_exc()
    print(json.dumps([code, output.getvalue()]), file=answers, flush=True)
"""
_API = re.compile(
    r"/api/(models|datasets)/(?P<name>[^/]+/[^/]+)(/(?P<what>[^/]+)(/(?P<rest>.*))?)?"
)
_RESOLVE = re.compile(r"(/datasets)?/(?P<name>[^/]+/[^/]+)/resolve/[^/]+/(?P<path>.+)")


@dataclass
class StubRepository:
    """A repository: its files, and how many commits made them."""

    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0

    @property
    def sha(self) -> str:
        return f"{self.commits:040x}"


@dataclass
class Hub:
    """The fake itself. `asked` are the bodies of what was to be created."""

    address: str
    repositories: dict[str, StubRepository] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def python(self, code: str, home: Path, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
        """Run a program that takes this for the hub; its address is read when it is imported."""
        return subprocess.run(
            [sys.executable, "-c", code], env=self._environment(home, token), capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    @contextmanager
    def session(self, home: Path) -> Iterator[HubSession]:
        """Start a process that takes this for the hub and runs programs one after the other."""
        process = subprocess.Popen(
            [sys.executable, "-c", _SESSION], env=self._environment(home, TOKEN), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        with process:
            yield HubSession(process)

    def _environment(self, home: Path, token: str) -> dict[str, str]:
        environment = {
            **os.environ,
            "HF_ENDPOINT": self.address,
            "HF_TOKEN": token,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
        }
        environment.pop("HF_HUB_OFFLINE", None)
        return environment


@dataclass
class HubSession:
    """A process that runs programs against a fake hub; importing the hub's clients is slow."""

    process: subprocess.Popen[str]

    def python(self, program: str, token: str = TOKEN) -> tuple[int, str]:
        """Run a program there: its exit code, and what it prints."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps({"program": program, "token": token}), file=stdin, flush=True)
        code, output = json.loads(stdout.readline())
        return code, output

    def raygen(self, *words: str, token: str = TOKEN) -> tuple[int, str]:
        """Run a command of raygen there."""
        return self.python(f"from raygen.cli import main; main({list(words)!r})", token)


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A fake hub that answers until the end of the block."""
    with silent_hub() as (hub, listen):
        listen()
        yield hub


@contextmanager
def silent_hub() -> Iterator[tuple[Hub, Callable[[], None]]]:
    """A fake hub that refuses connections until the function that comes with it is called."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler, bind_and_activate=False)
    server.server_bind()
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"hub": hub})
    thread = Thread(target=server.serve_forever, daemon=True)

    def listen() -> None:
        server.server_activate()
        thread.start()

    yield hub, listen
    if thread.is_alive():
        server.shutdown()
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        found = _API.fullmatch(urlsplit(self.path).path)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(401, {"error": "Invalid token"})
        elif self.path == "/api/repos/create":
            self.create(json.loads(body))
        elif self.path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif found is None or found["name"] not in self.hub.repositories:
            self.missing("RepoNotFound")
        elif found["what"] == "preupload":
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self.answer(200, {"files": files})
        elif found["what"] == "commit":
            self.commit(found["name"], [json.loads(line) for line in body.splitlines()])
        elif found["what"] == "paths-info":
            repository = self.hub.repositories[found["name"]]
            wanted = json.loads(body)["paths"]
            self.answer(200, [_entry(p, d) for p, d in repository.files.items() if p in wanted])
        else:
            self.missing("EntryNotFound")

    def create(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        url = f"{self.hub.address}/{name}"
        if name in self.hub.repositories:
            self.answer(409, {"error": "You already created this repo", "url": url})
            return
        self.hub.asked.append(asked)
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.hub.repositories[name] = StubRepository(private)
        self.answer(200, {"url": url})

    def commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        repository = self.hub.repositories[name]
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del repository.files[value["path"]]
        repository.commits += 1
        url = f"{self.hub.address}/{name}/commit/{repository.sha}"
        self.answer(200, {"commitUrl": url, "commitOid": repository.sha, "success": True})

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        found = _API.fullmatch(path)
        file = _RESOLVE.fullmatch(path)
        name = (found or file or {"name": ""})["name"]
        repository = self.hub.repositories.get(name)
        if repository is None:
            self.missing("RepoNotFound")
        elif file is not None:
            self.send(repository, file["path"])
        elif found is not None and found["what"] == "tree":
            self.tree(repository, (found["rest"] or "").partition("/")[2])
        elif found is not None and found["what"] in (None, "revision"):
            siblings = [{"rfilename": path} for path in repository.files]
            facts = {"id": name, "sha": repository.sha, "private": repository.private}
            self.answer(200, {**facts, "siblings": siblings})
        else:
            self.missing("EntryNotFound")

    def do_HEAD(self) -> None:
        self.do_GET()

    def tree(self, repository: StubRepository, below: str) -> None:
        recursive = "recursive=true" in self.path.lower()
        prefix = f"{below}/" if below else ""
        entries: dict[str, dict[str, Any]] = {}
        for path, data in repository.files.items():
            if not path.startswith(prefix):
                continue
            parts = path.removeprefix(prefix).split("/")
            for end in range(1, len(parts)):
                folder = prefix + "/".join(parts[:end])
                if recursive or end == 1:
                    entries[folder] = {"type": "directory", "path": folder, "oid": "0", "size": 0}
            if recursive or len(parts) == 1:
                entries[path] = _entry(path, data)
        if below and not entries:
            self.missing("EntryNotFound")
        else:
            self.answer(200, list(entries.values()))

    def send(self, repository: StubRepository, path: str) -> None:
        data = repository.files.get(path)
        if data is None:
            self.missing("EntryNotFound")
            return
        status, total = 200, len(data)
        extra = {"ETag": f'"{_oid(data)}"', "X-Repo-Commit": repository.sha}
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(wanted[1]), int(wanted[2] or total - 1)
            data, status = data[first : last + 1], 206
            extra["Content-Range"] = f"bytes {first}-{first + len(data) - 1}/{total}"
        self.reply(status, data, "application/octet-stream", extra)

    def answer(self, status: int, data: Any) -> None:
        self.reply(status, json.dumps(data).encode(), "application/json", {})

    def missing(self, code: str) -> None:
        self.reply(404, b"{}", "application/json", {"X-Error-Code": code})

    def reply(self, status: int, body: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        return


def _oid(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _entry(path: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(data), "oid": _oid(data)}

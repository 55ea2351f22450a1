"""A recipe with companions, and places to fetch it from: a git repository, a web server."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which

RECIPE = """\
recipe: shared
version: 1
params: {n: {type: int, default: 2}}
source: {path: data/q.jsonl}
task: multiple_choice
engines:
  teacher: {model: scripted, backend: fake, args: {answers: ["Cold. So the answer is: (b)"]}}
graph:
  rationales:
    {op: sample_rationales, from: source, engine: teacher, n: "${n}", prompt: {file: p.j2}}
output: {from: rationales, path: out/shared}
"""
QUESTION = {"question": "What falls?", "choices": ["sand", "snow"], "answer": "snow"}


def write_recipe(folder: Path, text: str = RECIPE) -> Path:
    """The recipe, its prompt and its rows in a folder."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(text)
    (folder / "p.j2").write_text("{{ question }}")
    (folder / "data" / "q.jsonl").write_text(json.dumps(QUESTION) + "\n")
    return folder / "recipe.yaml"


def git(folder: Path, *words: str) -> str:
    """What a git command says."""
    who = ["-c", "user.name=n", "-c", "user.email=n@localhost", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        [which("git") or "git", *who, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def commit(folder: Path) -> str:
    """Everything in a folder as a commit of its repository, which is made where there is none."""
    if not (folder / ".git").exists():
        git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "x", "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


def copy_repository(url: str, rev: str | None, into: Path, access: object = None) -> str:
    """A fake of fetching by git: the working tree behind a `file://` address, whatever `rev`."""
    source, content = Path(url.removeprefix("file://")), hashlib.sha1(usedforsecurity=False)
    shutil.copytree(source, into, symlinks=True, dirs_exist_ok=True)
    for path in sorted(into.rglob("*")):
        content.update(str(path.relative_to(into)).encode())
        is_file = path.is_file() and not path.is_symlink()
        content.update(path.read_bytes() if is_file else b"")
    return content.hexdigest()


@contextmanager
def served(
    handler: type[BaseHTTPRequestHandler] | partial[SimpleHTTPRequestHandler],
) -> Iterator[str]:
    """A web server on this machine; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def files_of(folder: Path) -> partial[SimpleHTTPRequestHandler]:
    """A handler that serves the files of a folder."""
    return partial(_Quiet, directory=str(folder))


def hub_of(folder: Path, commit: str) -> type[BaseHTTPRequestHandler]:
    """A handler that stands in for the hub's HTTP interface; `datasets/org/name` is the folder."""

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path = self.path.partition("?")[0]
            if path in ("/api/datasets/org/name", "/api/datasets/org/name/revision/v1"):
                known = {"id": "org/name", "sha": commit, "siblings": []}
                self._send(200, json.dumps(known).encode(), {"Content-Type": "application/json"})
                return
            if path == f"/api/datasets/org/name/tree/{commit}":
                entries = [
                    {"type": "file", "path": file.relative_to(folder).as_posix(), "size": 1,
                     "oid": "0" * 40}
                    for file in folder.rglob("*") if file.is_file()
                ]  # fmt: skip
                self._send(200, json.dumps(entries).encode(), {"Content-Type": "application/json"})
                return
            start = f"/datasets/org/name/resolve/{commit}/"
            file = folder / path.removeprefix(start)
            if not path.startswith(start):
                self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
            elif not file.is_file():
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            else:
                about = {"X-Repo-Commit": commit, "ETag": f'"{path[-20:].replace("/", "-")}"'}
                self._send(200, file.read_bytes(), about)

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    return Hub

"""A repository, a listing or a server without an end: refused by its size, before it is written."""

from __future__ import annotations

import gzip
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from raygen.core import UserError
from raygen.recipe.remote.fetch import fetch
from raygen.recipe.remote.store import StoreFiles
from tests.support.bombs import bomb, limited
from tests.support.references import commit, git, write_recipe


def test_a_repository_that_unpacks_to_much_is_not_checked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder of one file, named ten times in each of ten levels: ten thousand million files."""
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "repository"
    write_recipe(repository)
    commit(repository)
    (repository / "blob").write_text("x" * 1000)
    inner = git(repository, "hash-object", "-w", "blob")
    line = f"100644 blob {inner}\t"
    for _ in range(10):
        entries = "".join(f"{line}{name}\n" for name in "abcdefghij")
        inner = subprocess.run(
            ["git", "mktree"],  # noqa: S607 - as a developer's shell finds it
            input=entries, cwd=repository, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        line = f"040000 tree {inner}\t"
    root = git(repository, "commit-tree", "-m", "x", inner)
    git(repository, "update-ref", "refs/heads/main", root)
    with pytest.raises(UserError, match=r"20,001 files of \d+ MiB at .*, or more"):
        fetch(f"git+file://{repository}")


class Endless(BaseHTTPRequestHandler):
    """A recipe without an end, as it is or packed; of `moved` only a full request gets one."""

    protocol_version = "HTTP/1.0"

    def do_HEAD(self) -> None:
        self.send_response(404 if "moved" in self.path else 200)
        self.end_headers()

    def do_GET(self) -> None:
        if "none" in self.path:
            self.send_response(404)
            self.end_headers()
            return
        self.send_response(206 if "part" in self.path else 200)
        if "packed" in self.path:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        part = b"".join(bomb(2**28)) if "packed" in self.path else b" " * 2**20
        with suppress(ConnectionError):
            for _ in range(2000):
                self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_a_recipe_on_the_web_has_a_limit(url: str) -> None:
    names = ["plain.yaml", "packed.yaml", "part.yaml", "moved.yaml", "moved-packed.yaml"]
    code = """
found = {}
for name in sys.argv[2:]:
    try:
        found[name] = len(files.read(name))
    except UserError as error:
        found[name] = str(error)
print(json.dumps(found))
"""
    imports = (
        "from raygen.core import UserError; from raygen.recipe.remote.store import StoreFiles\\n"
        "files = StoreFiles(sys.argv[1])\\nfiles.read('none.yaml')"
    ).replace("\\n", "\n")
    found = limited(code, url, *names, imports=imports, megabytes=400)
    assert set(found) == set(names)
    for name in names:
        assert (
            f"{url}/{name}: a recipe and the files beside it have more than 64 MiB" in found[name]
        )


def test_a_file_that_is_not_on_the_web_and_a_server_that_is_not_there(url: str) -> None:
    assert StoreFiles(url).read("none.yaml") is None
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:1/r\.yaml can't be fetched"):
        StoreFiles("http://127.0.0.1:1").read("r.yaml")


def test_a_folder_of_a_store_with_too_many_files_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("raygen.recipe.remote.gather.MOST_LISTED", 3)
    monkeypatch.setattr("raygen.recipe.remote.store.MOST_LISTED", 3)
    memory = fsspec.filesystem("memory")
    for name in "abcd":
        memory.pipe(f"/many/{name}.yaml", gzip.compress(b"x"))
    try:
        with pytest.raises(UserError, match="more than 3 files; put the recipe"):
            StoreFiles("memory://many").names()
        memory.rm("/many/d.yaml")
        assert StoreFiles("memory://many").names() == ["a.yaml", "b.yaml", "c.yaml"]
    finally:
        memory.rm("/many", recursive=True)

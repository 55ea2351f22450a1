"""A repository, a listing or a server without an end: refused by its size, before it is written."""

from __future__ import annotations

import gzip
import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from raygen.core import UserError
from raygen.core.access import Anonymous
from raygen.recipe.remote.fetch import fetch
from raygen.recipe.remote.store import StoreFiles
from raygen.sources import SourceError, files, read_source
from tests.support.bombs import bomb, limited
from tests.support.references import commit, git, served, write_recipe


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


class Listing(BaseHTTPRequestHandler):
    """A bucket whose list of keys has no end."""

    pages = 0

    def do_GET(self) -> None:
        type(self).pages += 1
        names = "".join(
            f"<Contents><Key>h/{self.pages}-{n}.yaml</Key><Size>1</Size><ETag>x</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for n in range(1000)
        )
        body = (
            f"<ListBucketResult><IsTruncated>true</IsTruncated>{names}<KeyCount>1000</KeyCount>"
            f"<NextContinuationToken>{self.pages}</NextContinuationToken></ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_a_bucket_without_an_end_is_listed_up_to_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import s3fs

    monkeypatch.setattr("raygen.recipe.remote.gather.MOST_LISTED", 3500)
    monkeypatch.setattr("raygen.recipe.remote.store.MOST_LISTED", 3500)
    with served(Listing) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        s3fs.S3FileSystem.clear_instance_cache()
        bucket = StoreFiles("s3://bucket/h", Anonymous(home="s3://bucket"))
        with pytest.raises(UserError, match=r"s3://bucket/h has more than 3,500 files; put the"):
            bucket.names()
        s3fs.S3FileSystem.clear_instance_cache()
    assert Listing.pages == 4


def test_a_strangers_glob_over_a_bucket_without_an_end_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import s3fs

    monkeypatch.setattr(files, "_LISTING", replace(files._LISTING, cpu_s=1.5))
    with served(Listing) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        s3fs.S3FileSystem.clear_instance_cache()
        anyone = Anonymous(home="s3://bucket")
        with pytest.raises(SourceError, match=r"listing s3://bucket/h/\*\.jsonl takes more than 1"):
            read_source("s3://bucket/h/*.jsonl", Path("/"), access=anyone)
        s3fs.S3FileSystem.clear_instance_cache()


COMMIT = "1" * 40


def packet(content: bytes) -> bytes:
    return b"%04x" % (len(content) + 4) + content


class Repository(BaseHTTPRequestHandler):
    """A git server whose answer to a fetch has no end: of data, of messages, or of waiting."""

    waiting = threading.Event()

    def do_GET(self) -> None:
        refs = packet(b"# service=git-upload-pack\n") + b"0000"
        abilities = b"side-band-64k shallow allow-tip-sha1-in-want"
        refs += packet(f"{COMMIT} HEAD\0".encode() + abilities + b"\n") + b"0000"
        self.answer("advertisement", refs)

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"]))
        shallow = packet(f"shallow {COMMIT}".encode()) + b"0000"
        is_last = b"done" in request
        self.answer("result", shallow + packet(b"NAK\n") if is_last else shallow)
        if not is_last:
            return
        if "silent" in self.path:
            self.waiting.wait(60)
            return
        # One blob of 32 GiB, which git writes as it comes, or of 256 MiB, which it unpacks first.
        packer = zlib.compressobj(0)
        size = [0x80, 0x80, 0x80, 0x08] if "large" in self.path else [0x80, 0x80, 0x80, 0x80, 0x08]
        header = b"PACK" + (2).to_bytes(4, "big") + (1).to_bytes(4, "big")
        part = header + bytes([0xB0, *size]) + packer.compress(b"")
        with suppress(ConnectionError):
            while True:
                said = b"\2" + b"x" * 60_000 + b"\n" if "talking" in self.path else b"\1" + part
                self.wfile.write(packet(said))
                part = packer.compress(b"\0" * 30_000) + packer.flush(zlib.Z_SYNC_FLUSH)

    def answer(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("endless", "more than 4 MiB came, packed, which is the limit"),
        ("talking", "more than 4 MiB came, packed, which is the limit"),
        ("large", "Out of memory, malloc failed"),
        ("silent", "Operation too slow. Less than 1000 bytes/sec"),
    ],
)
def test_a_repository_whose_download_has_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("raygen.recipe.remote.git._MOST_BYTES", 4 * 2**20)
    monkeypatch.setattr("raygen.recipe.remote.git._SILENT_S", 1)
    if name == "large":
        monkeypatch.setattr("raygen.recipe.remote.git._MOST_BYTES", 2**30)
        monkeypatch.setattr("raygen.recipe.remote.git._MEMORY", 200 * 2**20)
    Repository.waiting.clear()
    with served(Repository) as address:
        with pytest.raises(UserError, match=message) as failed:
            fetch(f"git+{address}/{name}")
        Repository.waiting.set()
    assert str(failed.value).startswith(f"git+{address}/{name} can't be fetched: ")
    assert list((tmp_path / "cache" / "recipes").iterdir()) == [], "nothing half-fetched stays"

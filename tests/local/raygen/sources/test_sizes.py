"""However large a source is, or becomes by being unpacked: memory is bounded by its rows."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygen.sources import SourceError, files, read_source
from tests.support.bombs import bomb, limited
from tests.support.references import served

GIB = 2**30
ROW = b'{"question": "Q?", "answer": "A"}'
BOMBS = {
    "blanks.jsonl.gz": lambda: bomb(GIB),
    "text.jsonl.gz": lambda: bomb(GIB, b"x", b'{"question": "'),
    "blanks.json.gz": lambda: bomb(GIB),
    "list.json.gz": lambda: bomb(GIB, b"[],", b"["),
    "text.csv.gz": lambda: bomb(GIB, b"x", b"question,answer\n"),
    "quoted.csv.gz": lambda: bomb(GIB, b"x" * 255 + b"\n", b'question,answer\n"'),
    "cells.tsv.gz": lambda: bomb(GIB, b'"' + b"x" * 252 + b'\n"\t', b"question\tanswer\n"),
    "columns.csv.gz": lambda: bomb(GIB, b"a,"),
}
READ = """
names = {}
for name in sys.argv[2:]:
    try:
        names[name] = len(read_source(name, pathlib.Path(sys.argv[1]))[0].numbers)
    except SourceError as error:
        names[name] = str(error)
print(json.dumps(names))
"""
IMPORTS = "from raygen.sources import SourceError, read_source; import fsspec.implementations.http"


class Packed(BaseHTTPRequestHandler):
    """Sends a packed source without an end in a body that is packed again."""

    protocol_version = "HTTP/1.0"

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        if "packed" in self.path:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        inner = b"".join(bomb(2**26, b" ")) if "twice" in self.path else b" " * 2**24
        packed = gzip.compress(inner, 1) if "packed" in self.path else inner
        with suppress(ConnectionError):
            for _ in range(64):
                self.wfile.write(packed)

    def log_message(self, *_: Any) -> None:
        pass


class Lying(BaseHTTPRequestHandler):
    """Sends more of a Parquet file than it was asked for, and pages of links without an end."""

    protocol_version = "HTTP/1.0"

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "20000000")
        self.end_headers()

    def do_GET(self) -> None:
        if "Range" in self.headers:
            self.send_response(206)
        else:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
        if "packed" in self.path:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        parts: Any = [b"PAR1" * 2**18] * 4000
        if "packed" in self.path:
            parts = bomb(2**34, b"PAR1")
        elif "links" in self.path:
            parts = (f'<a href="{n:x}">'.encode() * 500 for n in range(10**7))
        elif "regex" in self.path:
            parts = [b"<a " * 10**6]
        elif "deep" in self.path:
            parts = [b'<a href="deeper/">x</a><a href="other/">x</a>']
        with suppress(ConnectionError):
            for part in parts:
                self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def lying() -> Iterator[str]:
    with served(Lying) as address:
        yield address


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Packed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory, url: str) -> dict[str, str]:
    """What a process with little memory says of each bomb."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, parts in BOMBS.items():
        (folder / name).write_bytes(b"".join(parts()))
    addresses = [f"{url}/{name}" for name in WEB]
    found: dict[str, str] = limited(
        READ, str(folder), *BOMBS, *addresses, imports=IMPORTS, megabytes=1200
    )
    return {name.rpartition("/")[2]: text for name, text in found.items()}


WEB = ("endless.jsonl", "packed.jsonl", "packed-twice.jsonl.gz")


@pytest.mark.parametrize("name", [*BOMBS, *WEB])
def test_what_unpacks_to_much_is_refused_by_its_line(name: str, refusals: dict[str, str]) -> None:
    limit = "268,435,456 bytes" if ".json." in name else "16,777,216 bytes"
    expected = f"more than {limit}, unpacked, which is the limit of a"
    if ".tsv." in name:  # in which each line is a row
        expected = "line 2: found 1 cells"
    assert name in refusals[name]
    assert expected in refusals[name]


def test_a_parquet_file_on_the_web_is_no_longer_than_its_limit(lying: str) -> None:
    names = [f"{lying}/{name}.parquet" for name in ("plain", "packed")]
    found = limited(READ, "/", *names, imports=IMPORTS, megabytes=400)
    for name in names:
        assert f"{name}: the server sent more than " in found[name]
        assert "the part of the file that it was asked for; download what you need" in found[name]


_PAGE = "sent more than 16,777,216 bytes, unpacked, which is the limit of a page that lists"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("endless/*.jsonl", _PAGE),
        ("packed/*.jsonl", _PAGE),
        ("links/*.jsonl", _PAGE),
        ("regex/*.jsonl", r"takes more than 0\.5 s of computing"),
        ("deep/**/*.jsonl", r"takes more than 0\.5 s of computing"),
    ],
)  # fmt: skip
def test_pages_of_links_without_an_end(
    lying: str, pattern: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "computing" in message:
        monkeypatch.setattr(files, "_LISTING", replace(files._LISTING, cpu_s=0.5))
    with pytest.raises(SourceError, match=message):
        read_source(f"{lying}/{pattern}", Path("/"))


def test_a_large_source_of_ones_own_is_read_line_by_line(tmp_path: Path) -> None:
    """96 MiB of blanks between two rows, in less memory than that."""
    blanks = (b" " * (2**20 - 1) + b"\n") * 96
    (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress(ROW + b"\n" + blanks + ROW, 1))
    found = limited(READ, str(tmp_path), "q.jsonl.gz", imports=IMPORTS, megabytes=80)
    assert found == {"q.jsonl.gz": 2}


def test_a_fetched_recipes_source_has_a_limit_in_all(tmp_path: Path) -> None:
    content = gzip.compress((ROW + b"\n") * 1000)
    (tmp_path / "q.jsonl.gz").write_bytes(content)
    (tmp_path / "q.json").write_bytes(b"[" + ROW + b"]")
    (source,) = read_source("q.jsonl.gz", tmp_path, max_bytes=40_000)
    assert len(source.rows) == 1000
    with pytest.raises(SourceError, match=r"more than 30,000 bytes, unpacked.*folder of your own"):
        read_source("q.jsonl.gz", tmp_path, max_bytes=30_000)
    with pytest.raises(SourceError, match="more than 8 bytes"):
        read_source("q.json", tmp_path, max_bytes=8)


def test_a_repeated_text_in_parquet_counts_as_often_as_it_stands_there(tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": ["x" * 2**20] * 40}), tmp_path / "s.pq")
    assert (tmp_path / "s.pq").stat().st_size < 2**21
    (source,) = read_source("s.pq", tmp_path)
    assert len(source.rows) == 40
    with pytest.raises(SourceError, match="limit of a source that a fetched recipe names"):
        read_source("s.pq", tmp_path, max_bytes=2**25)


def test_rows_read_in_batches_are_those_of_the_table(tmp_path: Path) -> None:
    rows = [{"question": f"Q{i}", "n": i, "tags": [{"a": i}]} for i in range(2500)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "q.parquet")
    (source,) = read_source("q.parquet", tmp_path)
    assert json.loads(json.dumps(source.rows)) == rows
    assert list(source.numbers) == list(range(1, 2501))

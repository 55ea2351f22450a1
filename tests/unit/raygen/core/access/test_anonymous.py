"""Who reads an address, and that nobody is led into a private network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from raygen.core.access import Anonymous, access_to

HOME = "https://somewhere.example/recipe.yaml"


@pytest.mark.parametrize(
    ("url", "address", "is_covered"),
    [
        ("s3://b/x/q.jsonl", "s3://b/x", True),
        ("s3://b/x/q.jsonl", "s3://b/x/", True),
        ("s3://b/x/q.jsonl", "s3://b/x/q.jsonl", True),
        ("s3://b/x/q.jsonl", "s3://b", True),
        ("s3://b/xy/q.jsonl", "s3://b/x", False),
        ("s3://bc/q.jsonl", "s3://b", False),
        ("gs://b/x", "s3://b/x", False),
        ("s3://b/x", "", False),
        ("s3://b/x", "s3", False),
        ("s3://b/x", "s3://", False),
        ("s3://b/x", "s3:///", False),
        ("hf://datasets/o/n@v1/q.jsonl", "hf://datasets/o/n", True),
        ("hf://datasets/o/n@v1?split=x", "hf://datasets/o/n", False),
        ("hf://datasets/o/n", "hf://datasets/o", True),
        ("git+https://h/o/r@v1#x", "git+https://h/o/r", True),
        ("git+ssh://git@h/o/r", "git+ssh://git@h", True),
    ],
)
def test_an_address_covers_itself_and_what_is_below(
    url: str, address: str, is_covered: bool
) -> None:
    assert (access_to(url, HOME, [address]) is None) == is_covered
    assert access_to(url, HOME, []) == Anonymous(HOME)


class _Redirect(BaseHTTPRequestHandler):
    asked: list[str]
    target: str

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append(str(self.server.server_address[0]))
        self.send_response(302 if self.target else 200)
        self.send_header("Location", self.target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def listening(host: str, asked: list[str], target: str = "") -> Iterator[str]:
    handler = type("Handler", (_Redirect,), {"asked": asked, "target": target})
    with ThreadingHTTPServer((host, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{host}:{server.server_port}/x"
        server.shutdown()


def test_a_redirect_leads_to_no_private_host() -> None:
    asked: list[str] = []
    with listening("127.0.0.2", asked) as inner, listening("127.0.0.1", asked, inner) as url:
        access = Anonymous(home=url)
        files = fsspec.filesystem("http", skip_instance_cache=True, **access.file_options(url))
        with pytest.raises(OSError, match="is in a private network"):
            files.cat_file(url)
        with pytest.raises(OSError, match="is in a private network"):
            files.cat_file(inner)
    assert asked == ["127.0.0.1"]

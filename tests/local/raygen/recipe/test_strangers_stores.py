"""What a fetched recipe names in a store is read without the user's credentials."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import fsspec
import polars as pl
import pytest
from click.testing import CliRunner, Result

import raygen
from raygen.cli.main import main
from raygen.core.access import access_to, file_options
from raygen.dataset import Folder
from raygen.sources.arrow import read_delta
from raygen.sources.rows import SourceError
from tests.support.limited_here import look_here
from tests.support.references import QUESTION, RECIPE, commit, served, write_recipe

PRIVATE = RECIPE.replace("data/q.jsonl", "s3://bucket/private/q.jsonl")
ROW = json.dumps({**QUESTION, "question": "planted-where-nobody-may-read"}).encode()
AGE = "2026-01-01T00:00:00.000Z"


def part_of(content: bytes, asked: str) -> tuple[int, bytes, str]:
    """The status, the bytes and the Content-Range that answer a request with a Range or none."""
    span = re.fullmatch(r"bytes=(\d*)-(\d*)", asked)
    if span is None:
        return 200, content, ""
    first, last = span.groups()
    start = int(first) if first else max(0, len(content) - int(last))
    part = content[start : int(last) + 1 if first and last else len(content)]
    return 206, part, f"bytes {start}-{start + len(part) - 1}/{len(content)}"


def store_of(objects: dict[str, bytes], signed: list[str]) -> type[BaseHTTPRequestHandler]:
    """A handler that speaks enough of S3, lets nobody read but who signs, and notes who did."""

    class Store(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            key = unquote(parts.path).removeprefix("/bucket").strip("/")
            if self.headers["Authorization"] is None:
                self._send(403, b"<Error><Code>AccessDenied</Code></Error>")
                return
            signed.append(f"{self.command} {self.path}")
            if key in objects:
                self._send(*part_of(objects[key], self.headers["Range"] or ""))
            elif not key and "list-type=2" in parts.query:
                prefix = parse_qs(parts.query).get("prefix", [""])[0]
                found = "".join(
                    f"<Contents><Key>{name}</Key><LastModified>{AGE}</LastModified>"
                    f"<ETag>x</ETag><Size>{len(objects[name])}</Size></Contents>"
                    for name in objects
                    if name.startswith(prefix)
                )
                body = f"<ListBucketResult><KeyCount>1</KeyCount>{found}</ListBucketResult>"
                self._send(200, body.encode())
            else:
                self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")

        def _send(self, status: int, body: bytes, content_range: str = "") -> None:
            self.send_response(status)
            if content_range:
                self.send_header("Content-Range", content_range)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"x"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    return Store


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The signed requests to a store with a private recipe and private rows."""
    import s3fs

    requests: list[str] = []
    objects = {"private/q.jsonl": ROW, "private/recipe.yaml": RECIPE.encode()}
    pl.DataFrame([json.loads(ROW)]).write_delta(str(tmp_path / "table"))
    for path in (tmp_path / "table").rglob("*"):
        if path.is_file():
            name = path.relative_to(tmp_path / "table").as_posix()
            objects |= {f"private/table/{name}": path.read_bytes()}
    with served(store_of(objects, requests)) as address:
        monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.chdir(tmp_path)
        s3fs.S3FileSystem.clear_instance_cache()
        yield requests
        s3fs.S3FileSystem.clear_instance_cache()


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), env={"COLUMNS": "200"})


COMMANDS = ("validate", "plan", "preview")
CHANGES = (
    ("path: data/q.jsonl", "path: 's3://bucket/private/q.jsonl'"),
    ("path: data/q.jsonl", "path: 's3://bucket/private/*.jsonl'"),
    ("recipe: shared", "extends: s3://bucket/private/recipe.yaml\nrecipe: shared"),
)


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [
        pytest.param(command, *change, marks=() if i == j else pytest.mark.slow)
        for i, command in enumerate(COMMANDS)
        for j, change in enumerate(CHANGES)
    ],
)
def test_a_strangers_store_is_read_without_credentials(
    tmp_path: Path,
    signed: list[str],
    command: str,
    old: str,
    new: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if command != "validate":
        look_here(monkeypatch)
    write_recipe(tmp_path / "repository", RECIPE.replace(old, new))
    reference = f"git+file://{tmp_path}/repository@{commit(tmp_path / 'repository')}"
    more = ["--yes"] if command == "preview" else []
    done = run(command, reference, *more)
    assert done.exit_code == 2, done.output
    assert "s3://bucket/private" in done.output
    assert "planted" not in done.output
    assert signed == []
    other = run(command, reference, "--as-me", "s3://bucket/priv", *more)
    assert (other.exit_code, signed) == (2, []), "an address covers what is below it alone"
    agreed = run(command, reference, "--as-me", "s3://bucket/private", *more)
    assert signed
    if command == "preview" and "extends" in new:
        assert "only its author can pin it" in agreed.output
        return
    assert agreed.exit_code == 0, agreed.output


def test_apply_reads_rows_as_oneself_where_the_user_says_so(
    tmp_path: Path, signed: list[str]
) -> None:
    write_recipe(tmp_path / "repository", PRIVATE)
    reference = f"git+file://{tmp_path}/repository@{commit(tmp_path / 'repository')}"
    refused = run("apply", reference, "--yes", "--locked")
    assert (refused.exit_code, signed) == (2, [])
    assert "never run here" not in refused.output
    # A lock that isn't there ends it after all rows were read, and before anything runs.
    mine = run("apply", reference, "--yes", "--locked", "--as-me", "s3://bucket/private")
    assert (mine.exit_code, "there is no shared.lock.yaml" in mine.output) == (2, True)
    assert "rows: s3://bucket/private/q.jsonl, as you, and read just now to check" in mine.output
    assert signed


def test_diff_and_python_read_as_oneself_too(
    tmp_path: Path, signed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    look_here(monkeypatch)
    write_recipe(tmp_path / "repository", PRIVATE)
    reference = f"git+file://{tmp_path}/repository@{commit(tmp_path / 'repository')}"
    other = run("diff", reference, reference)
    assert ("has no plan's hash" in other.output, signed) == (True, [])
    assert not raygen.load(reference).validate()
    assert signed == []
    mine = run("diff", reference, reference, "--as-me", "s3://bucket/private")
    assert (mine.exit_code, "has no plan's hash" in mine.output) == (0, False)
    count = len(signed)
    assert count
    assert raygen.load(reference, as_me=["s3://bucket/private"]).validate()
    assert len(signed) > count


@pytest.mark.parametrize(
    ("more", "with_token"), [((), False), (("--as-me", "hf://org/private"), True)]
)
def test_a_strangers_model_is_requested_without_the_token(
    tmp_path: Path, more: tuple[str, ...], with_token: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens: list[str | None] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            if "tokenizer.json" in self.path:
                tokens.append(self.headers["Authorization"])
            self.send_response(404 if "tokenizer.json" in self.path else 200)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    old = RECIPE[RECIPE.index("{model: scripted") : RECIPE.index("graph:")]
    text = RECIPE.replace(old, "{model: org/private, backend: transformers}\n")
    write_recipe(tmp_path / "repository", text)
    commit(tmp_path / "repository")
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.chdir(tmp_path)
    with served(Hub) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        done = run("plan", f"git+file://{tmp_path}/repository", *more)
    assert done.exit_code == 0, done.output
    assert "no tokenizer.json to be had" in done.output
    assert tokens
    assert set(tokens) == {"Bearer hf_mine" if with_token else None}


def test_a_strangers_table_is_read_without_credentials(tmp_path: Path, signed: list[str]) -> None:
    """Once in a process: deltalake keeps its client of a store, and so the stub's address."""
    url = "s3://bucket/private/table"
    with pytest.raises(SourceError, match="can't read the table"):
        read_delta(url, None, access_to(url, "git+https://github.com/o/r", ()))
    assert signed == []
    table = RECIPE.replace("path: data/q.jsonl", "path: 's3://bucket/private/table'")
    write_recipe(tmp_path / "repository", table)
    reference = f"git+file://{tmp_path}/repository@{commit(tmp_path / 'repository')}"
    done = run("preview", reference, "--yes")
    assert done.exit_code == 2, done.output
    assert "s3://bucket/private/table" in done.output
    assert signed == []
    agreed = run("preview", reference, "--yes", "--as-me", "s3://bucket/private")
    assert agreed.exit_code == 0, agreed.output
    assert any("_delta_log" in request for request in signed)
    assert any(".parquet" in request for request in signed)


@pytest.mark.parametrize(
    ("table", "option"),
    [
        ("s3://b/t", {"aws_skip_signature": "true"}),
        ("gs://b/t", {"google_skip_signature": "true"}),
        ("gcs://b/t", {"google_skip_signature": "true"}),
        ("az://c/t", {"azure_skip_signature": "true"}),
        ("abfss://c@a.dfs.core.windows.net/t", {"azure_skip_signature": "true"}),
    ],
)
def test_each_store_of_tables_is_anonymous(
    monkeypatch: pytest.MonkeyPatch, table: str, option: dict[str, str]
) -> None:
    """What deltalake and polars get; their stores know the option by this name."""
    told: list[dict[str, str]] = []

    def scan(folder: Folder, name: str = "") -> None:
        told.append(dict(folder.storage_options))
        raise OSError("away")

    monkeypatch.setattr("raygen.sources.arrow.scan_table", scan)
    with pytest.raises(SourceError, match="away"):
        read_delta(table, None, access_to(table, "git+https://github.com/o/r", ()))
    assert told == [option]


def test_the_hub_is_read_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    url = "hf://datasets/o/d/q.jsonl"
    options = file_options(url, access_to(url, "git+https://github.com/o/r", ()))
    filesystem, _ = fsspec.core.url_to_fs(url, **options, skip_instance_cache=True)
    assert filesystem._api._build_hf_headers(token=filesystem.token).get("authorization") is None


def test_ones_own_recipe_reads_as_oneself(tmp_path: Path, signed: list[str]) -> None:
    write_recipe(tmp_path, RECIPE.replace("data/q.jsonl", "s3://bucket/private/q.jsonl"))
    assert run("validate", "recipe.yaml").exit_code == 0
    assert signed

"""A recipe in a bucket of a server that speaks S3, whose keys climb out of the recipe's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs
from click.testing import CliRunner, Result

from raygen.cli.main import main
from raygen.recipe.remote import cache
from raygen.recipe.remote.fetch import fetch
from raygen.recipe.remote.ref import Fetched
from tests.support.references import QUESTION, RECIPE

URL = "s3://shelf/h/recipe.yaml"
NAMED = RECIPE.replace("data/q.jsonl", "'data/**/*.jsonl'").replace(
    "version: 1", "version: 1\ndescription: '**/x.json'\nauthors: ['**/*.json', '**/.x*']"
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket `shelf` with a recipe, as s3fs writes to it."""
    work = tmp_path / "home" / "user" / "work"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    monkeypatch.setenv("RAYGEN_CACHE", str(work / "cache"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.mkdir("shelf")
    put = {
        "recipe.yaml": NAMED.encode(),
        "p.j2": b"{{ question }}",
        "data/q.jsonl": json.dumps(QUESTION).encode(),
    }
    for name, content in put.items():
        files.pipe(f"shelf/h/{name}", content)
    yield files
    files.rm("shelf", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def raygen(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), env={"COLUMNS": "200"})


def fetch_anew(reference: str) -> Fetched:
    """Fetch it without what s3fs remembers of the bucket."""
    s3fs.S3FileSystem.clear_instance_cache()
    return fetch(reference)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_key_is_written_out_of_the_recipes_folder(bucket: Any, tmp_path: Path) -> None:
    """Neither a new file nor one in the stead of the user's own, however far the key climbs."""
    root = fetch(URL).root
    names = ("x.json", "recipe.yaml", ".xprofile", "data/x.json")
    targets = [folder / name for folder in list(root.parents)[:4] for name in names]
    for target in targets[::2]:
        target.parent.mkdir(exist_ok=True)
        target.write_text("the user's own")
    known = contents(tmp_path)
    for up in range(1, 6):
        for name in names:
            for key in (f"{'../' * up}{name}", f"data/{'../' * (up + 1)}{name}"):
                bucket.pipe(f"shelf/h/{key}", b'{"planted": true}')
    for command in ("validate", "graph"):
        s3fs.S3FileSystem.clear_instance_cache()
        done = raygen(command, URL)
        assert done.exit_code == 0, done.output
    assert contents(tmp_path) == known


def test_an_agreement_in_a_bucket_is_none(bucket: Any, tmp_path: Path) -> None:
    fetched = fetch(URL)
    file = cache._agreement(fetched)
    key = f"shelf/h/../../{file.parent.name}/{file.name}"
    bucket.pipe(key, json.dumps(fetched.to_json()).encode())
    again = fetch_anew(URL)
    assert again.pinned == fetched.pinned, "its content has the same pin"
    assert not cache.has_agreed(again)
    done = raygen("preview", URL)
    assert done.exit_code == 2
    assert "--yes" in done.output
    assert not file.exists()
    cache.remember_agreement(again)
    assert cache.has_agreed(again)


def test_a_pin_is_hashed_whenever_it_is_used(bucket: Any) -> None:
    fetched = fetch(URL)
    prompt = fetched.root / "p.j2"
    prompt.write_text("another prompt")
    assert (fetch_anew(fetched.pinned).root / "p.j2").read_text() == "{{ question }}"
    prompt.write_text("another prompt")
    bucket.pipe("shelf/h/p.j2", b"a third prompt")
    s3fs.S3FileSystem.clear_instance_cache()
    done = raygen("validate", fetched.pinned)
    assert done.exit_code == 2, done.output
    assert f"is no longer what {fetched.pin} names" in done.output

"""What a model is: its commit on a hub that runs here, or the content of its files."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from raygen.engines.base import EngineSpec
from raygen.engines.models.fingerprint import ModelFingerprint, fingerprint_model

COMMIT = "c0ffee" + "0" * 34


class Hub(BaseHTTPRequestHandler):
    """A stub of the hub: `org/model` has a config.json at one commit, and nothing else is there."""

    def do_HEAD(self) -> None:
        fingerprint = "/org/model/" in self.path and self.path.endswith("config.json")
        self.send_response(200 if fingerprint else 404)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", '"e1"')
        self.send_header("Content-Length", "2")
        if not fingerprint:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    files = f"http://127.0.0.1:{server.server_port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield server
    server.shutdown()
    server.server_close()


def of(model: str, **more: Any) -> ModelFingerprint:
    return fingerprint_model(EngineSpec("teacher", model, **more))


def test_a_hub_model_is_its_commit_also_where_only_the_cache_is_left(
    hub: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of("org/model") == ModelFingerprint("org/model", commit=COMMIT)
    hub.shutdown()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert of("org/model").commit == COMMIT
    other = of("org/model", revision="v2")
    assert (other.commit, "can't be reached" in (other.unresolved or "")) == (None, True)


def test_a_model_that_the_hub_doesnt_have_is_unresolved_and_says_so(hub: HTTPServer) -> None:
    assert "no such model" in (of("org/absent").unresolved or "")


def test_a_commit_in_the_recipe_asks_nobody() -> None:
    assert of("org/model", revision=COMMIT).commit == COMMIT


def test_a_local_model_is_its_files(tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / ".cache").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights")
    first = of(str(model))
    assert (first.commit, first.unresolved, first.base) == (None, None, None)
    (model / ".cache" / "note").write_text("x")
    assert of(str(model)) == first
    (model / "model.safetensors").write_bytes(b"others!")
    second = of(str(model)).content
    assert second != first.content
    (model / "model.safetensors").rename(model / "renamed.safetensors")
    assert of(str(model)).content not in (first.content, second)


def test_an_adapter_is_itself_and_the_model_it_was_made_for(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    for folder in (base, adapter):
        folder.mkdir()
    (base / "config.json").write_text("{}")
    settings = {"base_model_name_or_path": str(base)}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    fingerprint = of(str(adapter))
    assert fingerprint.base == of(str(base))
    (base / "config.json").write_text('{"a": 1}')
    assert of(str(adapter)).content == fingerprint.content
    assert of(str(adapter)).base != fingerprint.base


def test_a_bundled_model_is_its_file_and_a_wrong_name_is_unresolved() -> None:
    assert of("bundled:smollm2-135m-instruct").content
    assert "no bundled model" in (of("bundled:nothing").unresolved or "")


def test_a_fake_engine_is_what_it_answers() -> None:
    def fake(**args: Any) -> ModelFingerprint:
        return of("fake", backend="fake", args=args)

    assert fake(answers=["a"]) == fake(answers=["a"], latency=0.5)
    assert fake(answers=["a"]) != fake(answers=["b"])


def test_an_endpoint_says_nothing() -> None:
    assert of("gpt", backend="openai").unresolved

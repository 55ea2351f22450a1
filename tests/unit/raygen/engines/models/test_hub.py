"""Whether a model can be had, asked of folders and of a hub that runs here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from raygen.engines.base import EngineSetupError
from raygen.engines.models.hub import find_config

CODES = {
    "gated": (403, "GatedRepo"),
    "missing": (404, "RepoNotFound"),
    "revision": (404, "RevisionNotFound"),
    "empty": (404, "EntryNotFound"),
}


class Hub(BaseHTTPRequestHandler):
    """Answers every file of `org/NAME` with the status and error code of that name."""

    def do_HEAD(self) -> None:
        status, code = CODES[self.path.split("/")[2]]
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    files = f"http://127.0.0.1:{server.server_port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    yield
    server.shutdown()
    server.server_close()


def test_a_model_folder_passes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert find_config(str(tmp_path), None) == tmp_path / "config.json"


def test_a_folder_without_config_does_not(tmp_path: Path) -> None:
    with pytest.raises(EngineSetupError, match=r"has no config\.json"):
        find_config(str(tmp_path), None)


@pytest.mark.parametrize("path", ["/nowhere", "./nowhere", "a/b/c"])
def test_a_missing_folder_is_reported(path: str) -> None:
    with pytest.raises(EngineSetupError, match="there is no folder"):
        find_config(path, None)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gated", "accept its terms"),
        ("missing", "no such model, or it is private"),
        ("revision", "model 'org/revision' at revision 'r1'.*no such revision"),
        ("empty", "no config.json, so it is no model"),
    ],
)
def test_what_the_hub_says_becomes_one_sentence(name: str, message: str) -> None:
    with pytest.raises(EngineSetupError, match=message) as raised:
        find_config(f"org/{name}", "r1")
    assert "looked in" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_without_a_network_it_says_how_to_fetch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        EngineSetupError, match=r"can't be reached; fetch it.*hf download org/model"
    ):
        find_config("org/model", None)


def test_a_model_in_the_cache_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:1/{repo_id}")
    folder = tmp_path / "models--org--model"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / "config.json").write_text("{}")
    assert find_config("org/model", None).read_text() == "{}"

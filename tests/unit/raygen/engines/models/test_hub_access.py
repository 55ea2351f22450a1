"""Asking the hub with the user's token, and without it for what a stranger names."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest
from huggingface_hub import constants, get_token, hf_hub_download
from huggingface_hub.errors import LocalTokenNotFoundError

from raygen.engines import registry
from raygen.engines.base import EngineSetupError, EngineSpec
from raygen.engines.models.hub import find_config
from raygen.engines.models.hub_access import ANONYMOUS, hub_access


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str | None]]:
    """What a hub is sent as a token, where the user has one in a variable or in a file."""
    tokens: list[str | None] = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            tokens.append(self.headers["Authorization"])
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    files = f"http://127.0.0.1:{server.server_port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "token").write_text("hf_file")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    yield tokens
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("token", ["hf_variable", None])
def test_a_strangers_model_is_requested_without_the_token(
    sent: list[str | None], token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    mine = token or "hf_file"
    with hub_access(anonymous=True):
        with pytest.raises(EngineSetupError):
            find_config("org/private", None)
        with pytest.raises(LocalTokenNotFoundError):  # as vLLM's argument hf_token: true asks
            hf_hub_download("org/private", "config.json", token=True)
        assert "HF_TOKEN" not in os.environ
        assert os.environ["HF_TOKEN_PATH"] == os.devnull, "new processes find none either"
    assert sent == [None]
    assert get_token() == mine
    with hub_access(anonymous=False), pytest.raises(EngineSetupError):
        find_config("org/private", None)
    assert sent == [None, f"Bearer {mine}"]
    assert "HF_TOKEN_PATH" not in os.environ


async def test_no_engine_of_a_strangers_model_starts_with_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """vLLM loads a model in processes of its own, which take their variables from this one."""
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    started: list[tuple[str | None, dict[str, str]]] = []

    class Starts:
        @staticmethod
        async def start(spec: EngineSpec, devices: Sequence[str]) -> None:
            started.append((get_token(), dict(os.environ)))

    fake = ModuleType("raygen.engines.vllm.engine")
    fake.VLLMEngine = Starts  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr(registry, "check_engine", lambda spec: [])
    for anonymous in (True, False):
        await registry.start_engine(EngineSpec("e", "org/m", backend="vllm", anonymous=anonymous))
    (token, variables), (own_token, own_variables) = started
    assert token is None
    assert "hf_mine" not in variables.values()
    assert variables.items() >= ANONYMOUS.items()
    assert (own_token, own_variables["HF_TOKEN"]) == ("hf_mine", "hf_mine")

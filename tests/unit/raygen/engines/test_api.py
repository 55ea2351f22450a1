"""How an engine is spoken to, where its recipe leaves that open."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from raygen.engines.api import resolve_api
from raygen.engines.base import Backend, EngineSetupError, EngineSpec


def model(folder: Path, settings: dict[str, object], template: str | None = None) -> str:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return str(folder)


def test_a_model_with_a_chat_template_chats(tmp_path: Path) -> None:
    plain = EngineSpec("e", model(tmp_path / "plain", {}))
    named = EngineSpec("e", model(tmp_path / "named", {"chat_template": "{{ messages }}"}))
    beside = EngineSpec("e", model(tmp_path / "beside", {}, "{{ messages }}"))
    assert [resolve_api(spec) for spec in (plain, named, beside)] == ["completion", "chat", "chat"]
    assert resolve_api(replace(named, api="completion")) == "completion"
    assert resolve_api(EngineSpec("e", "bundled:smollm2-135m-instruct")) == "chat"


def test_an_adapter_speaks_as_the_model_that_it_was_made_for(tmp_path: Path) -> None:
    base = model(tmp_path / "base", {"chat_template": "{{ messages }}"})
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    settings = {"base_model_name_or_path": base, "peft_type": "LORA"}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    assert resolve_api(EngineSpec("e", str(adapter))) == "chat"


@pytest.mark.parametrize(("backend", "api"), [("openai", "chat"), ("fake", "completion")])
def test_an_endpoint_chats_and_a_fake_goes_on_with_texts(backend: Backend, api: str) -> None:
    assert resolve_api(EngineSpec("e", "any/model", backend=backend)) == api
    assert resolve_api(EngineSpec("e", "any/model", backend=backend, api="chat")) == "chat"


def test_what_cannot_be_found_out_is_to_be_written(tmp_path: Path) -> None:
    spec = EngineSpec("e", str(tmp_path / "nothing"))
    with pytest.raises(EngineSetupError, match="write api: chat or api: completion"):
        resolve_api(spec)

"""An adapter's folder of somebody else's: what its settings say is checked before peft reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygen.core.limited import Limits
from raygen.engines.base import EngineSetupError, EngineSpec
from raygen.engines.models import resolution
from raygen.engines.models.adapter import check_adapter, check_patterns
from raygen.engines.models.fingerprint import fingerprint_model
from raygen.engines.models.hub import MissingConfigError
from raygen.engines.models.resolution import known_config, resolve_model

ENDLESS = r"(\w+\.?)+!"
MODULES = [f"model.layers.{n}.self_attn.q_proj" for n in range(30)]


def adapter(folder: Path, base: str = "org/base", **settings: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"base_model_name_or_path": base, "peft_type": "LORA", **settings}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    (folder / "adapter_model.safetensors").touch()
    return folder


def model(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    return folder


def test_a_users_own_adapter_is_made_for_any_model(tmp_path: Path) -> None:
    base = model(tmp_path / "base")
    resolved = resolve_model(str(adapter(tmp_path / "mine", str(base))), None)
    assert (resolved.model, resolved.adapter) == (str(base), tmp_path / "mine")


@pytest.mark.parametrize("base", ["/etc", "~/base", "./base", "../base", "base", "a/b/c", "."])
def test_an_adapter_of_the_hub_is_made_for_no_model_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    downloaded = adapter(tmp_path / "cache", base)
    model(tmp_path / "here" / "base")
    monkeypatch.chdir(tmp_path / "here")

    def no_config(name: str, revision: str | None) -> Path:
        raise MissingConfigError(f"{name} has no config.json")

    monkeypatch.setattr(resolution, "find_config", no_config)
    monkeypatch.setattr(resolution, "fetch_adapter", lambda *_: downloaded)
    with pytest.raises(EngineSetupError, match="would be a folder of this machine"):
        resolve_model("org/lora", None)


@pytest.mark.parametrize("base", ["{tmp}/loop", "."])
def test_an_adapter_of_itself_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    folder = model(adapter(tmp_path / "loop", base.format(tmp=tmp_path)))
    monkeypatch.chdir(folder)
    assert known_config(str(folder), None) is not None
    fingerprint = fingerprint_model(EngineSpec("t", str(folder), backend="transformers"))
    assert fingerprint.base is not None
    assert fingerprint.base.base is None
    with pytest.raises(EngineSetupError, match="adapter of another adapter"):
        resolve_model(str(folder), None)


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "XLORA", 3])
def test_only_a_lora_is_loaded(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(EngineSetupError, match=f"peft_type: found {kind!r}, expected LORA"):
        check_adapter(adapter(tmp_path, peft_type=kind))


@pytest.mark.parametrize(
    "content", ["[]", "{", "[" * 100_000, '{"base_model_name_or_path": 3}', '{"a": NaN',
                '{"base_model_name_or_path": "o/m", "revision": {}}'],
)  # fmt: skip
def test_settings_that_are_none_are_one_error(tmp_path: Path, content: str) -> None:
    (adapter(tmp_path) / "adapter_config.json").write_text(content)
    with pytest.raises(EngineSetupError, match=r"adapter_config\.json"):
        resolve_model(str(tmp_path), None)


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ENDLESS},
        pytest.param({"modules_to_save": [ENDLESS]}, marks=pytest.mark.slow),
    ],
)
def test_a_pattern_without_an_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    quick = Limits(cpu_s=0.5, wall_s=30)
    monkeypatch.setattr("raygen.engines.models.adapter._MATCHING", quick)
    with pytest.raises(EngineSetupError, match="was stopped"):
        check_patterns(adapter(tmp_path, **settings), MODULES)


def test_patterns_as_people_write_them_pass(tmp_path: Path) -> None:
    usual = r"^(?!.*(vision_tower|head)).*\.(q_proj|k_proj|v_proj)$"
    folder = adapter(tmp_path, target_modules=usual, rank_pattern={r"layers\.\d+\.q_proj": 4})
    check_patterns(folder, MODULES)
    check_patterns(adapter(tmp_path, target_modules=["q_proj"], modules_to_save=["score"]), None)


@pytest.mark.parametrize("pattern", ["(", "a{99999999999}", "(" * 5000])
def test_what_is_no_pattern_is_one_error(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(EngineSetupError, match="is no pattern"):
        check_patterns(adapter(tmp_path, target_modules=pattern), MODULES)


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ".*q_proj"},
        {"exclude_modules": ENDLESS},
        {"rank_pattern": {ENDLESS: 4}},
        {"alpha_pattern": {ENDLESS: 4}},
        {"modules_to_save": [ENDLESS]},
        {"layers_pattern": ENDLESS},
        {"layers_pattern": [ENDLESS]},
    ],
)
def test_patterns_of_an_adapter_within_a_model_are_refused(tmp_path: Path, settings: Any) -> None:
    with pytest.raises(EngineSetupError, match="write the modules' names"):
        check_patterns(adapter(tmp_path, **settings), None)

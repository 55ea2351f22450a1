"""A model's files are numbers: pickled weights and a repository's own Python never run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from raygen.core.limited import Limits
from raygen.engines.base import EngineSetupError, EngineSpec
from raygen.engines.models.resolution import resolve_model
from raygen.engines.registry import check_engine, start_engine
from streamtrain.errors import InputError
from streamtrain.models.student import ModelSource, load_adapter, load_student

CPU = torch.device("cpu")


class Payload:
    """Unpickled, it makes a folder: what an attacker's code would do instead."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.target,)


def poison(weights: Path, target: Path) -> None:
    """Weights in torch's format that make `target` when they are unpickled."""
    torch.save({"lm_head.weight": torch.zeros(1)}, weights)
    with zipfile.ZipFile(weights) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(weights, "w") as archive:
        for name, content in parts.items():
            bad = name.endswith("data.pkl")
            archive.writestr(name, pickle.dumps(Payload(target)) if bad else content)


def spec(model: Path, **args: Any) -> EngineSpec:
    return EngineSpec("t", str(model), backend="transformers", args=args)


@pytest.fixture
def pickled(tiny_model: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A model whose only weights are pickled, and what they make when they are read."""
    folder, target = tmp_path / "model", tmp_path / "was-here"
    shutil.copytree(tiny_model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    poison(folder / "pytorch_model.bin", target)
    return folder, target


def test_the_payload_of_these_tests_works(pickled: tuple[Path, Path]) -> None:
    folder, target = pickled
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert target.is_dir()


async def test_an_engine_refuses_pickled_weights(pickled: tuple[Path, Path]) -> None:
    folder, target = pickled
    with pytest.raises(EngineSetupError, match=r"no weights as safetensors.* `revision:` that has"):
        await start_engine(spec(folder))
    assert not target.exists()


@pytest.mark.parametrize("kind", ["causal", "classifier"])
def test_a_student_refuses_pickled_weights(pickled: tuple[Path, Path], kind: Any) -> None:
    folder, target = pickled
    with pytest.raises(InputError, match=r"no weights as safetensors.* `revision:` that has"):
        load_student(ModelSource(str(folder), kind=kind, labels=("a", "b")), None, CPU)
    assert not target.exists()


@pytest.fixture
def pickled_adapter(tiny_adapter: Path, tmp_path: Path) -> tuple[Path, Path]:
    folder, target = tmp_path / "adapter", tmp_path / "was-here"
    shutil.copytree(tiny_adapter, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    poison(folder / "adapter_model.bin", target)
    return folder, target


async def test_pickled_adapters_are_refused(
    tiny_model: Path, pickled_adapter: tuple[Path, Path]
) -> None:
    folder, target = pickled_adapter
    with pytest.raises(EngineSetupError, match=r"no adapter_model\.safetensors"):
        await start_engine(spec(folder))
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors"):
        load_adapter(ModelSource(str(tiny_model)), folder, CPU)
    assert not target.exists()


@pytest.fixture
def inner_adapter(
    tiny_model: Path, pickled_adapter: tuple[Path, Path], tmp_path: Path
) -> tuple[Path, Path]:
    """A model whose folder holds a pickled adapter too, which transformers loads by itself."""
    adapter, target = pickled_adapter
    folder = tmp_path / "both"
    shutil.copytree(tiny_model, folder)
    for name in ("adapter_config.json", "adapter_model.bin"):
        shutil.copy(adapter / name, folder)
    return folder, target


def test_a_pickled_adapter_within_a_model_is_refused(inner_adapter: tuple[Path, Path]) -> None:
    folder, target = inner_adapter
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors"):
        load_student(ModelSource(str(folder)), None, CPU)
    assert not target.exists()


async def test_an_adapter_of_such_a_model_is_refused(
    tiny_adapter: Path, inner_adapter: tuple[Path, Path], tmp_path: Path
) -> None:
    base, target = inner_adapter
    folder = shutil.copytree(tiny_adapter, tmp_path / "adapter-of-it")
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = str(base)
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(EngineSetupError, match="adapter of another adapter"):
        await start_engine(spec(folder))
    assert not target.exists()


async def test_an_adapters_pattern_without_an_end_is_stopped(
    tiny_model: Path, tiny_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = Limits(cpu_s=0.5, wall_s=30)
    monkeypatch.setattr("raygen.engines.models.adapter._MATCHING", quick)
    folder = shutil.copytree(tiny_adapter, tmp_path / "adapter")
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["target_modules"] = r"((\w+\.?)+)+!"
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(EngineSetupError, match="was stopped"):
        await start_engine(spec(folder))
    with pytest.raises(InputError, match="was stopped"):
        load_adapter(ModelSource(str(tiny_model)), folder, CPU)


def test_an_adapter_names_no_module_to_import(tiny_adapter: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(tiny_adapter, folder)
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings |= {"megatron_config": {}, "megatron_core": "evil"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(EngineSetupError, match="megatron_config"):
        resolve_model(str(folder), None)


@pytest.fixture
def with_code(tiny_model: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A model of an architecture of its own, whose Python makes a folder when it is imported."""
    folder, target = tmp_path / "model", tmp_path / "was-here"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Mine"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(f"import os\nos.mkdir({str(target)!r})\nclass Mine: pass\n")
    return folder, target


async def test_a_models_own_python_never_runs(with_code: tuple[Path, Path]) -> None:
    folder, target = with_code
    with pytest.raises(EngineSetupError, match="custom code"):
        await start_engine(spec(folder))
    with pytest.raises(InputError, match="custom code"):
        load_student(ModelSource(str(folder)), None, CPU)
    assert not target.exists()


@pytest.mark.parametrize(
    "args",
    [
        {"trust_remote_code": True},
        {"worker_cls": "evil.Worker"},
        {"scheduler_cls": "evil.Scheduler"},
        {"distributed_executor_backend": "evil.Executor"},
        {"compilation_config": {"backend": "evil.compile"}},
        {"compilation_config": {"inductor_passes": {"post_grad": "evil.compile"}}},
        {"speculative_config": {"method": "custom_class", "model": "evil.Proposer"}},
        {"speculative_config": {"model": "org/draft", "trust_remote_code": True}},
        {"speculative_config": {"draft_load_config": {"load_format": "pt"}}},
        {"structured_outputs_config": {"reasoning_parser_plugin": "./evil.py"}},
        {"kv_transfer_config": {"kv_connector_module_path": "evil"}},
        {"model_class_overrides": {"LlamaForCausalLM": "evil:Model"}},
        {"log_config_file": "log.json"},
        {"load_format": "pt"},
        {"load_format": "auto"},
        {"load_format": "npcache"},
    ],
)
def test_vllm_is_given_no_argument_that_runs_code(args: dict[str, Any]) -> None:
    problems = check_engine(EngineSpec("t", "m", backend="vllm", args=args))
    assert len(problems) == 1
    assert "code" in problems[0]


@pytest.mark.parametrize(
    "args",
    [
        {"load_format": "safetensors"},
        {"load_format": "dummy"},
        {"distributed_executor_backend": "mp"},
        {"compilation_config": {"mode": 3, "cudagraph_capture_sizes": [1, 2]}},
        {"speculative_config": {"method": "ngram", "num_speculative_tokens": 3}},
        {"speculative_config": {"model": "org/draft-0.5B", "num_speculative_tokens": 3}},
        {"lora_target_modules": ["self_attn.q_proj"]},
        {"quantization_config": {"ignore": ["model.lm_head"]}},
    ],
)
def test_vllms_other_arguments_pass(args: dict[str, Any]) -> None:
    assert check_engine(EngineSpec("t", "m", backend="vllm", args=args)) == []


def test_other_backends_cannot_allow_code() -> None:
    for backend in ("transformers", "openai", "fake"):
        engine = EngineSpec("t", "m", backend=backend, args={"trust_remote_code": True})
        assert "no argument 'trust_remote_code'" in check_engine(engine)[0]

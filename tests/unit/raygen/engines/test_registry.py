"""Checking an engine's spec cheaply, and starting it by its backend."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raygen.engines.base import Backend, EngineSetupError, EngineSpec, Request
from raygen.engines.registry import abilities, check_engine, start_engine


def spec(backend: Backend, model: str = "m", **args: Any) -> EngineSpec:
    return EngineSpec("teacher", model, backend=backend, args=args)


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (spec("fake", latncy=1), "fake has no argument 'latncy'; did you mean 'latency'?"),
        (spec("openai", base_ur="x"), "openai has no argument 'base_ur'; did you mean 'base_url'?"),
        (spec("openai", base_url="host:80"), "is not an address"),
        (spec("openai", base_url="http://h/v1/chat/completions"), "stands before /chat/comp"),
        (spec("openai", base_url="http://localhost", headers={"Host": "x"}), "'Host' can't be"),
        (spec("openai", base_url="http://localhost", query={"key": "k1"}), "{env: NAME}"),
        (
            spec("openai", base_url="http://localhost", headers={"api-key": {"env": "UNSET_KEY"}}),
            "UNSET_KEY, which args.headers or args.query name, is not set",
        ),
        (spec("openai", "bundled:minilm-l6", base_url="http://localhost/v1"), "local model"),
        (spec("vllm", max_num_seq=1), "vllm has no argument 'max_num_seq'; did you mean 'max_num_"),
        (spec("vllm", tensor_parallel_size=2), "set by the engine's own key `gpus`"),
        (spec("vllm", max_num_seqs="many"), "args.max_num_seqs: found 'many', expected int"),
        (spec("vllm", enforce_eager=1), "args.enforce_eager: found 1, expected bool"),
        (spec("vllm", seed=True), "args.seed: found True, expected int"),
        (spec("vllm", trust_remote_code=True), "and a recipe runs none"),
        (spec("vllm", "bundled:smollm2-135m"), "did you mean 'smollm2-135m-instruct'?"),
        (
            replace(spec("anthropic", base_url="http://localhost"), api="completion"),
            "set api: chat",
        ),
        (spec("transformers", batchsize=1), "did you mean 'batch_size'?"),
    ],
)
def test_a_wrong_spec_is_reported(engine: EngineSpec, message: str) -> None:
    problems = check_engine(engine)
    assert len(problems) == 1
    assert message in problems[0]


def test_a_remote_endpoint_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    remote = spec("openai", base_url="https://example.org/v1", api_key_env="MY_KEY")
    assert "MY_KEY is not set" in check_engine(remote)[0]
    monkeypatch.setenv("MY_KEY", "k")
    assert check_engine(remote) == []
    monkeypatch.delenv("MY_KEY")
    assert (
        check_engine(spec("openai", base_url="http://127.0.0.1:1/v1", api_key_env="MY_KEY")) == []
    )


def test_good_specs_have_no_problems() -> None:
    assert check_engine(spec("fake", answers=["x"])) == []
    good = {
        "max_num_seqs": 8,
        "enforce_eager": True,
        "gpu_memory_utilization": 1,
        "max_model_len": None,
        "dtype": "float32",
        "hf_overrides": {"rope_scaling": None},
        "served_model_name": ["a", "b"],
        "trust_remote_code": False,
    }
    assert check_engine(spec("vllm", **good)) == []


async def test_fake_starts() -> None:
    engine = await start_engine(spec("fake", answers=["x"]))
    assert [c.text for c in await engine.generate(Request("q"))] == ["x"]
    await engine.close()


async def test_a_wrong_spec_does_not_start() -> None:
    with pytest.raises(EngineSetupError, match="engine 'teacher': fake has no argument 'x'"):
        await start_engine(spec("fake", x=1))


def config(folder: Path, **content: Any) -> str:
    """A model folder of which only the configuration is there."""
    (folder / "config.json").write_text(json.dumps(content))
    return str(folder)


def test_the_models_configuration_decides_what_an_engine_can_do(tmp_path: Path) -> None:
    judge = config(tmp_path, architectures=["RobertaForSequenceClassification"])
    assert abilities(spec("transformers", judge)) == {"classify"}
    assert check_engine(spec("transformers", judge)) == []
    causal = {"generate", "score", "top_tokens", "attribute", "nearest"}
    assert abilities(spec("transformers", "org/nobody-has-this")) == causal
    assert abilities(spec("transformers", "org/nobody-has-this", kind="classifier")) == {"classify"}
    assert abilities(spec("transformers", "org/nobody-has-this", kind="seq2seq")) == {"generate"}
    (problem,) = check_engine(spec("transformers", judge, kind="causal"))
    assert "is a RobertaForSequenceClassification, and a causal engine needs" in problem


def test_an_adapter_is_what_its_base_model_is(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    adapter.mkdir()
    written = {"base_model_name_or_path": config(base, architectures=["BertModel"])}
    (adapter / "adapter_config.json").write_text(json.dumps(written))
    (problem,) = check_engine(spec("transformers", str(adapter)))
    assert "is a BertModel" in problem

"""A LoRA adapter as the model of a vllm engine, beside the transformers engine on the same one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from raygen.engines.base import Engine, EngineSetupError, EngineSpec, Request, Sampling
from raygen.engines.registry import start_engine

pytestmark = pytest.mark.asyncio(loop_scope="session")
CANDIDATES = [" (B).", " scissors", " the air", " because it is so"]


@pytest.mark.slow
async def test_the_adapter_speaks_as_it_does_in_transformers(
    vllm_engine: Engine, tiny_adapter: Path, tiny_model: Path
) -> None:
    scores = await vllm_engine.score("The answer is", CANDIDATES)
    reference = await start_engine(
        EngineSpec("reference", str(tiny_adapter), backend="transformers")
    )
    plain = await start_engine(EngineSpec("plain", str(tiny_model), backend="transformers"))
    expected = await reference.score("The answer is", CANDIDATES)
    without = await plain.score("The answer is", CANDIDATES)
    request = Request("Why is the sky", Sampling(max_tokens=12, temperature=0.0))
    (said,), (wanted,) = await vllm_engine.generate(request), await reference.generate(request)
    assert (said.text, said.output_tokens) == (wanted.text, wanted.output_tokens)
    assert said.logprob == pytest.approx(wanted.logprob, abs=1e-2)
    await reference.close()
    await plain.close()
    assert [s.logprob for s in scores] == pytest.approx([s.logprob for s in expected], abs=1e-3)
    assert abs(scores[0].logprob - without[0].logprob) > 0.1


@pytest.mark.slow
async def test_an_adapter_of_another_model_is_an_error_at_the_start(
    tiny_adapter: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_adapter, tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    wider = {name: tensor.repeat(1, 3) for name, tensor in weights.items()}
    save_file(wider, tmp_path / "adapter_model.safetensors")
    with pytest.raises(EngineSetupError, match="can't use the adapter"):
        await start_engine(EngineSpec("tiny", str(tmp_path), args={"max_model_len": 256}))


async def test_an_adapter_with_new_tokens_is_refused(tiny_adapter: Path, tmp_path: Path) -> None:
    settings = (tiny_adapter / "adapter_config.json").read_text()
    changed = settings.replace('"modules_to_save": null', '"modules_to_save": ["embed_tokens"]')
    assert changed != settings
    shutil.copytree(tiny_adapter, tmp_path, dirs_exist_ok=True)
    (tmp_path / "adapter_config.json").write_text(changed)
    with pytest.raises(EngineSetupError, match=r"which vLLM can't add.*backend: transformers"):
        await start_engine(EngineSpec("tiny", str(tmp_path)))

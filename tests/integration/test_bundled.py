"""The bundled model, converted for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.engines.models.bundled import model_path


@pytest.mark.bundled
@pytest.mark.slow
def test_the_converted_model_is_a_normal_folder_that_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path))
    folder = model_path("bundled:smollm2-135m-instruct")
    assert (Path(folder) / "config.json").is_file()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt")
    said = model.generate(**ids, max_new_tokens=16, do_sample=False)
    assert "Paris" in tokenizer.decode(said[0, ids["input_ids"].shape[1] :])

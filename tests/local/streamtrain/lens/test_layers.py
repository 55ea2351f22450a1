"""What a layer holds: against the same model with its later layers cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
)

from streamtrain.errors import InputError
from streamtrain.lens.layers import LayerReader, LensInput
from streamtrain.models.student import PACKABLE, Kind, Student

CPU = torch.device("cpu")
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "intermediate_size": 64,
    "num_attention_heads": 2,
}
_LLAMA = {**_SIZES, "num_key_value_heads": 1, "head_dim": 16}
_OPT = {**_SIZES, "ffn_dim": 64}
_T5 = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
_BART = {
    f"{side}_{what}": size
    for side, layers in (("encoder", 2), ("decoder", 3))
    for what, size in (("layers", layers), ("attention_heads", 2), ("ffn_dim", 64))
}
CAUSAL: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("llama", "model.layers", _LLAMA),
    "qwen2": ("qwen2", "model.layers", _LLAMA),
    "gemma": ("gemma", "model.layers", _LLAMA),
    "gemma2, capped": ("gemma2", "model.layers", {**_LLAMA, "final_logit_softcapping": 2.0}),
    "cohere, scaled": ("cohere", "model.layers", {**_LLAMA, "logit_scale": 0.3}),
    "granite, scaled": ("granite", "model.layers", {**_LLAMA, "logits_scaling": 3.0}),
    "phi": ("phi", "model.layers", _SIZES),
    "gpt2": ("gpt2", "transformer.h", {"n_embd": 32, "n_layer": 3, "n_head": 2}),
    "gpt_neo": (
        "gpt_neo",
        "transformer.h",
        {
            "hidden_size": 32,
            "num_layers": 3,
            "num_heads": 2,
            "attention_types": [[["global", "local", "global"], 1]],
        },
    ),
    "opt": ("opt", "model.decoder.layers", {**_OPT, "word_embed_proj_dim": 32}),
    "opt, projected": (
        "opt",
        "model.decoder.layers",
        {**_OPT, "word_embed_proj_dim": 16, "do_layer_norm_before": False},
    ),
}
SEQ2SEQ: dict[str, tuple[str, str, dict[str, Any]]] = {
    "t5": ("t5", "decoder.block", {**_T5, "num_decoder_layers": 3}),
    "t5, untied": (
        "t5",
        "decoder.block",
        {**_T5, "num_decoder_layers": 3, "tie_word_embeddings": False},
    ),
    "bart": ("bart", "model.decoder.layers", {"d_model": 32, **_BART, "init_std": 0.2}),
}


def student(tiny_model: Path, kind: Kind, family: str, sizes: dict[str, Any]) -> Student:
    torch.manual_seed(0)
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "decoder_start_token_id": 2}
    more = {"initializer_range": 0.2} if kind == "causal" else {}
    auto = AutoModelForCausalLM if kind == "causal" else AutoModelForSeq2SeqLM
    config = AutoConfig.for_model(family, vocab_size=400, **ids, **more, **sizes)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    return Student(auto.from_config(config).eval(), tokenizer, False, CPU, kind)


def cut(model: Any, path: str, depth: int) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, model.get_submodule(path)[:depth])
    for key in ("num_hidden_layers", "decoder_layers", "num_decoder_layers"):
        if hasattr(model.config, key):
            setattr(model.config, key, depth)


def test_every_family_that_can_be_trained_is_read() -> None:
    assert {family for family, *_ in CAUSAL.values()} >= set(PACKABLE)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_layer_reads_as_the_model_that_ends_there(tiny_model: Path, name: str) -> None:
    family, path, sizes = CAUSAL[name]
    one = student(tiny_model, "causal", family, sizes)
    reader = LayerReader(one)
    found = reader.logits(reader.states(LensInput((5, 9, 40, 7))))
    assert found.shape == (3, 4, 400)
    # From the second time on the model's own head has less to do.
    torch.testing.assert_close(reader.logits(reader.states(LensInput((5, 9, 40, 7)))), found)
    for depth in (3, 2, 1):
        cut(one.model, path, depth)
        with torch.no_grad():
            expected = one.model(torch.tensor([[5, 9, 40, 7]]), use_cache=False).logits[0]
        torch.testing.assert_close(found[depth - 1], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SEQ2SEQ)
def test_a_decoders_layer_reads_as_the_decoder_that_ends_there(tiny_model: Path, name: str) -> None:
    family, path, sizes = SEQ2SEQ[name]
    one = student(tiny_model, "seq2seq", family, sizes)
    if family == "bart":
        torch.nn.init.normal_(one.model.final_logits_bias)
    reader = LayerReader(one)
    passage = LensInput((9, 40), (5, 7, 11))
    found = reader.logits(reader.states(passage))
    assert found.shape == (3, 3, 400)
    assert reader.tokens(passage) == [2, 9, 40]
    for depth in (3, 2, 1):
        cut(one.model, path, depth)
        with torch.no_grad():
            expected = one.model(
                torch.tensor([[5, 7, 11]]),
                decoder_input_ids=torch.tensor([[2, 9, 40]]),
                use_cache=False,
            ).logits[0]
        torch.testing.assert_close(found[depth - 1], expected, rtol=1e-4, atol=1e-4)


def test_an_end_that_is_not_known_is_refused(tiny_model: Path) -> None:
    one = student(tiny_model, "causal", "llama", _LLAMA)

    def doubled(_: Any, __: Any, output: Any) -> Any:
        output.logits = output.logits * 2
        return output

    one.model.register_forward_hook(doubled)
    with pytest.raises(InputError, match="not available yet for llama models"):
        LayerReader(one).states(LensInput((5, 9)))

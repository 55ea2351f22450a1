"""What a step computes, and the peaks that are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from streamtrain.config.data import DataConfig
from streamtrain.config.student import StudentConfig, TuneConfig
from streamtrain.data.examples import make_example
from streamtrain.models.flops import (
    ComputeLoad,
    TokenFlops,
    device_peak_flops,
    peak_flops,
    token_flops,
)
from streamtrain.models.student import ModelSource, load_student
from tests.local.streamtrain.models.test_seq2seq import config, family, rows, train_step

CPU = torch.device("cpu")


def test_a_token_takes_six_a_parameter_and_four_where_only_an_adapter_is_trained(
    tiny_model: Path,
) -> None:
    full = load_student(ModelSource(str(tiny_model)), TuneConfig(method="full"), CPU)
    weights = sum(parameter.numel() for parameter in full.model.parameters())
    looked_up = full.model.get_input_embeddings().weight.numel()
    head = full.model.get_output_embeddings().weight.numel()
    assert full.model.get_output_embeddings().weight is not full.model.get_input_embeddings().weight
    layers = weights - looked_up - head
    assert token_flops(full) == TokenFlops(6 * layers, 0.0, 6 * head)
    lora = load_student(ModelSource(str(tiny_model)), TuneConfig(r=4), CPU)
    adapter = sum(parameter.numel() for _, parameter in lora.trainable())
    assert token_flops(lora) == TokenFlops(4 * (layers + adapter) + 2 * adapter, 0.0, 4 * head)


def test_a_classifier_takes_its_head_once_a_text(tiny_classifier: Path) -> None:
    """By hand: 32 wide and three classes, with a bias each."""
    source = ModelSource(str(tiny_classifier), kind="classifier")
    student = load_student(source, TuneConfig(method="full"), CPU)
    assert token_flops(student).head == 6 * (32 * 3 + 3)
    assert token_flops(load_student(source, TuneConfig(r=4), CPU)).head >= 6 * (32 * 3 + 3)


def test_the_head_of_a_causal_student_counts_at_the_tokens_that_are_learned(
    tiny_model: Path,
) -> None:
    """Its logits are computed where a target is to be predicted, not at the input's tokens."""
    causal = {"student": "tiny", "version": 1, "model": str(tiny_model), "tune": {"method": "full"}}
    made = train_step(StudentConfig.model_validate(causal))
    examples = [made.tokenizer.example(make_example(row, DataConfig())) for row in rows(3)]
    learned = sum(weight > 0 for one in examples for weight in one.weights)
    done = made.step(rows(3), 0, 1.0)
    assert 0 < learned < done.tokens
    assert done.predicted == learned
    load = ComputeLoad(token_flops(made.student), None, 1)
    assert load.flops(done.tokens, 0, learned) == (
        load.costs.token * done.tokens + load.costs.head * learned
    )


@pytest.mark.parametrize("tied", [True, False])
def test_each_side_of_a_t5_reads_its_own_tokens(
    tiny_model: Path, tmp_path: Path, tied: bool
) -> None:
    """Counted by hand: 32 wide, 2 heads of 16, 64 within the layers, 2 layers a side, 400 words."""
    student = load_student(t5(tiny_model, tmp_path, tied), TuneConfig(method="full"), CPU)
    square, norm, gated = 32 * 32, 32, 3 * 32 * 64
    encoder = 2 * (4 * square + gated + 2 * norm) + norm
    across = 2 * (2 * square)
    decoder = 2 * (8 * square + gated + 3 * norm) + norm - across
    head = 400 * 32
    found = token_flops(student)
    assert found == TokenFlops(6 * decoder, 6 * (encoder + across), 6 * head)


def test_each_side_of_a_bart_reads_its_own_tokens(tiny_model: Path, tmp_path: Path) -> None:
    """By hand, as above; its linear layers have biases, its places are learned and looked up. The
    adapter of rank 4 lies on every linear layer but the head."""
    bart = ModelSource(str(family("bart", tmp_path, tiny_model)), kind="seq2seq")
    square, norm, within = 32 * 32 + 32, 2 * 32, 2 * 32 * 64 + 64 + 32
    encoder = 2 * (4 * square + within + 2 * norm) + norm
    across = 2 * (2 * square)
    decoder = 2 * (8 * square + within + 3 * norm) + norm - across
    full = token_flops(load_student(bart, TuneConfig(method="full"), CPU))
    assert full == TokenFlops(6 * decoder, 6 * (encoder + across), 6 * 400 * 32)
    small, wide = 4 * (32 + 32), 4 * (32 + 64)
    lora = token_flops(load_student(bart, TuneConfig(r=4), CPU))
    assert lora.read == 4 * (encoder + across) + 6 * 2 * (4 * small + 2 * wide + 2 * small)
    assert lora.token == 4 * decoder + 6 * 2 * (6 * small + 2 * wide)


def t5(tiny_model: Path, folder: Path, tied: bool) -> ModelSource:
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    path = family("t5", folder, tiny_model)
    config = AutoConfig.from_pretrained(path, tie_word_embeddings=tied)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(path)
    return ModelSource(str(path), kind="seq2seq")


def test_a_step_says_what_the_encoder_read(tiny_model: Path, tmp_path: Path) -> None:
    made = train_step(config(family("t5", tmp_path, tiny_model)))
    examples = [made.tokenizer.example(make_example(row, DataConfig())) for row in rows(3)]
    done = made.step(rows(3), 0, 1.0)
    assert done.read == sum(len(one.encoder_ids) for one in examples)
    assert done.predicted == sum(len(one.ids) for one in examples)
    assert done.tokens == done.read + done.predicted


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA A10", 125),
    ],
)
def test_a_device_is_known_by_its_name(name: str, tera: float) -> None:
    assert device_peak_flops(name) == tera * 1e12


def test_no_peak_is_made_up() -> None:
    for name in ("NVIDIA A10G", "NVIDIA H100 NVL", "NVIDIA H200 NVL"):
        assert device_peak_flops(name) is None
    assert device_peak_flops("Some Accelerator") is None
    assert peak_flops(CPU) is None


def test_utilisation_is_of_all_devices_and_null_where_the_peak_is_unknown() -> None:
    assert ComputeLoad(TokenFlops(6e9), 300e12, 2).of(20_000, 0, 9, 2.0) == {
        "flops_per_second": 6e13,
        "utilisation": pytest.approx(0.1),
    }
    unknown = ComputeLoad(TokenFlops(6e9), None, 1).of(10, 0, 9, 1.0)
    assert unknown == {"flops_per_second": 6e10, "utilisation": None}
    assert (
        ComputeLoad(TokenFlops(6e9, 1e9, 2e9), None, 1).of(10, 7, 2, 1.0)["flops_per_second"]
        == 29e9
    )

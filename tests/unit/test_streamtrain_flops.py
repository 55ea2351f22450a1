"""What a step computes, and the peaks that are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from streamtrain.config import Tune
from streamtrain.flops import Load, flops_per_token, peak_flops, peak_of
from streamtrain.student import Source, load_student

CPU = torch.device("cpu")


def test_a_token_takes_six_a_parameter_and_four_where_only_an_adapter_is_trained(
    tiny_model: Path,
) -> None:
    full = load_student(Source(str(tiny_model)), Tune(method="full"), CPU)
    weights = sum(parameter.numel() for parameter in full.model.parameters())
    looked_up = full.model.get_input_embeddings().weight.numel()
    assert full.model.get_output_embeddings().weight is not full.model.get_input_embeddings().weight
    assert flops_per_token(full) == 6 * (weights - looked_up)
    lora = load_student(Source(str(tiny_model)), Tune(r=4), CPU)
    adapter = sum(parameter.numel() for _, parameter in lora.trainable())
    assert flops_per_token(lora) == 4 * (weights - looked_up + adapter) + 2 * adapter


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
    assert peak_of(name) == tera * 1e12


def test_no_peak_is_made_up() -> None:
    for name in ("NVIDIA A10G", "NVIDIA H100 NVL", "NVIDIA H200 NVL"):
        assert peak_of(name) is None
    assert peak_of("Some Accelerator") is None
    assert peak_flops(CPU) is None


def test_utilisation_is_of_all_devices_and_null_where_the_peak_is_unknown() -> None:
    assert Load(6e9, 300e12, 2).of(10_000) == {
        "flops_per_second": 6e13,
        "utilisation": pytest.approx(0.1),
    }
    assert Load(6e9, None, 1).of(10) == {"flops_per_second": 6e10, "utilisation": None}

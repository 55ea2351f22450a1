"""How much a step computes, and what share of the devices' peak that is.

Model FLOPs by the usual rule (arXiv 2001.08361): 2 a parameter and token forward, 2 backward for
the activations, and 2 for the gradient of each trained weight; attention's own scores and what
gradient checkpointing computes again are not counted. A seq2seq student is counted as if all of it
read every token, which is too much. Knows nothing of steps or of how they went.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from streamtrain.student import Student

_PEAKS = (
    (r"\bB200\b", 2250e12),
    (r"\bH200\b(?! NVL)", 989e12),
    (r"\bH100\b.*\bPCIe\b", 756e12),
    (r"\bH100\b(?! NVL)", 989e12),
    (r"\bA100\b", 312e12),
    (r"\bL40S\b", 362e12),
    (r"\bL4\b", 121e12),
    (r"\bA10\b", 125e12),
)
"""Dense bfloat16 FLOP/s by the device's name, as NVIDIA's data sheets state them."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run's tokens take, and the peak FLOP/s of each of its devices where it is known."""

    per_token: float
    peak: float | None
    devices: int

    def of(self, tokens_per_second: float) -> dict[str, float | None]:
        """FLOP/s over all devices, and their share of the peak."""
        flops = self.per_token * tokens_per_second
        share = None if self.peak is None else flops / (self.peak * self.devices)
        return {"flops_per_second": flops, "utilisation": share}


def flops_per_token(student: Student) -> float:
    """What a token of a training step takes. An embedding that is only looked up takes nothing."""
    model = student.model
    total: int = sum(parameter.numel() for parameter in model.parameters())
    trained: int = sum(parameter.numel() for _, parameter in student.trainable())
    inner, head = model.get_input_embeddings(), model.get_output_embeddings()
    if inner is not None and (head is None or head.weight is not inner.weight):
        total -= inner.weight.numel()
    return 4.0 * total + 2.0 * min(trained, total)


def peak_flops(device: torch.device) -> float | None:
    """The peak FLOP/s of a device; None where it isn't known, as of every CPU."""
    if device.type != "cuda":
        return None
    return peak_of(torch.cuda.get_device_name(device))


def peak_of(name: str) -> float | None:
    """The peak FLOP/s of a device by its name; None for one that isn't listed."""
    return next((peak for pattern, peak in _PEAKS if re.search(pattern, name)), None)

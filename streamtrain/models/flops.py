"""Model FLOPs of a training step, and their share of the peak of the devices (MFU).

The usual rule (arXiv 2001.08361): per parameter and token 2 forward, 2 backward for the
activations, and 2 for the gradient of a trained weight. The head counts only at the tokens that it
predicts, since it is computed nowhere else. Attention scores and what gradient checkpointing
recomputes are not counted. Knows nothing of steps or of timing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from streamtrain.models.student import HEADS, Student

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
"""Dense bfloat16 FLOP/s by device name, from NVIDIA's data sheets."""


_ACROSS = re.compile(r"\.(EncDecAttention|encoder_attn)\.(k|v|k_proj|v_proj)\.")
"""The weights of a decoder's cross-attention (T5, BART) that are applied to encoder outputs."""


@dataclass(frozen=True, slots=True)
class TokenFlops:
    """FLOPs of a training step: per `token` of a sequence or target, per token that an encoder
    `read`s, and per prediction of the `head`."""

    token: float
    read: float = 0.0
    head: float = 0.0


@dataclass(frozen=True, slots=True)
class ComputeLoad:
    """The FLOPs of a run, and the peak FLOP/s of each of its devices if known."""

    costs: TokenFlops
    peak: float | None
    devices: int

    def flops(self, tokens: int, read: int, predicted: int) -> float:
        """Count the FLOPs of `tokens` tokens, `read` of them by an encoder, with `predicted`
        predictions of the head."""
        costs = self.costs
        return costs.token * (tokens - read) + costs.read * read + costs.head * predicted

    def of(self, tokens: int, read: int, predicted: int, seconds: float) -> dict[str, float | None]:
        """Compute FLOP/s over all devices, and their utilisation of the peak, None if it is
        unknown.

        `tokens`, of which an encoder had `read`, and `predicted` predictions of the head took
        `seconds` in all.
        """
        flops = self.flops(tokens, read, predicted) / seconds
        share = None if self.peak is None else flops / (self.peak * self.devices)
        return {"flops_per_second": flops, "utilisation": share}


def token_flops(student: Student) -> TokenFlops:
    """Count the FLOPs per token of a student. An embedding that is only looked up costs nothing."""
    model = student.model
    head_weights = _head_ids(student)
    embeddings = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    looked_up = set().union(*map(_ids, embeddings)) - head_weights
    reading = _ids(model.get_encoder()) - head_weights if student.kind == "seq2seq" else set()
    token = read = head = 0.0
    for name, parameter in model.named_parameters():
        if id(parameter) in looked_up:
            continue
        flops = (6.0 if parameter.requires_grad else 4.0) * parameter.numel()
        if id(parameter) in head_weights:
            head += flops
        elif id(parameter) in reading or _ACROSS.search(name):
            read += flops
        else:
            token += flops
    return TokenFlops(token, read, head)


def _head_ids(student: Student) -> set[int]:
    """Collect the weights that turn hidden states into logits, over the vocabulary or over
    classes."""
    if student.kind != "classifier":
        head = student.model.get_output_embeddings()
        return set() if head is None else _ids(head)
    modules = student.model.named_modules()
    return set().union(*(_ids(m) for name, m in modules if name.rpartition(".")[2] in HEADS))


def _ids(module: torch.nn.Module) -> set[int]:
    return {id(parameter) for parameter in module.parameters()}


def peak_flops(device: torch.device) -> float | None:
    """Look up the peak FLOP/s of a device; None if unknown, as for every CPU."""
    if device.type != "cuda":
        return None
    return device_peak_flops(torch.cuda.get_device_name(device))


def device_peak_flops(name: str) -> float | None:
    """Look up the peak FLOP/s of a device by name; None if it is not listed."""
    return next((peak for pattern, peak in _PEAKS if re.search(pattern, name)), None)

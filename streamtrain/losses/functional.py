"""The losses as pure functions of tensors.

They know nothing of models, batches or ranks. The caller divides a sum by the weight of the
*global* batch, so that ranks and micro-batches of any size add up to the same gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional


def weighted_nll(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Sum weight x negative log-likelihood over N tokens, in float32.

    `logits` (N, vocabulary), `targets` (N,) token ids, `weights` (N,) at least 0.
    """
    losses = functional.cross_entropy(logits.float(), targets, reduction="none")
    return (losses * weights).sum()


def class_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Compute the cross-entropy (N,) of each text; `logits` (N, classes), `labels` (N,)."""
    return functional.cross_entropy(logits, labels, reduction="none")


def kl_divergences(
    logits: torch.Tensor, log_probabilities: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Compute KL(teacher || student) (N,) at a temperature, multiplied by its square.

    `logits` (N, classes) are the student's, `log_probabilities` (N, classes) the teacher's at
    temperature 1.
    """
    teacher = torch.log_softmax(log_probabilities / temperature, dim=-1)
    student = torch.log_softmax(logits / temperature, dim=-1)
    kl = functional.kl_div(student, teacher, reduction="none", log_target=True)
    return kl.sum(dim=-1) * temperature**2


def top_k_kl_divergences(
    logits: torch.Tensor, ids: torch.Tensor, log_probabilities: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Compute KL(teacher || student) (N,) at a temperature, multiplied by its square, over the
    teacher's top k tokens and one more class for all others.

    `logits` (N, vocabulary) are the student's; `ids` and `log_probabilities` (N, k), at temperature
    1, the teacher's. Without the extra class a student could put its weight on any other token at
    no cost.
    """
    student = torch.log_softmax(logits.float(), dim=-1).gather(1, ids)
    return kl_divergences(_with_rest(student), _with_rest(log_probabilities), temperature)


def _with_rest(log_probabilities: torch.Tensor) -> torch.Tensor:
    """Append to the classes (N, k) one that has the remaining probability."""
    known = log_probabilities.exp().sum(dim=-1, keepdim=True).clamp(max=1 - 1e-6)
    return torch.cat([log_probabilities, torch.log1p(-known)], dim=-1)


def layer_distances(
    student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor], mask: torch.Tensor
) -> torch.Tensor:
    """Compute the mean squared distance (N,) of hidden states, over the tokens of a text, their
    width and the layers.

    Each layer is (N, T, width); `mask` (N, T) is 1 where a token is.
    """
    token_counts = mask.sum(dim=1)
    squares = [
        ((student_layer.float() - teacher_layer.float()).square().mean(dim=-1) * mask).sum(dim=1)
        / token_counts
        for student_layer, teacher_layer in zip(student, teacher, strict=True)
    ]
    return torch.stack(squares).mean(dim=0)


def paired_losses(
    original: torch.Tensor, counterfactual: torch.Tensor, strength: float
) -> torch.Tensor:
    """Compute CE(counterfactual) + strength x |CE(original) - CE(counterfactual)| of each pair
    (N,)."""
    return counterfactual + strength * (original - counterfactual).abs()

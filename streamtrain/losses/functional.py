"""The losses, as pure functions of tensors.

Know nothing of models, batches or ranks: the caller divides a sum by the weight of the *global*
batch, so that ranks and micro-batches of any size add up to the same gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional


def weighted_nll(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Sum over N tokens of weight x negative log-likelihood, in float32.

    `logits` (N, vocabulary), `targets` (N,) token ids, `weights` (N,) at least 0.
    """
    losses = functional.cross_entropy(logits.float(), targets, reduction="none")
    return (losses * weights).sum()


def class_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy (N,) of each text's class; `logits` (N, classes), `labels` (N,)."""
    return functional.cross_entropy(logits, labels, reduction="none")


def kl_divergences(
    logits: torch.Tensor, log_probabilities: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return KL(teacher || student) (N,) at a temperature, times its square.

    `log_probabilities` (N, classes) are the teacher's, at temperature 1.
    """
    teacher = torch.log_softmax(log_probabilities / temperature, dim=-1)
    student = torch.log_softmax(logits / temperature, dim=-1)
    kl = functional.kl_div(student, teacher, reduction="none", log_target=True)
    return kl.sum(dim=-1) * temperature**2


def top_k_kl_divergences(
    logits: torch.Tensor, ids: torch.Tensor, log_probabilities: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return KL(teacher || student) (N,) at a temperature, times its square, over the k tokens that
    are known of the teacher and one more class: all other tokens together.

    `logits` (N, vocabulary) are the student's; `ids` (N, k) and `log_probabilities` (N, k), at
    temperature 1, the teacher's. Without that class a student could put its weight on any other
    token and lose nothing.
    """
    student = torch.log_softmax(logits.float(), dim=-1).gather(1, ids)
    return kl_divergences(_with_rest(student), _with_rest(log_probabilities), temperature)


def _with_rest(log_probabilities: torch.Tensor) -> torch.Tensor:
    """Return the classes (N, k) and, as one more, what they leave of the probability."""
    known = log_probabilities.exp().sum(dim=-1, keepdim=True).clamp(max=1 - 1e-6)
    return torch.cat([log_probabilities, torch.log1p(-known)], dim=-1)


def layer_distances(
    student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor], mask: torch.Tensor
) -> torch.Tensor:
    """Return the mean squared distance (N,) of hidden states, over the tokens of a text, their
    width and the layers. Each layer is (N, T, width), the `mask` (N, T) is 1 where a token is."""
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
    """Return CE(counterfactual) + strength x |CE(original) - CE(counterfactual)| of each pair
    (N,)."""
    return counterfactual + strength * (original - counterfactual).abs()

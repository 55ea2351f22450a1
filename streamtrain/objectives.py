"""The losses, as pure functions of tensors.

Know nothing of models, batches or ranks: the caller divides a sum by the weight of the *global*
batch, so that ranks and micro-batches of any size add up to the same gradient.
"""

from __future__ import annotations

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

"""Integrated gradients (Sundararajan et al. 2017): how much each token speaks for what follows.

Knows nothing of texts: it is given tokens and places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def integrated_gradients(
    model: Any,
    tokens: Sequence[int],
    target: int,
    places: Sequence[int],
    steps: int,
    batch: int,
) -> list[float]:
    """The attribution of the tokens at `places` toward the tokens from `target` on.

    The function is the summed log-probability of the target's tokens, the baseline zero
    embeddings at `places` while the other tokens stand as they are, and the integral a
    Gauss-Legendre sum of `steps` points, `batch` at a time. The scores add up to the function's
    change from the baseline.
    """
    points, weights = _quadrature(steps)
    ids = torch.tensor(tokens, device=model.device)
    here = torch.tensor(places, device=model.device)
    embedded = model.get_input_embeddings()(ids).detach()
    total = torch.zeros_like(embedded[here], dtype=torch.float32)
    for start in range(0, steps, batch):
        inputs = embedded.repeat(len(points[start : start + batch]), 1, 1)
        scale = points[start : start + batch].to(inputs)[:, None, None]
        inputs[:, here] = inputs[:, here] * scale
        inputs.requires_grad_()
        (gradient,) = torch.autograd.grad(_log_probability(model, inputs, ids, target), inputs)
        weight = weights[start : start + batch].to(total)[:, None, None]
        total += (gradient[:, here].float() * weight).sum(dim=0)
    scores: list[float] = (total * embedded[here].float()).sum(dim=-1).tolist()
    return scores


def _log_probability(
    model: Any, inputs: torch.Tensor, ids: torch.Tensor, target: int
) -> torch.Tensor:
    """The log-probability of ids[target:] after each row's inputs, summed over the rows."""
    following = ids[target:]
    output = model(inputs_embeds=inputs, use_cache=False, logits_to_keep=len(following) + 1)
    logprobs = torch.log_softmax(output.logits[:, -len(following) - 1 : -1].float(), dim=-1)
    chosen: torch.Tensor = logprobs.gather(-1, following.expand(len(inputs), -1)[..., None])
    return chosen.sum()


def _quadrature(steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points in [0, 1] and their weights."""
    from numpy.polynomial.legendre import leggauss

    points, weights = leggauss(steps)
    return torch.from_numpy((points + 1) / 2), torch.from_numpy(weights / 2)

"""Integrated gradients (Sundararajan et al. 2017): how much each token speaks for what follows.

Knows nothing of texts: it is given tokens and places.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from captum.attr import IntegratedGradients


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
    ids = torch.tensor(tokens, device=model.device)
    here = torch.tensor(places, device=model.device)
    embedded = model.get_input_embeddings()(ids).detach()[None]
    baseline = embedded.index_fill(1, here, 0)
    scores = IntegratedGradients(partial(_log_probabilities, model, ids[target:])).attribute(
        embedded, baseline, n_steps=steps, internal_batch_size=batch, method="gausslegendre"
    )
    found: list[float] = scores[0, here].float().sum(dim=-1).tolist()
    return found


def _log_probabilities(model: Any, following: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """The log-probability (rows,) of the last tokens of each row of embedded inputs."""
    output = model(inputs_embeds=inputs, use_cache=False, logits_to_keep=len(following) + 1)
    logprobs = torch.log_softmax(output.logits[:, -len(following) - 1 : -1].float(), dim=-1)
    chosen: torch.Tensor = logprobs.gather(-1, following.expand(len(inputs), -1)[..., None])
    return chosen.sum(dim=(1, 2))

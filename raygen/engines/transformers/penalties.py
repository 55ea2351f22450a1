"""Change the logits of tokens before one is drawn: biases, and penalties of what stands there.

As vLLM and OpenAI define them. Knows nothing of how a token is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from raygen.engines.base import Sampling


def penalised(
    logits: torch.Tensor,
    samplings: Sequence[Sampling],
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
) -> torch.Tensor:
    """Return the logits (rows, vocabulary) after each row's biases and penalties.

    `prompts` and `answers` are the tokens of each row so far. Without any setting the logits come
    back as they are.
    """
    rows = [at for at, sampling in enumerate(samplings) if _changes(sampling)]
    if not rows:
        return logits
    logits = logits.clone()
    for at in rows:
        _penalise(logits[at], samplings[at], prompts[at], answers[at])
    return logits


def _changes(sampling: Sampling) -> bool:
    penalties = (sampling.presence_penalty, sampling.frequency_penalty)
    return (
        any(penalties) or sampling.repetition_penalty not in (None, 1) or bool(sampling.logit_bias)
    )


def _penalise(
    row: torch.Tensor, sampling: Sampling, prompt: Sequence[int], answer: Sequence[int]
) -> None:
    """Change one row (vocabulary,) in place."""
    for token, bias in (sampling.logit_bias or {}).items():
        row[token] += bias
    penalty = sampling.repetition_penalty
    if penalty is not None and penalty != 1:
        read = torch.tensor(sorted({*prompt, *answer}), device=row.device, dtype=torch.long)
        values = row[read]
        row[read] = torch.where(values > 0, values / penalty, values * penalty)
    if answer and (sampling.presence_penalty or sampling.frequency_penalty):
        tokens = torch.tensor(answer, device=row.device, dtype=torch.long)
        counts = torch.bincount(tokens, minlength=row.shape[-1]).to(row.dtype)
        row -= (sampling.frequency_penalty or 0.0) * counts
        row -= (sampling.presence_penalty or 0.0) * (counts > 0).to(row.dtype)

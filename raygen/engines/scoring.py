"""Scoring: the log-probabilities that a causal model gives to texts, many at once.

Knows nothing of tasks or threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from raygen.engines.base import Score
from raygen.engines.reading import Reading

_POSITIONS = 2048
"""Positions whose logits are held at once: each takes a float per word of the vocabulary."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """A text's tokens, and the place from which they are scored."""

    tokens: tuple[int, ...]
    start: int

    @property
    def head(self) -> tuple[int, ...]:
        """What is read before; the first token of all follows nothing and has no probability."""
        return self.tokens[: max(self.start, 1)]

    @property
    def tail(self) -> tuple[int, ...]:
        """What is scored."""
        return self.tokens[max(self.start, 1) :]


def score(model: Any, texts: Sequence[Continuation]) -> list[Score]:
    """The score of each text; a head that several share is read once."""
    longest = max(len(text.tail) for text in texts)
    if len(texts) > 1 and len(texts) * longest > _POSITIONS:
        half = len(texts) // 2
        return score(model, texts[:half]) + score(model, texts[half:])
    if longest == 0:
        return [Score(0.0, 0, len(text.tokens)) for text in texts]
    heads = list(dict.fromkeys(text.head for text in texts))
    places = {head: at for at, head in enumerate(heads)}
    with torch.inference_mode():
        reading = Reading.of(model, heads)
        reading.select([places[text.head] for text in texts])
        logits = reading.next[:, None]
        if longest > 1:
            # An empty tail still needs a token to be a row; nobody reads what follows it.
            fed = [text.tail[:-1] or text.head[-1:] for text in texts]
            logits = torch.cat([logits, reading.extend(fed)], dim=1)
        sums = []
        for row, text in zip(logits, texts, strict=True):
            tail = torch.tensor(text.tail, dtype=torch.long, device=row.device)[:, None]
            logprobs = torch.log_softmax(row[: len(tail)], dim=-1).gather(1, tail)
            sums.append(float(logprobs.double().sum()))
    return [
        Score(total, len(text.tail), len(text.tokens))
        for total, text in zip(sums, texts, strict=True)
    ]

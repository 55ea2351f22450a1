"""The log-probabilities that a causal model gives to texts, many at once.

Knows nothing of tasks or threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from raygen.engines.base import Score, TopTokens
from raygen.engines.transformers.prefill import PrefilledBatch

T = TypeVar("T")

_POSITIONS = 2048
"""Positions whose logits are held at once: each takes a float per word of the vocabulary."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """The token ids of a text, and the index of the first that is scored."""

    tokens: tuple[int, ...]
    start: int

    @property
    def head(self) -> tuple[int, ...]:
        """The tokens that are read first, at least one, since the first has no probability."""
        return self.tokens[: max(self.start, 1)]

    @property
    def tail(self) -> tuple[int, ...]:
        """The tokens that are scored."""
        return self.tokens[max(self.start, 1) :]


def score(model: Any, texts: Sequence[Continuation]) -> list[Score]:
    """Score each text; a head that several share is read once."""

    def take(logprobs: torch.Tensor, text: Continuation) -> Score:
        tail = torch.tensor(text.tail, dtype=torch.long, device=logprobs.device)[:, None]
        total = float(logprobs.gather(1, tail).double().sum()) if text.tail else 0.0
        return Score(total, len(text.tail), len(text.tokens))

    return _read_tails(model, texts, take)


@dataclass(frozen=True, slots=True)
class TopTokensRequest:
    """A text after a prompt, of at least a token each, and the number of tokens to return."""

    text: Continuation
    k: int


def top_tokens(
    model: Any, requests: Sequence[TopTokensRequest], vocabulary: str
) -> list[TopTokens]:
    """Return the most probable tokens at each position of each text.

    `vocabulary` is the fingerprint of the model's tokenizer, which the answers carry.
    """
    largest_k = max(request.k for request in requests)

    def take(logprobs: torch.Tensor, text: Continuation) -> tuple[list[Any], list[Any]]:
        best = logprobs.topk(min(largest_k, logprobs.shape[1]), dim=1)
        return best.indices.tolist(), best.values.tolist()

    tops = _read_tails(model, [request.text for request in requests], take)
    return [
        TopTokens(
            vocabulary,
            request.text.tail,
            tuple(tuple(row[: request.k]) for row in ids),
            tuple(tuple(row[: request.k]) for row in logprobs),
            len(request.text.tokens),
        )
        for request, (ids, logprobs) in zip(requests, tops, strict=True)
    ]


def _read_tails(
    model: Any,
    texts: Sequence[Continuation],
    take: Callable[[torch.Tensor, Continuation], T],
) -> list[T]:
    """Apply `take` to each text and the log-probabilities (tail, vocabulary) of its tail."""
    longest = max(len(text.tail) for text in texts)
    if len(texts) > 1 and len(texts) * longest > _POSITIONS:
        half = len(texts) // 2
        return _read_tails(model, texts[:half], take) + _read_tails(model, texts[half:], take)
    if longest == 0:
        return [take(torch.zeros(0, 0), text) for text in texts]
    heads = list(dict.fromkeys(text.head for text in texts))
    head_rows = {head: at for at, head in enumerate(heads)}
    with torch.inference_mode():
        reading = PrefilledBatch.of(model, heads)
        reading.select([head_rows[text.head] for text in texts])
        logits = reading.next[:, None]
        if longest > 1:
            # An empty tail still needs a token to be a row; nobody reads what follows it.
            fed = [text.tail[:-1] or text.head[-1:] for text in texts]
            logits = torch.cat([logits, reading.extend(fed)], dim=1)
        return [
            take(torch.log_softmax(row[: len(text.tail)], dim=-1), text)
            for row, text in zip(logits, texts, strict=True)
        ]

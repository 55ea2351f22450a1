"""Which of several texts to keep: the first, a random few, the most diverse, the most likely.

Knows nothing of rows or engines.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from typing import Literal

from pydantic import Field, model_validator

from raygen.core import shingles, similarity
from raygen.ops.base import OpParams

_COMPARED = 64


class Pick(OpParams):
    """Which samples of a question stay, once near duplicates are removed.

    `diverse`: the first sample, then again and again the one that lies farthest from the nearest
    one picked so far. `likely`: those with the highest log-probability per token. `random`: drawn
    with the row's seed. Distance is one minus the share of pieces of five characters that two
    rationales have in common.
    """

    by: Literal["first", "random", "diverse", "likely"] = "first"
    at_most: int | None = Field(None, ge=1, description="how many stay; absent: all")
    near: float | None = Field(
        None,
        gt=0,
        le=1,
        description="remove a rationale whose similarity to an earlier one is at least that",
    )

    @model_validator(mode="after")
    def _does_something(self) -> Pick:
        if self.at_most is None and self.near is None:
            raise ValueError("expected `at_most`, `near` or both: without them nothing is picked")
        if self.by != "first" and self.at_most is None:
            raise ValueError(f"by: {self.by} needs `at_most`: how many to pick")
        return self


def text_distance(first: frozenset[str], second: frozenset[str]) -> float:
    """Compute the distance of two texts by their shingles, in [0, 1]."""
    return 1.0 - similarity(first, second)


def mean_distance(texts: Sequence[str]) -> float | None:
    """Average the distance over all pairs of the first 64 texts; None without a pair."""
    pairs = list(combinations([shingles(_plain(text)) for text in texts[:_COMPARED]], 2))
    if not pairs:
        return None
    return sum(text_distance(first, second) for first, second in pairs) / len(pairs)


def most_diverse(texts: Sequence[str], at_most: int) -> list[int]:
    """Pick indices by greedy max-min distance, starting with the first text."""
    pieces = [shingles(_plain(text)) for text in texts]
    picked = [0] if texts else []
    nearest = [text_distance(pieces[0], each) for each in pieces]
    while len(picked) < min(at_most, len(texts)):
        remaining = [index for index in range(len(texts)) if index not in picked]
        farthest = max(remaining, key=lambda index: (nearest[index], -index))
        picked.append(farthest)
        nearest = [
            min(so_far, text_distance(pieces[farthest], each))
            for so_far, each in zip(nearest, pieces, strict=True)
        ]
    return sorted(picked)


def select_samples(
    texts: Sequence[str], likelihoods: Sequence[float | None], pick: Pick, seed: int
) -> list[int]:
    """Return the indices of the texts that stay, in order.

    `likelihoods` are log-probabilities per token, for `by: likely`, which leaves out texts without
    one; `seed` is for `by: random`.
    """
    limit = len(texts) if pick.at_most is None else pick.at_most
    if pick.by == "diverse":
        return most_diverse(texts, limit)
    if pick.by == "random":
        return sorted(random.Random(seed).sample(range(len(texts)), min(limit, len(texts))))
    if pick.by == "likely":
        known = [(value, -index) for index, value in enumerate(likelihoods) if value is not None]
        return sorted(-index for _, index in sorted(known, reverse=True)[:limit])
    return list(range(min(limit, len(texts))))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())

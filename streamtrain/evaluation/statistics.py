"""Statistics: bootstrap intervals, calibration, and tests of whether two students differ.

Pure functions of lists. Knows nothing of questions, models or files.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from raygen.core import wilson

DRAWS = 10_000
_BINS = 10


def bootstrap(
    clusters: Sequence[Sequence[float]], draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Compute the 95 % percentile interval of the mean of all values, resampling whole clusters.

    Dependent values, such as the two of a pair, are one cluster. At least one value.
    """
    sums = np.array([sum(cluster) for cluster in clusters], dtype=float)
    sizes = np.array([len(cluster) for cluster in clusters], dtype=float)
    chance = np.random.default_rng(seed)
    means = np.empty(draws)
    # One draw at a time: all at once would hold draws x clusters numbers.
    for draw in range(draws):
        drawn = chance.integers(len(sums), size=len(sums))
        means[draw] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def clusters(values: Sequence[float], groups: Sequence[str | None]) -> list[list[float]]:
    """Group values; one without a group is a cluster of its own."""
    by_group: dict[object, list[float]] = {}
    for number, (value, group) in enumerate(zip(values, groups, strict=True)):
        by_group.setdefault(group or number, []).append(value)
    return list(by_group.values())


def share_interval(hits: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Compute the 95 % interval of a share: Wilson's, or a bootstrap if hits are clustered.

    A bootstrap of equal values has no width, so for those it is Wilson's too, over the clusters.
    """
    if all(len(cluster) == 1 for cluster in hits):
        return wilson(round(sum(map(sum, hits))), len(hits))
    values = {value for cluster in hits for value in cluster}
    return (
        wilson(len(hits) * round(values.pop()), len(hits)) if len(values) == 1 else bootstrap(hits)
    )


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Compute the exact two-sided p-value of McNemar's test that two students are right equally
    often.

    Only the items count on which exactly one of them is right.
    """
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    return sign_test(only_first, only_second)


def sign_test(heads: int, tails: int) -> float:
    """Compute the exact two-sided p-value that a fair coin falls at least this unevenly."""
    total = heads + tails
    tail = sum(math.comb(total, k) for k in range(min(heads, tails) + 1))
    # Integers until the end: 2.0**total overflows where the test sets are large.
    return min(1.0, 2 * tail / (1 << total))


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Compute the agreement of two raters beyond chance (Cohen, 1960).

    `pairs` are their two verdicts on each item. None if both give one verdict throughout, so that
    chance would agree as well.
    """
    total = len(pairs)
    ones, others = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    by_chance = sum(ones[word] * others[word] for word in ones) / total**2
    same = sum(first == second for first, second in pairs) / total
    return None if by_chance == 1 else (same - by_chance) / (1 - by_chance)


def calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Compute the expected calibration error over ten equal bins of confidence (arXiv
    1706.04599)."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(_BINS)]
    for confidence, hit in zip(confidences, right, strict=True):
        bins[min(int(confidence * _BINS), _BINS - 1)].append((confidence, hit))
    gaps = [
        abs(sum(hit for _, hit in members) - sum(confidence for confidence, _ in members))
        for members in bins
    ]
    return sum(gaps) / len(right)

"""Small statistics that both packages use: the interval of a share, softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence

_NORMAL_95 = 1.959964


def softmax(scores: Sequence[float]) -> tuple[float, ...]:
    """Turn log-probabilities into probabilities that add up to 1; takes at least one."""
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    return tuple(weight / sum(weights) for weight in weights)


def wilson(correct: int, total: int) -> tuple[float, float]:
    """Compute the 95 % interval of `correct` of `total` (Wilson, 1927); (0, 1) for a total of 0."""
    if total == 0:
        return 0.0, 1.0
    share, z2 = correct / total, _NORMAL_95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    spread = math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    half = _NORMAL_95 * spread / (1 + z2 / total)
    # Rounding must not leave the share itself outside, as where all are correct.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))

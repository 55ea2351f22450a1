"""Numbers in equal bins with round edges, ready to be drawn and told.

Knows nothing of what the numbers are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

_BINS = 16
_GROUPS = 5
_OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many numbers of each group lie in each bin: from its lower edge on, up to the next."""

    edges: tuple[float, ...]
    counts: Mapping[str, tuple[int, ...]]

    def values(self) -> list[dict[str, Any]]:
        """A record for each bin that has something in it; the first group has all, for the axis."""
        return [
            {"from": self.edges[i], "to": self.edges[i + 1], "amount": n, "group": group,
             "place": place}
            for place, (group, numbers) in enumerate(self.counts.items())
            for i, n in enumerate(numbers)
            if n or not place
        ]  # fmt: skip


def histogram(
    groups: Mapping[str, Sequence[float]], whole: bool = False, top: float | None = None
) -> Histogram:
    """The numbers in bins from 0 on. `whole` numbers get whole bins; `top` is the last edge, by
    default at the largest number. Small groups are put together."""
    groups = _largest(groups)
    largest = max(max(numbers) for numbers in groups.values())
    step = top / _BINS if top else _step(max(largest, 1 if whole else 1e-9) / _BINS, whole)
    bins = _BINS if top else math.floor(largest / step + 1e-9) + 1
    # A whole number stands in the middle of its bin.
    shift = 0.5 if whole and step == 1 else 0.0
    edges = tuple(round(step * i - shift, 10) for i in range(bins + 1))
    counts = {}
    for group, numbers in groups.items():
        found = [0] * bins
        for number in numbers:
            found[min(max(int(number / step + 1e-9), 0), bins - 1)] += 1
        counts[group] = tuple(found)
    return Histogram(edges, counts)


def told(groups: Mapping[str, Sequence[float]], digits: int = 1) -> tuple[tuple[str, ...], ...]:
    """Of each group how many numbers, the smallest, the middle, the mean and the largest."""
    return tuple(
        (name, f"{len(numbers):,}", *(f"{one(numbers):.{digits}f}" for one in _FIGURES))
        for name, numbers in groups.items()
        if numbers
    )


_FIGURES = (min, median, mean, max)
HEAD = ("n", "least", "median", "mean", "most")


def _largest(groups: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    named = sorted(groups.items(), key=lambda item: -len(item[1]))
    if len(named) <= _GROUPS:
        return dict(named)
    rest = [number for _, numbers in named[_GROUPS - 1 :] for number in numbers]
    return {**dict(named[: _GROUPS - 1]), _OTHERS: rest}


def _step(raw: float, whole: bool) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(one * power for one in (1, 2, 5, 10) if one * power >= raw * (1 - 1e-9))
    return max(step, 1.0) if whole else step

"""Tell when a model repeats itself without end. Pure: it knows tokens alone."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 64
COUNT = 16
"""A pattern of up to so many tokens that stands so often in a row is an endless repetition."""


def repeats_itself(tokens: Sequence[int], longest: int = LONGEST, count: int = COUNT) -> bool:
    """Tell whether tokens end in a pattern of up to `longest` tokens, `count` times in a row."""
    for size in range(1, min(longest, len(tokens) // count) + 1):
        tail = tokens[-size * count :]
        if tail[-1] == tail[-1 - size] and tail[size:] == tail[:-size]:
            return True
    return False

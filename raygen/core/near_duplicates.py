"""Which texts repeat an earlier one, exactly or nearly, in the order that they come in.

Knows nothing of rows or sources.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil
from typing import Any

_PIECE = 5


def column_text(value: Any) -> str:
    """Return a column's value as a text to compare."""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def find_repeats(texts: Sequence[str], near: float | None = None) -> list[int | None]:
    """Return per text the place of the earlier text that it repeats, None where it is the first.

    Case and white space don't count. With `near`, a text also repeats one whose similarity to it
    is at least that. A text is only held against texts that repeat none themselves.
    """
    plain = [" ".join(text.casefold().split()) for text in texts]
    first: dict[str, int] = {}
    exact = [first.setdefault(text, number) for number, text in enumerate(plain)]
    if near is None:
        return [earlier if earlier < number else None for number, earlier in enumerate(exact)]
    return _near(plain, exact, near)


def similarity(a: frozenset[str], b: frozenset[str]) -> float:
    """Return the share of two texts' pieces that both have (Jaccard), from 0 to 1."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def shingles(text: str) -> frozenset[str]:
    """Return all runs of five characters in a text; the whole of a shorter one."""
    return frozenset(text[at : at + _PIECE] for at in range(max(1, len(text) - _PIECE + 1)))


def _near(plain: Sequence[str], exact: Sequence[int], near: float) -> list[int | None]:
    """By prefix filtering, which misses nothing.

    With the pieces of all texts in one order, two texts that share enough of them share one of
    the first few of each; in order of rarity, few others do.
    """
    held = {number: shingles(plain[number]) for number in sorted(set(exact))}
    times = Counter(piece for text in held.values() for piece in text)
    kept: defaultdict[str, list[int]] = defaultdict(list)
    earlier_by_number: dict[int, int | None] = {}
    for number, own_shingles in held.items():
        ordered = sorted(own_shingles, key=lambda piece: (times[piece], piece))
        head = ordered[: len(own_shingles) - ceil(near * len(own_shingles) - 1e-9) + 1]
        candidates = sorted({other for piece in head for other in kept[piece]})
        similar = (other for other in candidates if similarity(own_shingles, held[other]) >= near)
        earlier_by_number[number] = next(similar, None)
        if earlier_by_number[number] is None:
            for piece in head:
                kept[piece].append(number)
    answer: list[int | None] = []
    for number, earlier in enumerate(exact):
        nearest = earlier_by_number[earlier]
        own = earlier if earlier < number else None
        answer.append(own if nearest is None else nearest)
    return answer

"""Find texts that repeat an earlier one, exactly or nearly, in the order in which they come.

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
    """Write a column's value as a text to compare."""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def find_repeats(texts: Sequence[str], near: float | None = None) -> list[int | None]:
    """Return for each text the index of the earlier text that it repeats, None if it repeats none.

    Case and white space don't count. With `near`, a text also repeats one whose similarity to it is
    at least that. A text is compared only with texts that repeat none themselves.
    """
    plain = [" ".join(text.casefold().split()) for text in texts]
    first: dict[str, int] = {}
    exact = [first.setdefault(text, number) for number, text in enumerate(plain)]
    if near is None:
        return [earlier if earlier < number else None for number, earlier in enumerate(exact)]
    return _near(plain, exact, near)


def similarity(a: frozenset[str], b: frozenset[str]) -> float:
    """Compute the Jaccard similarity of two sets of shingles, in [0, 1]."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def shingles(text: str) -> frozenset[str]:
    """Cut a text into all runs of five characters; a shorter text is one shingle."""
    return frozenset(text[at : at + _PIECE] for at in range(max(1, len(text) - _PIECE + 1)))


def _near(plain: Sequence[str], exact: Sequence[int], near: float) -> list[int | None]:
    """Find near repeats by prefix filtering, which misses none.

    If the shingles of all texts are sorted in one order, two texts that share enough of them share
    one of the first few of each; sorted by rarity, few others do.
    """
    shingles_by_number = {number: shingles(plain[number]) for number in sorted(set(exact))}
    times = Counter(piece for text in shingles_by_number.values() for piece in text)
    numbers_by_piece: defaultdict[str, list[int]] = defaultdict(list)
    earlier_by_number: dict[int, int | None] = {}
    for number, pieces in shingles_by_number.items():
        ordered = sorted(pieces, key=lambda piece: (times[piece], piece))
        head = ordered[: len(pieces) - ceil(near * len(pieces) - 1e-9) + 1]
        candidates = sorted({other for piece in head for other in numbers_by_piece[piece]})
        similar = (
            other for other in candidates if similarity(pieces, shingles_by_number[other]) >= near
        )
        earlier_by_number[number] = next(similar, None)
        if earlier_by_number[number] is None:
            for piece in head:
                numbers_by_piece[piece].append(number)
    answer: list[int | None] = []
    for number, earlier in enumerate(exact):
        nearest = earlier_by_number[earlier]
        exact_match = earlier if earlier < number else None
        answer.append(exact_match if nearest is None else nearest)
    return answer

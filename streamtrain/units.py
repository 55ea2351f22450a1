"""What an epoch is counted in: rows, or questions of which each pass takes one rationale.

The rationales of a question are the rows of one source row, variant and view; they are committed
together. Knows nothing of order or files.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

SHARE = "_share"
"""The key under which a row says what part of its question's weight it carries."""


class Units:
    """Units of a stream by number, each one or more rows by their numbers."""

    def __init__(self, one_per_question: bool, seed: int) -> None:
        self._one = one_per_question
        self._seed = seed
        self._rows: list[tuple[int, ...]] = []
        self._shares: list[float] = []

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, first: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the rows of one commit; the first of them has the number `first`."""
        questions: dict[tuple[Any, ...], list[int]] = {}
        for number, row in enumerate(rows, start=first):
            # A row that names no source row is a question of its own.
            own = number if row.get("key") is None else None
            question = (own, row.get("key"), row.get("variant"), row.get("view"))
            questions.setdefault(question, []).append(number)
        shares = {n: 1 / len(numbers) for numbers in questions.values() for n in numbers}
        self._shares += [shares[number] for number in range(first, first + len(rows))]
        if self._one:
            self._rows += map(tuple, questions.values())
        else:
            self._rows += [(number,) for number in range(first, first + len(rows))]

    def pick(self, unit: int, visit: int) -> int:
        """The row that a unit gives on its visit-th turn: each once before any comes again."""
        numbers = self._rows[unit]
        if len(numbers) == 1:
            return numbers[0]
        turn, place = divmod(visit, len(numbers))
        order = list(numbers)
        random.Random(f"{self._seed}:unit:{unit}:{turn}").shuffle(order)
        return order[place]

    def share(self, row: int) -> float:
        """One over the number of rationales of the row's question."""
        return self._shares[row]

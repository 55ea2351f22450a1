"""Units that an epoch counts: rows, questions that give one rationale per pass, or pairs.

The rationales of a question are the rows of one source row, variant and view; a pair is the
original and the counterfactual of a group. Both are committed together. Knows nothing of order or
files.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from streamtrain.errors import InputError

Unit = Literal["row", "question", "pair"]

PAIR = ("original", "counterfactual")
"""The variants of the two rows of a pair, in the order in which it gives them."""

SHARE = "_share"
"""The key under which a row carries its share of its question's weight."""


class EpochUnits:
    """The units of a stream by number, each one or more row numbers."""

    def __init__(self, unit: Unit, seed: int) -> None:
        self._unit = unit
        self._seed = seed
        self._rows: list[tuple[int, ...]] = []
        self._shares: list[float] = []

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, first: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the rows of one commit, the first of which has the number `first`.

        Raises InputError for a row that should be part of a pair and isn't.
        """
        questions: dict[tuple[Any, ...], list[int]] = {}
        for number, row in enumerate(rows, start=first):
            # A row that names no source row is a question of its own.
            question_number = number if row.get("key") is None else None
            question = (question_number, row.get("key"), row.get("variant"), row.get("view"))
            questions.setdefault(question, []).append(number)
        shares = {n: 1 / len(numbers) for numbers in questions.values() for n in numbers}
        self._shares += [shares[number] for number in range(first, first + len(rows))]
        if self._unit == "question":
            self._rows += map(tuple, questions.values())
        elif self._unit == "pair":
            self._rows += _pairs(first, rows)
        else:
            self._rows += [(number,) for number in range(first, first + len(rows))]

    def pick(self, unit: int, visit: int) -> tuple[int, ...]:
        """Return the row numbers that a unit gives on its visit number `visit`, counted from 0.

        A question gives one rationale, every one of them once before any is repeated.
        """
        numbers = self._rows[unit]
        if self._unit != "question" or len(numbers) == 1:
            return numbers
        cycle, index = divmod(visit, len(numbers))
        order = list(numbers)
        random.Random(f"{self._seed}:unit:{unit}:{cycle}").shuffle(order)
        return (order[index],)

    def share(self, row: int) -> float:
        """Return one over the number of rationales of the row's question."""
        return self._shares[row]


def _pairs(first: int, rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, ...]]:
    groups: dict[Any, dict[Any, int]] = {}
    sizes: dict[Any, int] = {}
    for number, row in enumerate(rows, start=first):
        group = row.get("group")
        groups.setdefault(group, {})[row.get("variant")] = number
        sizes[group] = sizes.get(group, 0) + 1
    for group, members in groups.items():
        if group is None or sizes[group] != len(PAIR) or set(members) != set(PAIR):
            description = f"{sizes[group]} rows with the variants {', '.join(map(str, members))}"
            raise InputError(
                f"data.pairs: the group {group!r} of the dataset has {description}; expected one "
                "original and one counterfactual, as the op join_views makes them (data.nodes and "
                "data.views may leave out rows of other kinds)"
            )
    return [tuple(members[variant] for variant in PAIR) for members in groups.values()]

"""Pair a question's right samples with its wrong ones.

Knows nothing of files or of how a sample is worded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from raygen.core import TASKS, UserError

T = TypeVar("T")


class Verdicts:
    """Tells right samples from wrong ones by a dataset's own columns."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        """Find the columns that tell it. Raises UserError where there are none."""
        columns = plan["columns"]
        self._gold = TASKS[plan["task"]].answer or "answer"
        self._compares = (
            plan["task"] != "free_text" and self._gold in columns and "predicted" in columns
        )
        self._reads = [name for name in ("correct", "reject_reason") if name in columns]
        if not (self._reads or self._compares):
            raise UserError(
                "--format preference pairs right and wrong samples of a question, and the examples "
                "have no column that tells them apart: none is `correct` or `reject_reason`, and "
                f"there aren't both `predicted` and {self._gold!r}; set keep: all on the node that "
                "samples, add its NODE.rejects to output.from, or end with the op check"
            )

    def is_right(self, row: Mapping[str, Any]) -> bool | None:
        """Tell whether a sample is right; None where nothing says so."""
        if row.get("reject_reason"):
            return False
        if row.get("correct") is not None:
            return bool(row["correct"])
        if self._compares and row.get("predicted") is not None:
            if "choices" in row and not 0 <= row["predicted"] < len(row["choices"]):
                return None  # recorded before a repeated option was merged with its twin
            return bool(row["predicted"] == row[self._gold])
        return True if "reject_reason" in self._reads and "correct" not in self._reads else None


def pair(samples: Iterable[tuple[Any, T, bool | None]]) -> Iterator[tuple[T, T]]:
    """Pair the k-th right with the k-th wrong sample of each question, in their order.

    `samples` are (question, sample, whether it is right); each sample is in one pair at most.
    """
    questions: dict[Any, tuple[list[T], list[T]]] = {}
    for question, sample, is_right in samples:
        right, wrong = questions.setdefault(question, ([], []))
        if is_right is not None:
            (right if is_right else wrong).append(sample)
    for right, wrong in questions.values():
        yield from zip(right, wrong, strict=False)

"""Questions that must not meet: those trained on, those that select, and those that are reported.

Knows nothing of files or models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamtrain.errors import InputError
from streamtrain.questions import Question, question_key


class HeldOut:
    """The questions of the held-out sets, by the key of the configuration that names each set."""

    def __init__(self, sets: Mapping[str, Sequence[Question]]) -> None:
        self._keys = {q.key: name for name, questions in sets.items() for q in questions}
        self._groups = {
            q.group: name
            for name, questions in sets.items()
            for q in questions
            if q.group is not None
        }

    def check(self, row: Mapping[str, Any]) -> None:
        """Raises InputError where a row of the dataset, or the other one of its pair, is held
        out."""
        choices = row.get("choices") or ()
        for column in ("question", "text", "original"):
            text = row.get(column)
            if isinstance(text, str):
                found = self._keys.get(question_key(text, choices))
                self._refuse(found, row, f"its {column} {text[:80]!r}")
        group = str(row.get("group"))
        self._refuse(self._groups.get(group), row, f"its group {group!r}")

    def _refuse(self, found: str | None, row: Mapping[str, Any], what: str) -> None:
        if found is not None:
            raise InputError(
                f"example {row.get('id', '(without id)')} of the dataset is also in "
                f"evaluate.{found}: {what}; a student must not be judged by what it is trained on, "
                "so take it out of one of them"
            )


def shared(first: Sequence[Question], second: Sequence[Question]) -> list[Question]:
    """The questions of `second` that, or whose pair, are in `first` too."""
    keys = {question.key for question in first}
    groups = {question.group for question in first} - {None}
    return [q for q in second if q.key in keys or q.group in groups]

"""Overlap between sets of questions that must be disjoint: trained on, selected by, and reported.

Knows nothing of files or models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamtrain.errors import InputError
from streamtrain.heldout.questions import Question, question_key


class HeldOut:
    """An index of the held-out questions by the name of their set in the configuration."""

    def __init__(self, sets: Mapping[str, Sequence[Question]]) -> None:
        self._keys = {q.key: name for name, questions in sets.items() for q in questions}
        self._groups = {
            q.group: name
            for name, questions in sets.items()
            for q in questions
            if q.group is not None
        }

    def where(self, row: Mapping[str, Any]) -> tuple[str, str] | None:
        """Find the set that holds a dataset row, or the other row of its pair; returns the set's
        name and which part of the row matched."""
        choices = row.get("choices") or ()
        for column in ("question", "text", "original"):
            text = row.get(column)
            if isinstance(text, str):
                held_out = self._keys.get(question_key(text, choices))
                if held_out is not None:
                    return held_out, f"its {column} {text[:80]!r}"
        group = str(row.get("group"))
        named = self._groups.get(group)
        return None if named is None else (named, f"its group {group!r}")

    def check(self, row: Mapping[str, Any]) -> None:
        """Raise InputError if a dataset row, or the other row of its pair, is held out."""
        held_out = self.where(row)
        if held_out is not None:
            name, what = held_out
            raise InputError(
                f"example {row.get('id', '(without id)')} of the dataset is also in "
                f"evaluate.{name}: {what}; a student must not be judged by what it is trained on, "
                "so take it out of one of them"
            )


def shared_questions(first: Sequence[Question], second: Sequence[Question]) -> list[Question]:
    """List the questions of `second` that are in `first` too, or whose pair is."""
    keys = {question.key for question in first}
    groups = {question.group for question in first} - {None}
    return [q for q in second if q.key in keys or q.group in groups]

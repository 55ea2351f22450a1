"""A teacher's answer to a held-out question, as its row records it: the option, and its
probabilities.

Reads the columns that raygen writes: `soft_labels` with `soft_labels_teacher`, or `predicted`.
Knows nothing of files or students.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygen.core import Task

_ROUNDING = 0.01
"""How far from 1 the probabilities of rounded log-probabilities may add up to."""


@dataclass(frozen=True, slots=True)
class TeacherAnswer:
    """A teacher's answer: the index of its option, the options' probabilities (adding up to 1) if
    known, and the teacher's name."""

    choice: int
    probabilities: tuple[float, ...] | None = None
    teacher: str | None = None


def most_likely_answer(probabilities: Sequence[float], teacher: str | None) -> TeacherAnswer:
    """Make the answer of a teacher that gives the options these probabilities."""
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    return TeacherAnswer(best, tuple(probabilities), teacher)


def recorded_answer(
    row: Mapping[str, Any], task: Task, options: Sequence[str]
) -> TeacherAnswer | None:
    """Read the teacher's answer from a row; None if it records none.

    Raises ValueError if it can't be parsed.
    """
    name = row.get("soft_labels_teacher")
    teacher = None if name is None else str(name)
    if row.get("soft_labels") is not None:
        return most_likely_answer(_probabilities(row["soft_labels"], options), teacher)
    if row.get("predicted") is None or task.answer is None:
        return None
    try:
        choice = task.gold(task.normalise({**row, task.answer: row["predicted"]}))
    except ValueError as error:
        raise ValueError(f"predicted can't be read as the teacher's answer: {error}") from None
    return TeacherAnswer(choice, None, None)


def _probabilities(value: Any, options: Sequence[str]) -> list[float]:
    """Convert {option: log-probability}, or its JSON text, to the probabilities of the options."""
    try:
        recorded = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError as error:
        raise ValueError(f"soft_labels is {value!r}, which is not JSON ({error.msg})") from None
    # Parquet gives the rows of a file the same keys, and none of another row's options a value.
    logs = {
        str(option).strip(): log for option, log in _items(recorded) if log is not None
    }  # fmt: skip
    if set(logs) != set(options):
        raise ValueError(
            f"soft_labels has {', '.join(logs) or 'nothing'}; expected a log-probability for each "
            f"of {', '.join(options)}"
        )
    values = [logs[option] for option in options]
    if not all(_is_log(value) for value in values):
        raise ValueError(f"soft_labels is {recorded!r}; expected finite log-probabilities")
    chances = [math.exp(min(value, 1.0)) for value in values]
    if abs(sum(chances) - 1) > _ROUNDING:
        raise ValueError(
            f"soft_labels is {recorded!r}, whose probabilities add up to {sum(chances):.3g}; "
            "expected "
            "log-probabilities (natural, at temperature 1) of options that add up to 1"
        )
    return [chance / sum(chances) for chance in chances]


def _items(recorded: Any) -> Sequence[tuple[Any, Any]]:
    if isinstance(recorded, Mapping):
        return list(recorded.items())
    # What Parquet gives for a column of the type map.
    if isinstance(recorded, list) and all(
        isinstance(pair, tuple) and len(pair) == 2 for pair in recorded
    ):
        return recorded
    raise ValueError(f"soft_labels is {recorded!r}; expected an object {{option: log-probability}}")


def _is_log(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""Contamination: held-out questions that a finished student has trained on or was selected by.

Knows nothing of models or of how questions are asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from streamtrain.config import StudentConfig
from streamtrain.data import RowFilter, each_example
from streamtrain.errors import InputError
from streamtrain.heldout import HeldOut, Question, read_questions, shared_questions
from streamtrain.run import RESULT, read_result


def check_contamination(
    student: Path, config: StudentConfig, sets: Mapping[str, Sequence[Question]]
) -> list[str]:
    """Check sets, by name, against the dataset and the select set of the student in a folder;
    returns in words what could not be checked.

    Raises InputError if a question, or the other one of its pair, is in the dataset or in the
    select set.
    """
    if not (student.parent / RESULT).exists():
        return []
    result = read_result(student.parent)
    return [*_selected(result, config, sets), *_trained_on(result, config, sets)]


def _selected(
    result: Mapping[str, Any], config: StudentConfig, sets: Mapping[str, Sequence[Question]]
) -> Iterator[str]:
    file = (result.get("selected") or {}).get("set")
    if file is None:
        return
    if not Path(file).exists():
        yield f"{file}, which chose the student's step, is no longer there"
        return
    chose = read_questions(Path(file), config.data.labels or ())
    for name, questions in sets.items():
        if common := shared_questions(chose, questions):
            raise InputError(
                f"{name}: {len(common)} of its questions, or of their pairs, are in {file}, as "
                f"{common[0].question[:80]!r}; what chose the student's step must not be reported"
            )


def _trained_on(
    result: Mapping[str, Any], config: StudentConfig, sets: Mapping[str, Sequence[Question]]
) -> Iterator[str]:
    plan = result.get("plan")
    if plan is None:
        return
    row_filter, held_out, count = RowFilter(config), HeldOut(sets), 0
    overlaps: dict[str, list[str]] = {}
    try:
        for row in each_example(result["data"], plan):
            count += 1
            if (set_name := held_out.where(row)) and row_filter.refusal(row) is None:
                name, what = set_name
                overlaps.setdefault(name, []).append(f"example {row['id']}: {what}")
    except InputError:
        count = 0
    if count == 0:
        yield f"{result['data']} no longer has the examples that the student is trained on"
    for name, examples in overlaps.items():
        raise InputError(
            f"{name}: {len(examples)} of the examples that the student is trained on have its "
            f"questions, or the other ones of their pairs, as {examples[0]}; a student must not be "
            "judged by what it is trained on"
        )

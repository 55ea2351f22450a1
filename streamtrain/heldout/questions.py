"""Held-out questions, or texts to classify, read as a source is.

A contrast set has its pairs as rows with `group` and `variant`, or as one row with the columns of
the counterfactual under the prefix `cf_`. Knows nothing of models, templates or scoring.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from raygen.core import TASKS, Task, digest, plural
from raygen.core.choices import AnswerForms, FormCount, UndecidedError
from raygen.sources import MAX_INVALID, SourceError, read_source
from streamtrain.errors import InputError
from streamtrain.heldout.teacher_answers import TeacherAnswer, recorded_answer

_SHOWN = 5
_COUNTERFACTUAL = "cf_"

Variant = Literal["original", "counterfactual"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question; `answer` is the zero-based index of the right option.

    With `classes`, the question is a text to classify, and the options are the classes of all
    texts. The two questions of a pair share their `group`. `teacher_answer` is None if none is
    recorded.
    """

    question: str
    choices: tuple[str, ...]
    answer: int
    group: str | None = None
    variant: Variant = "original"
    classes: bool = False
    teacher_answer: TeacherAnswer | None = None

    @property
    def key(self) -> str:
        """A hash of the question and its options, which identifies it."""
        return question_key(self.question, () if self.classes else self.choices)


def question_key(text: str, choices: Sequence[str]) -> str:
    """Hash a question, ignoring spacing, case and the order of its options."""
    return digest("question", _plain(text), sorted(map(_plain, choices)))


def read_questions(path: Path, labels: Sequence[str] = ()) -> list[Question]:
    """Read the questions of a file, as `read_held_out` does."""
    return read_held_out(path, labels).questions


@dataclass(frozen=True, slots=True)
class HeldOutFile:
    """The questions of a file, each with the columns of its row; a counterfactual has its own
    columns alone. `invalid` says of each row that doesn't fit its task why it is left out.
    """

    path: Path
    rows: Sequence[tuple[Question, Mapping[str, Any]]]
    invalid: Sequence[str] = ()

    @property
    def questions(self) -> list[Question]:
        """Its questions, in order."""
        return [question for question, _ in self.rows]

    @property
    def note(self) -> str | None:
        """How many rows are left out, and the first of them; None if all fit."""
        if not self.invalid:
            return None
        return f"{self.path}: {plural(len(self.invalid), 'row')} left out: {_first(self.invalid)}"


def read_held_out(path: Path, labels: Sequence[str] = ()) -> HeldOutFile:
    """Read a file of questions, by the reader of sources.

    Rows have `question`, `choices` and `answer`, or `text` and `label`; the classes are then
    `labels`, or those that occur in the file. A row that doesn't fit its task is left out. Raises
    InputError where more than a tenth of the rows don't fit, as for a source.
    """
    kept: list[tuple[Question, Mapping[str, Any]]] = []
    invalid: list[str] = []
    rows = _rows(path)
    task = _task(rows, labels)
    forms = _forms(rows, task)
    for number, row in rows:
        try:
            kept += _questions(row, task, forms)
        except ValueError as error:
            invalid.append(f"row {number}: {error}")
    if len(invalid) > MAX_INVALID * len(rows):
        raise InputError(
            f"{path}: {len(invalid)} of {len(rows)} rows don't fit the task {task.name!r}, more "
            f"than the share of {MAX_INVALID:g} that may be left out: {_first(invalid)}"
        )
    return HeldOutFile(path, kept, invalid)


def _first(problems: Sequence[str]) -> str:
    return "; ".join(problems[:_SHOWN])


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Read rows with their numbers, counted from 1 (line numbers in files of lines)."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected held-out questions (.jsonl, .parquet)")
    try:
        (file,) = read_source(glob.escape(str(path.absolute())), path.parent)
    except SourceError as error:
        raise InputError(str(error)) from error
    return list(zip(file.numbers, file.rows, strict=True))


def _forms(rows: Sequence[tuple[int, Mapping[str, Any]]], task: Task) -> AnswerForms | None:
    """Decide how the answers of all rows are written.

    Where that is open, None: a number is then an index from 0, as a dataset of raygen's has it.
    """
    count = FormCount()
    for _, row in rows:
        with suppress(ValueError):
            options = task.written_options(row)
            if options is not None and task.answer is not None:
                count.add(row.get(task.answer), options)
    try:
        return count.decide(task.answer or "", 0.0)[0]
    except UndecidedError:
        return None


def _task(rows: Sequence[tuple[int, Any]], labels: Sequence[str]) -> Task:
    """Infer the task of a file: choose among options, or classify."""
    texts = [row for _, row in rows if "text" in row and "label" in row]
    if not texts or any("question" in row for row in texts):
        return TASKS["multiple_choice"]
    columns = ("label", f"{_COUNTERFACTUAL}label")
    classes = {str(row[column]).strip() for row in texts for column in columns if column in row}
    return replace(TASKS["classification"], labels=tuple(labels or sorted(classes)))


def _questions(
    row: Mapping[str, Any], task: Task, forms: AnswerForms | None
) -> Iterator[tuple[Question, Mapping[str, Any]]]:
    """Yield the question of a row, and its counterfactual if the row has one."""
    edits = {
        key.removeprefix(_COUNTERFACTUAL): value
        for key, value in row.items()
        if key.startswith(_COUNTERFACTUAL)
    }
    if task.stem in edits:
        # What a teacher said of the original it didn't say of the counterfactual.
        same = {key: row[key] for key in (*task.columns, "soft_labels_teacher") if key in row}
        edited = {**same, **edits, "variant": "counterfactual"}
        first = _question({**row, "variant": "original"}, task, forms)
        second = _question(edited, task, forms)
        # Two files may both count their rows from 0, so an id doesn't tell which pair it is.
        group = _group(row) or digest("pair", first.key, second.key)
        yield replace(first, group=group), row
        yield replace(second, group=group), edited
    else:
        yield _question(row, task, forms), row


def _group(row: Mapping[str, Any]) -> str | None:
    return None if row.get("group") is None else str(row["group"])


def _question(row: Mapping[str, Any], task: Task, forms: AnswerForms | None) -> Question:
    data = task.normalise(row, forms)
    options = tuple(task.options(data))
    return Question(
        data[task.stem].strip(),
        options,
        task.gold(data),
        _group(row),
        _variant(row.get("variant")),
        task.name == "classification",
        recorded_answer(row, task, options),
    )


def _variant(value: Any) -> Variant:
    if value is None or value == "original":
        return "original"
    if value == "counterfactual":
        return "counterfactual"
    raise ValueError(f"variant is {value!r}; expected original or counterfactual")

"""Held-out questions, or texts to classify, read from JSON lines or Parquet.

A contrast set has its pairs as rows with `group` and `variant`, or as one row with the columns of
the counterfactual under the prefix `cf_`. Knows nothing of models, templates or scoring.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from raygen.core import TASKS, Task, digest
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
    """Read the questions of a `.jsonl` or `.parquet` file.

    Rows have `question`, `choices` and `answer`, or `text` and `label`; the classes are then
    `labels`, or those that occur in the file. Raises InputError that counts all bad rows and shows
    the first five.
    """
    return [question for question, _ in read_rows(path, labels)]


def read_rows(path: Path, labels: Sequence[str] = ()) -> list[tuple[Question, Mapping[str, Any]]]:
    """Read questions like `read_questions`, each with the columns of its row; a counterfactual has
    its own columns alone."""
    questions: list[tuple[Question, Mapping[str, Any]]] = []
    bad: list[str] = []
    rows = list(_rows(path))
    task = _task(rows, labels)
    for number, row in rows:
        try:
            questions += _questions(row, task)
        except ValueError as error:
            bad.append(f"row {number}: {error}")
    if bad:
        shown = "; ".join(bad[:_SHOWN])
        raise InputError(f"{path}: {len(bad)} of {len(rows)} rows are bad: {shown}")
    if not questions:
        raise InputError(f"{path} has no questions; an evaluation needs at least one")
    return questions


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield rows with their numbers, counted from 1 (line numbers in JSON lines)."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected held-out questions (.jsonl, .parquet)")
    if path.suffix == ".parquet":
        import pyarrow.parquet

        try:
            yield from enumerate(pyarrow.parquet.read_table(path).to_pylist(), 1)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise InputError(f"{path}: {error}; expected a Parquet file") from error
    elif path.suffix in (".jsonl", ".json"):
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        for number, line in enumerate(content.split(b"\n"), 1):
            if line.strip():
                yield number, _json(line)
    else:
        raise InputError(f"{path}: found {path.suffix or 'no suffix'}, expected .jsonl or .parquet")


def _json(line: bytes) -> Any:
    """Parse a line; returns the error, not raised, if that fails."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return error


def _task(rows: Sequence[tuple[int, Any]], labels: Sequence[str]) -> Task:
    """Infer the task of a file: choose among options, or classify."""
    texts = [
        row for _, row in rows if isinstance(row, Mapping) and "text" in row and "label" in row
    ]
    if not texts or any("question" in row for row in texts):
        return TASKS["multiple_choice"]
    columns = ("label", f"{_COUNTERFACTUAL}label")
    classes = {str(row[column]).strip() for row in texts for column in columns if column in row}
    return replace(TASKS["classification"], labels=tuple(labels or sorted(classes)))


def _questions(row: Any, task: Task) -> Iterator[tuple[Question, Mapping[str, Any]]]:
    """Yield the question of a row, and its counterfactual if the row has one."""
    if isinstance(row, json.JSONDecodeError):
        raise ValueError(f"not JSON ({row.msg} at column {row.colno})")
    if isinstance(row, Exception):
        raise ValueError(f"not JSON in UTF-8 ({row})")
    if not isinstance(row, Mapping):
        raise ValueError(f"found {type(row).__name__}, expected an object")
    edits = {
        key.removeprefix(_COUNTERFACTUAL): value
        for key, value in row.items()
        if key.startswith(_COUNTERFACTUAL)
    }
    if task.stem in edits:
        # What a teacher said of the original it didn't say of the counterfactual.
        same = {key: row[key] for key in (*task.columns, "soft_labels_teacher") if key in row}
        edited = {**same, **edits, "variant": "counterfactual"}
        first = _question({**row, "variant": "original"}, task)
        second = _question(edited, task)
        # Two files may both count their rows from 0, so an id doesn't tell which pair it is.
        group = _group(row) or digest("pair", first.key, second.key)
        yield replace(first, group=group), row
        yield replace(second, group=group), edited
    else:
        yield _question(row, task), row


def _group(row: Mapping[str, Any]) -> str | None:
    return None if row.get("group") is None else str(row["group"])


def _question(row: Mapping[str, Any], task: Task) -> Question:
    data = task.normalise(row)
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

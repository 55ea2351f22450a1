"""The task of a recipe: which columns ops may rely on, and how a source row is brought to them.

Knows nothing of prompts or ops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any, Literal

from raygen.core.choices import LETTERED, AnswerForms, Options, find_answer, read_options
from raygen.core.row import ColumnType

OPTION_COLUMNS = ("target", "original_answer", "answer", "label", "predicted")
"""Columns that hold the index of an option."""

TaskName = Literal["multiple_choice", "classification", "free_text"]


@dataclass(frozen=True, slots=True)
class Task:
    """A task and the typed columns that every source row must have for it."""

    name: TaskName
    columns: Mapping[str, ColumnType]
    stem: str
    """The column with the question or the text to classify."""
    answer: str | None
    """The column with the gold answer, where the task has one."""
    labels: tuple[str, ...] = ()
    """The classes of a classification, where the recipe names them."""
    is_labelled: bool = True
    """Whether source rows have a gold answer; those to be pseudo-labelled have none."""

    @property
    def source_columns(self) -> dict[str, ColumnType]:
        """The columns that every source row has."""
        columns = dict(self.columns)
        if not self.is_labelled and self.answer is not None:
            del columns[self.answer]
        return columns

    def options(self, data: Mapping[str, Any]) -> list[str]:
        """List the options to choose from: the row's choices, or the task's labels."""
        return list(data["choices"]) if self.name == "multiple_choice" else list(self.labels)

    def gold(self, data: Mapping[str, Any]) -> int:
        """Return the index of the row's gold answer among its options."""
        if self.name == "multiple_choice":
            return int(data["answer"])
        return self.labels.index(data["label"])

    def answered(self, option: int) -> dict[str, Any]:
        """Return the columns that make this option the row's gold answer."""
        if self.name == "multiple_choice":
            return {"answer": option}
        return {"label": self.labels[option]}

    def normalise(
        self, data: Mapping[str, Any], forms: AnswerForms | None = None
    ) -> dict[str, Any]:
        """Bring the task's columns of a row into their canonical form.

        For multiple choice the options may come in any form that `read_options` reads, also as a
        text "... (A) red (B) blue" that is the question's own end. The answer may come as an index,
        a position, a letter, an option's label or its text, and becomes a zero-based index; `forms`
        says which for a whole source, and without it the row's answer is read by itself. A recorded
        `predicted` that is an index moves along where options are merged. Raises ValueError that
        says what was found.
        """
        row = dict(data)
        if self.name == "multiple_choice":
            written = row.get("choices")
            options = read_options(written)
            row["choices"] = list(options.texts)
            if type(recorded := row.get("predicted")) is int:
                row["predicted"] = options.moved(recorded)
            if self.is_labelled:
                row["answer"] = _answer_index(row.get("answer"), options, forms)
            if isinstance(written, str) and row.get("question") == written:
                row["question"] = LETTERED.split(written, maxsplit=1)[0].strip()
        elif self.name == "classification" and self.is_labelled:
            if row.get("label") is None:
                raise ValueError("label is missing")
            row["label"] = _class(row["label"], self, forms)
        if not isinstance(row.get(self.stem), str) or not row[self.stem].strip():
            raise ValueError(f"{self.stem} is {row.get(self.stem)!r:.200}; expected a text")
        return row

    def written_options(self, data: Mapping[str, Any]) -> Options | None:
        """Read the options of a row as its source has it; None where the task has none.

        Raises ValueError.
        """
        if self.name == "multiple_choice":
            return read_options(data.get("choices"))
        return Options(self.labels, tuple(range(len(self.labels)))) if self.labels else None


TASKS: Mapping[str, Task] = {
    "multiple_choice": Task(
        "multiple_choice",
        {"question": "string", "choices": "strings", "answer": "integer"},
        "question",
        "answer",
    ),
    "classification": Task(
        "classification", {"text": "string", "label": "string"}, "text", "label"
    ),
    "free_text": Task("free_text", {"question": "string"}, "question", None),
}


def make_task(name: TaskName, labels: Iterable[str] | None, *, is_labelled: bool = True) -> Task:
    """Return the task of this name, with the labels that a recipe or its plan names."""
    return replace(TASKS[name], labels=tuple(labels or ()), is_labelled=is_labelled)


def option_letter(index: int) -> str:
    """Return the capital letter of a zero-based option index."""
    return ascii_uppercase[index]


def named_option(column: str, value: Any, labels: Sequence[str]) -> str:
    """Write a column's value as people name it: an option's index as its label, or its letter."""
    if column not in OPTION_COLUMNS or not isinstance(value, int):
        return str(value)
    if not 0 <= value < (len(labels) or len(ascii_uppercase)):
        return str(value)
    return labels[value] if labels else option_letter(value)


def _class(value: Any, task: Task, forms: AnswerForms | None) -> str:
    """Read a label's text; where the labels are known, a number may stand for one."""
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    if not text:
        raise ValueError(f"label is {value!r:.200}; expected a text")
    options = task.written_options({})
    if options is None:
        return text.lower() if isinstance(value, bool) else text
    if forms is None and text in task.labels:
        return text
    index = find_answer(value, options, forms or AnswerForms(letter="text"))
    if index is not None:
        return task.labels[index]
    raise ValueError(
        f"label is {value!r:.200}, outside the labels {list(task.labels)}; "
        f"expected one of them, or an index from 0 to {len(task.labels) - 1}"
    )


def _answer_index(value: Any, options: Options, forms: AnswerForms | None) -> int:
    choices = list(options.texts)
    if value is None:
        raise ValueError(f"answer is {value!r}; expected an option of {choices}")
    index = find_answer(value, options, forms)
    if index is not None:
        return index
    raise ValueError(
        f"answer is {value!r:.200}, outside the choices {choices}; "
        f"expected an option, its letter, or an index from 0 to {len(choices) - 1}"
    )

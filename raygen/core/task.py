"""The task of a recipe: which columns ops may rely on, and how a source row is brought to them.

Knows nothing of prompts or ops.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any, Literal

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

    def normalise(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Bring the task's columns of a row into their canonical form.

        For multiple choice the options may come as a list, as the hub's {label, text} lists, or as
        a text "... (A) red (B) blue", which may be the question's own end. The answer may come as a
        zero-based index, a letter, an option's label or its text, and becomes a zero-based index.
        Raises ValueError that says what was found.
        """
        row = dict(data)
        if self.name == "multiple_choice":
            choices = row.get("choices")
            row["choices"] = _choices(choices)
            row["answer"] = _answer_index(row.get("answer"), row["choices"], _marks(choices))
            if isinstance(choices, str) and row.get("question") == choices:
                row["question"] = _LETTERED.split(choices, maxsplit=1)[0].strip()
        elif self.name == "classification":
            if row.get("label") is None:
                raise ValueError("label is missing")
            row["label"] = _class(row["label"], self.labels)
        if not isinstance(row.get(self.stem), str) or not row[self.stem].strip():
            raise ValueError(f"{self.stem} is {row.get(self.stem)!r}; expected a text")
        return row


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


def make_task(name: TaskName, labels: Iterable[str] | None) -> Task:
    """Return the task of this name, with the labels that a recipe or its plan names."""
    return replace(TASKS[name], labels=tuple(labels or ()))


_LETTER = re.compile(r"[A-Za-z]")
_LETTERED = re.compile(r"\(([A-Za-z])\)\s*")


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


def _class(value: Any, labels: tuple[str, ...]) -> str:
    """Read a label's text; where the labels are known, an index may stand for one."""
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    if not text:
        raise ValueError(f"label is {value!r}; expected a text")
    if not labels or text in labels:
        return text
    if isinstance(value, float) and value.is_integer():
        text = str(int(value))
    if (
        not isinstance(value, bool)
        and text.isdecimal()
        and len(text) < 9
        and int(text) < len(labels)
    ):
        return labels[int(text)]
    raise ValueError(
        f"label is {value!r}, outside the labels {list(labels)}; "
        f"expected one of them, or an index from 0 to {len(labels) - 1}"
    )


def _choices(value: Any) -> list[str]:
    if isinstance(value, Mapping) and isinstance(value.get("text"), list | tuple):
        value = value["text"]
    elif isinstance(value, str):
        parts = list(_LETTERED.finditer(value))
        if [part[1].upper() for part in parts] == list(ascii_uppercase[: len(parts)]) and parts:
            ends = [part.start() for part in parts[1:]] + [len(value)]
            value = [value[a.end() : b].strip() for a, b in zip(parts, ends, strict=True)]
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise ValueError(f"choices is {value!r}; expected a list of at least two options")
    if len(value) > len(ascii_uppercase):
        raise ValueError(f"choices has {len(value)} options; at most {len(ascii_uppercase)}")
    for choice in value:
        if not isinstance(choice, str | int | float) or not str(choice).strip():
            raise ValueError(f"choices has the option {choice!r}; expected a text")
    choices = [str(choice).strip() for choice in value]
    if len(set(choices)) < len(choices):
        raise ValueError(f"choices has the same option twice: {choices}")
    return choices


def _marks(value: Any) -> list[str]:
    """Return the marks that the options come with, if any: A, B, ... or 1, 2, ..."""
    labels = value.get("label") if isinstance(value, Mapping) else None
    return [str(label).strip() for label in labels] if isinstance(labels, list | tuple) else []


def _answer_index(value: Any, choices: list[str], marks: list[str]) -> int:
    if isinstance(value, bool) or value is None:
        raise ValueError(f"answer is {value!r}; expected an option of {choices}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    marks = marks[: len(choices)]
    if isinstance(value, str | int) and marks.count(str(value).strip()) == 1:
        return marks.index(str(value).strip())
    if isinstance(value, int):
        # Where the options are numbered, a number is one of theirs, and no index.
        if 0 <= value < len(choices) and not any(mark.isdecimal() for mark in marks):
            return value
    elif isinstance(value, str):
        text = value.strip()
        if text in choices:
            return choices.index(text)
        if _LETTER.fullmatch(text) and text.upper() in ascii_uppercase[: len(choices)]:
            return ascii_uppercase.index(text.upper())
    raise ValueError(
        f"answer is {value!r}, outside the choices {choices}; "
        f"expected an option, its letter, or an index from 0 to {len(choices) - 1}"
    )

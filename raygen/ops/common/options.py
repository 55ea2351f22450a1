"""Ops that need options to choose from: the check of the task, labels, and fields of templates.

Knows nothing of engines or any one op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygen.core import ColumnType, Row, Task

OPTIONS_EXPECTED = 5
"""How many options a question is taken to have where a plan estimates what a row costs."""


def require_options(task: Task, op: str) -> None:
    """Raise ValueError, worded as a plan error, if the task has no options."""
    if task.name == "free_text":
        raise ValueError(
            f"{op} needs options to choose from; expected task multiple_choice or "
            "classification, found free_text"
        )
    if task.name == "classification" and not task.labels:
        raise ValueError(
            f"{op} needs the classes of the classification; name them in the recipe's `labels:`"
        )


def question_columns(task: Task) -> frozenset[str]:
    """Return the columns that a question takes: the task's, but for an answer that no row has."""
    return frozenset(task.source_columns)


def training_label(task: Task, option: int) -> int | str:
    """Return an example's training label: an option's index, or a classification's class."""
    return option if task.name == "multiple_choice" else task.labels[option]


def label_type(task: Task) -> ColumnType:
    """Return the column type of a training label."""
    return "integer" if task.name == "multiple_choice" else "string"


def view_columns(data: Mapping[str, Any], view: str) -> dict[str, str]:
    """Return the columns `view` and `variant` of an example made of this row."""
    if data.get("variant") == "counterfactual":
        return {"view": f"counterfactual_{view}", "variant": "counterfactual"}
    return {"view": view, "variant": "original"}


def template_row(row: Row, task: Task) -> dict[str, Any]:
    """Return the fields that templates see: the row, with `stem` and `options` for any task."""
    return fields_of(row.data, task)


def fields_of(data: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return the fields that templates see of a row's columns."""
    return {**data, "stem": data[task.stem], "options": task.options(data)}

"""Render a row's columns as a table: options by their letters, values marked.

Knows nothing of where the row stands in a graph.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from raygen.core import Task
from raygen.inspection import marked, option
from raygen.views.prompts import shorten
from raygen.views.tables import facts_table


def row_table(
    data: Mapping[str, Any],
    task: Task,
    full: bool,
    before: Mapping[str, Any] | None = None,
    without: Collection[str] = (),
) -> Table:
    """Render the columns that aren't empty, those of the task first, the gold option marked.

    `before` is the row that this one was made of; long texts are shortened unless `full`.
    """
    table = facts_table()
    shown = [name for name in data if name not in task.columns and name not in without]
    for name in (*(name for name in task.columns if name in data), *shown):
        value = data[name]
        if name == "choices" and task.name == "multiple_choice":
            for index, _ in enumerate(value):
                mark = "  (gold)" if index == data["answer"] else ""
                label = name if index == 0 else ""
                table.add_row(label, Text(f"{option(index, value)}{mark}"))
        elif value is not None and (name != task.answer or task.name != "multiple_choice"):
            # Changes are marked in the whole text, which a cut would spoil.
            uncut = full or not isinstance(value, str) or name == task.stem
            table.add_row(
                name, marked(name, value if uncut else shorten(value), data, task, before)
            )
    return table

"""Build what views share: tables of facts, tables without lines, rows as tables, shortened texts.

Knows nothing of any one subject.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from raygen.core import Task, count
from raygen.inspection import marked, option

SHOWN = 600
"""The most characters of a long text that are shown."""


def facts_table() -> Table:
    """Make a table of facts, with names on the left and values on the right."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def plain_table(*names: str, right: int = 0) -> Table:
    """Make a table without lines, with these column names; the last `right` ones hold numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for index, name in enumerate(names):
        is_number = index >= len(names) - right
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    return table


def shorten(text: str, limit: int = SHOWN) -> str:
    """Cut the middle of a text longer than `limit` characters, noting how much is missing."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit // 2].rstrip(), text[-(limit // 2) :].lstrip()
    missing = len(text) - len(head) - len(tail)
    return f"{head}\n[... {count(missing)} characters more; --full shows them ...]\n{tail}"


def row_table(
    data: Mapping[str, Any],
    task: Task,
    full: bool,
    before: Mapping[str, Any] | None = None,
    without: Collection[str] = (),
) -> Table:
    """Render a row's columns that aren't empty, the task's first, with the gold option marked.

    Args:
        data: The row's columns.
        task: The task, which names the columns of text and options.
        full: Show long texts in full.
        before: The row that an op made this one of.
        without: Columns to leave out.
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
            # Changes are marked in the complete text, which shortening would spoil.
            uncut = full or not isinstance(value, str) or name == task.stem
            table.add_row(
                name, marked(name, value if uncut else shorten(value), data, task, before)
            )
    return table

"""Build what views share: tables of facts, tables without lines, rows as tables, shortened texts.

Knows nothing of any one subject.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from raygen.core import Task, count, visible_line
from raygen.inspection import marked, option

SHOWN = 600
"""The most characters of a long text that are shown."""


class _LineTable(Table):
    """A table whose cells have one line each."""

    def add_row(self, *cells: RenderableType | None, **style: Any) -> None:
        """Add a row, with line ends and tabs of its texts shown by signs."""
        lines = (one_line(cell) if isinstance(cell, str | Text) else cell for cell in cells)
        super().add_row(*lines, **style)


class _TextsTable(Table):
    """A table whose first cells have one line each."""

    def add_row(self, *cells: RenderableType | None, **style: Any) -> None:
        """Add a row, with line ends and tabs of its name shown by signs."""
        name, *values = cells
        super().add_row(one_line(name) if isinstance(name, str | Text) else name, *values, **style)


def one_line(text: str | Text) -> Text:
    """Show a text's line ends and tabs by signs, so that no part of it looks like another line."""
    if isinstance(text, str):
        return Text(visible_line(text))
    harmless = visible_line(text.plain)
    if harmless == text.plain:
        return text
    line = text.copy()
    line.plain = harmless  # the styles stay where they are, since each sign has the same length
    return line


def facts_table(*, texts: bool = False) -> Table:
    """Make a table of facts, with names on the left and values on the right.

    `texts` are values that may have several lines.
    """
    table = (_TextsTable if texts else _LineTable).grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def plain_table(*names: str, right: int = 0) -> Table:
    """Make a table without lines, with these column names; the last `right` ones hold numbers."""
    table = _LineTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for index, name in enumerate(names):
        is_number = index >= len(names) - right
        table.add_column(
            visible_line(name), justify="right" if is_number else "left", overflow="fold"
        )
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
    table = facts_table(texts=True)
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

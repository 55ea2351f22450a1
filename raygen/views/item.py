"""Render an example, or a row that was dropped.

Knows nothing of keys, pages or verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from raygen.core import Task, plural
from raygen.inspection.browse import Item, ItemRef
from raygen.views.prompts import shorten
from raygen.views.row import row_table

_MEASURES = (float, bool, Mapping)
"""What a filter measured: a share, a yes or no, votes, probabilities."""

_COUNTS = ("distinct_answers",)
"""The same as a whole number, which the columns of a task have too."""

_MOST_COMPLETIONS = 8


def item_view(item: Item, task: Task, full: bool) -> RenderableType:
    """Render an item: its fate and why, its columns, the completions that a reject came from."""
    parts: list[RenderableType] = [fate(item.ref)]
    if item.ref.detail:
        parts.append(Text(_cut(item.ref.detail, full), style="dim"))
    if not item.exact:
        note = "its source row, and all that the node was told for it:"
        parts.append(Text(note, style="dim"))
    return Group(*parts, Text(), *_content(item, task, full, blind=False))


def blind_view(item: Item, task: Task, full: bool) -> RenderableType:
    """Render an item without its fate, and without what any filter measured."""
    return Group(*_content(item, task, full, blind=True))


def fate(ref: ItemRef) -> Text:
    """Render an item's fate in a line."""
    if ref.kept:
        return Text.assemble(("kept", "bold green"), f" by {ref.node}")
    return Text.assemble(("dropped", "bold yellow"), f" by {ref.node}: {ref.reason}")


def _content(item: Item, task: Task, full: bool, blind: bool) -> list[RenderableType]:
    parts: list[RenderableType] = [_columns(item, task, full, blind)]
    if item.completions:
        parts += [Text(), _completions(item, full)]
    return parts


def _columns(item: Item, task: Task, full: bool, blind: bool) -> Table:
    hidden = {
        name
        for name, value in item.data.items()
        if blind and (isinstance(value, _MEASURES) or name in _COUNTS)
    }
    if isinstance(item.data.get("original"), str):
        hidden.add("original")  # the changed text shows what it was
    before: Mapping[str, Any] = item.source or item.data
    return row_table(item.data, task, full, before, hidden)


def _completions(item: Item, full: bool) -> Table:
    """Render the completions that a reject came from."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    shown = item.completions if full else item.completions[:_MOST_COMPLETIONS]
    for number, text in enumerate(shown, 1):
        name = "said" if len(item.completions) == 1 else f"said {number}"
        table.add_row(name, Text(_cut(text, full) or "(nothing)"))
    if left := len(item.completions) - len(shown):
        table.add_row("", Text(f"[... {plural(left, 'completion')} more; --full shows them ...]"))
    return table


def _cut(text: str, full: bool) -> str:
    return text if full else shorten(text)

"""Render the items of a dataset, examples and rejects, and the precision of its filters.

Knows nothing of pagers, keys, or how precision is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from raygen.core import Task, count, indented, plural
from raygen.inspection.browse import Item, ItemRef, NodePrecision, Precision
from raygen.views.tables import one_line, plain_table, row_table, shorten

_MEASURES = (float, bool, Mapping)
"""Types of what a filter measures: a share, a yes or no, votes, probabilities."""

_COUNTS = ("distinct_answers",)
"""Integer columns that a filter measures; by type they can't be told from a task's columns."""

_MOST_COMPLETIONS = 8


def item_view(item: Item, task: Task, full: bool) -> RenderableType:
    """Render an item: its fate and the reason, its columns, the completions behind a reject.

    Long texts are shortened unless `full`.
    """
    parts: list[RenderableType] = [fate(item.ref)]
    if item.ref.detail:
        detail = indented(_cut(item.ref.detail, full))
        parts.append(Text(f"  {detail}", style="dim"))
    if not item.exact:
        note = "its source row, and all that the node was told for it:"
        parts.append(Text(note, style="dim"))
    return Group(*parts, Text(), *_content(item, task, full, blind=False))


def blind_view(item: Item, task: Task, full: bool) -> RenderableType:
    """Render an item without its fate and without columns that a filter measured."""
    return Group(*_content(item, task, full, blind=True))


def fate(ref: ItemRef) -> Text:
    """Render an item's fate on one line."""
    if ref.kept:
        return one_line(Text.assemble(("kept", "bold green"), f" by {ref.node}"))
    return one_line(Text.assemble(("dropped", "bold yellow"), f" by {ref.node}: {ref.reason}"))


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
    """Render the completions that a reject was made of."""
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


def precision_view(precision: Precision) -> RenderableType:
    """Render a table of precision for each rater, and how far raters agree."""
    parts: list[RenderableType] = []
    for rated in precision.raters:
        judged = sum(f.judged for f in rated.figures if f.reason is None)
        parts += [
            one_line(Text.assemble((rated.rater, "bold"), f": {plural(judged, 'item')} judged")),
            _table(rated.figures),
            Text(),
        ]
    parts.append(
        Text(
            "right: of the rows that were kept, the share that people keep; of those that a node "
            "dropped, the share that people would drop too; with 95 % intervals",
            style="dim",
        )
    )
    if precision.shared:
        shared = plural(precision.shared, "item")
        line = f"raters agree on {precision.agreed} of the {shared} that two or more judged"
        parts.append(Text(line))
    if precision.disputed:
        disputed = plural(precision.disputed, "item")
        line = f"{disputed} with no majority, so they don't count under `together`"
        parts.append(Text(line))
    if precision.stale:
        stale = plural(precision.stale, "verdict")
        parts.append(Text(f"{stale} on rows of other versions of the recipe, and not counted"))
    return Group(*parts)


def _table(figures: tuple[NodePrecision, ...]) -> RenderableType:
    table = plain_table("rows", "in all", "judged", "keep", "fix", "drop", "right", "", right=7)
    for figure in figures:
        numbers = (figure.total, figure.judged, figure.keep, figure.fix, figure.drop)
        table.add_row(_name(figure), *map(count, numbers), *_share(figure))
    return table


def _name(figure: NodePrecision) -> Text:
    if figure.node is None:
        return Text("kept", style="green")
    if figure.reason is None:
        return Text.assemble(("dropped", "yellow"), f" by {figure.node}")
    return Text(f"  {figure.reason}", style="dim")


def _share(figure: NodePrecision) -> tuple[str, str]:
    if figure.share is None:
        return "", ""
    return f"{100 * figure.share:.0f} %", f"{100 * figure.low:.0f} to {100 * figure.high:.0f} %"

"""Make the tables that views share: without lines, and of named facts.

Knows nothing of what stands in them.
"""

from __future__ import annotations

from rich.table import Table


def facts_table() -> Table:
    """Make a table of names on the left and values on the right."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def plain_table(*names: str, right: int = 0) -> Table:
    """Make a table without lines; the last `right` columns are figures."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for index, name in enumerate(names):
        figures = index >= len(names) - right
        table.add_column(name, justify="right" if figures else "left", overflow="fold")
    return table

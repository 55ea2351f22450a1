"""Render the precision of filters by people's verdicts.

Knows nothing of how it is counted.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from raygen.core import count, plural
from raygen.inspection.browse import NodePrecision, Precision
from raygen.views.tables import plain_table


def precision_view(precision: Precision) -> RenderableType:
    """Render a table for each rater, and how far they agree."""
    parts: list[RenderableType] = []
    for rated in precision.raters:
        judged = sum(f.judged for f in rated.figures if f.reason is None)
        parts += [
            Text.assemble((rated.rater, "bold"), f": {plural(judged, 'item')} judged"),
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

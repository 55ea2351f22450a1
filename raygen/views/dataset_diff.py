"""Render the differences between two datasets.

Pure functions to Rich renderables. Knows nothing of how differences are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from raygen.core import count, plural
from raygen.inspection import bar
from raygen.inspection.diff import (
    DatasetDiff,
    ExamplePair,
    NodeCounts,
    RowDiff,
    RowsDiff,
    Shares,
    Spread,
    SpreadPair,
)
from raygen.views.recipe_diff import change_text, recipe_changes, sides_table, truncate
from raygen.views.tables import facts_table, one_line, plain_table

_BLOCKS = " ▁▂▃▄▅▆▇█"
_REASONS = 10
_PAIRS = 2
_STYLES = {"kept": "green", "dropped": "yellow", "failed": "red"}


def dataset_diff_view(diff: DatasetDiff, full: bool = False) -> RenderableType:
    """Render two datasets side by side, and a sample of the rows that differ.

    Long texts and lists are cut unless `full`.
    """
    parts: list[RenderableType] = [sides_table(diff.recipe)]
    parts += [_title("Recipes"), *recipe_changes(diff.recipe, full)]
    if diff.lock:
        parts += [_title("Locks"), _locks(diff)]
    parts += [_title("Counts"), _counts(diff), Text(), _nodes(diff)]
    if diff.rejects:
        parts += [Text(), _rejects(diff, full)]
    parts += [_title("Distributions"), *_distributions(diff)]
    parts += [_title("Rows"), _rows(diff.rows)]
    parts += [part for row in diff.rows.samples for part in _sample(row, full)]
    return Group(*parts)


def _title(title: str) -> RenderableType:
    return Group(Text(), Rule(Text(title, style="bold"), align="left", style="dim"))


def _locks(diff: DatasetDiff) -> Table:
    table = plain_table("", "A", "B")
    for difference in diff.lock or ():
        locked = Text(difference.locked, style="red")
        table.add_row(Text(difference.key), locked, Text(difference.found, style="green"))
    return table


def _counts(diff: DatasetDiff) -> Table:
    table = plain_table("", "A", "B", "", right=3)
    for name, (a, b) in diff.counts.items():
        table.add_row(name.replace("_", " "), count(a), count(b), _more(b - a))
    return table


def _more(number: int) -> Text:
    return Text(f"{number:+,}", style="cyan") if number else Text("=", style="dim")


def _nodes(diff: DatasetDiff) -> Table:
    table = plain_table("node", "A: in", "kept", "passed", "B: in", "kept", "passed", right=6)
    for name, pair in diff.nodes.items():
        table.add_row(Text(name), *(cell for counts in pair for cell in _node(counts)))
    return table


def _node(counts: NodeCounts | None) -> tuple[str, str, str]:
    """Format the rows in, the rows kept, and the share kept of the rows out."""
    if counts is None:
        return "-", "-", "-"
    rows_in, kept, dropped = counts
    rows_out = kept + dropped
    return count(rows_in), count(kept), f"{100 * kept / rows_out:.0f} %" if rows_out else "-"


def _rejects(diff: DatasetDiff, full: bool) -> Table:
    table = plain_table("dropped at", "A", "B", "", right=3)
    shown = list(diff.rejects.items())[: None if full else _REASONS]
    for (node, reason), (a, b) in shown:
        table.add_row(Text(f"{node}: {reason}"), count(a), count(b), _more(b - a))
    return table


def _distributions(diff: DatasetDiff) -> Iterator[RenderableType]:
    """Render each column's distribution; constant columns share one line."""
    constant = [
        *(f"{s.column} {next(iter(s.values))}" for s in diff.shares if len(s.values) == 1),
        *(f"{s.column} {s.a.mean:.4g}" for s in diff.spreads if s.constant and s.a),
    ]
    yield from (_shares(shares) for shares in diff.shares if len(shares.values) > 1)
    if spreads := [spread for spread in diff.spreads if not spread.constant]:
        yield _spreads(spreads)
    if constant:
        yield one_line(Text(f"in all examples of both: {', '.join(constant)}", style="dim"))


def _shares(shares: Shares) -> RenderableType:
    """Render the share of each value of a column on both sides."""
    sums = [sum(pair[side] for pair in shares.values.values()) or 1 for side in (0, 1)]
    table = plain_table(shares.column, "A", "", "B", "")
    for name, pair in shares.values.items():
        cells = [
            cell
            for number, total in zip(pair, sums, strict=True)
            for cell in (Text(count(number), justify="right"), bar(number / total))
        ]
        table.add_row(Text(name), *cells)
    return Group(table, Text())


def _spreads(spreads: Sequence[SpreadPair]) -> Table:
    table = plain_table("", "", "", "n", "mean", "min", "median", "max", right=5)
    for pair in spreads:
        for side, spread in (("A", pair.a), ("B", pair.b)):
            name = f"{pair.column} (words)" if pair.unit else pair.column
            head = (Text(name if side == "A" else ""), side)
            if spread is None:
                table.add_row(*head, Text("none", style="dim"))
                continue
            low, _, median, _, high = spread.quantiles
            figures = [f"{value:.4g}" for value in (spread.mean, low, median, high)]
            table.add_row(*head, _blocks(spread), count(spread.n), *figures)
    return table


def _blocks(spread: Spread) -> Text:
    """Draw a histogram on one line, in which no bin that isn't empty looks empty."""
    most = max(spread.bins)
    levels = [n and max(1, round(n / most * (len(_BLOCKS) - 1))) for n in spread.bins]
    return Text("".join(_BLOCKS[level] for level in levels), style="cyan", no_wrap=True)


def _rows(rows: RowsDiff) -> Table:
    table = facts_table()
    table.add_row("only in A", count(rows.only_a))
    table.add_row("only in B", count(rows.only_b))
    table.add_row("in both", count(rows.both))
    for (a, b), number in rows.statuses.items():
        if a != b:
            ends = Text.assemble((a, _STYLES.get(a, "")), " → ", (b, _STYLES.get(b, "")))
            table.add_row("", Text.assemble(f"{count(number)} ", ends))
    changed = Text(f"{count(rows.changed)} with other examples", style="yellow")
    table.add_row("kept in both", Text.assemble(f"{count(rows.same)} the same, ", changed))
    for side, names in zip("AB", rows.columns, strict=True):
        if names:
            table.add_row(f"columns in {side}", Text(", ".join(names)))
    return table


def _sample(row: RowDiff, full: bool) -> Iterator[RenderableType]:
    yield Text()
    text = truncate(Text(row.text, style="bold"), full)
    yield one_line(Text.assemble((row.key[:8], "dim"), " ", text))
    facts = facts_table(texts=True)
    if row.statuses[0] != row.statuses[1] or not row.pairs:
        for side, status, why in zip("AB", row.statuses, row.rejects, strict=True):
            fate = Text(status, style=_STYLES.get(status, ""))
            facts.add_row(f"  {side}", fate.append(f"; {', '.join(why)}" if why else "", ""))
    shown = row.pairs if full else row.pairs[:_PAIRS]
    for number, pair in enumerate(shown, 1):
        for name, value in _pair(pair, full):
            facts.add_row(f"  {number} {name}", value)
    yield facts
    if left := len(row.pairs) - len(shown):
        more = f"[... {plural(left, 'example')} more; --full shows them ...]"
        yield Padding(Text(more, style="dim"), (0, 0, 0, 2))


def _pair(pair: ExamplePair, full: bool) -> Iterator[tuple[str, Text]]:
    """Yield the changes of an example's columns, or the side that alone has it."""
    if pair.a is not None and pair.b is not None:
        yield from ((change.key, change_text(change, full)) for change in pair.changes)
        return
    side, example = ("A", pair.a) if pair.a is not None else ("B", pair.b)
    text = (example or {}).get("rationale") or (example or {}).get("node")
    style = "red" if side == "A" else "green"
    yield f"only in {side}", truncate(Text(str(text), style=style), full)

"""Render a dataset's status.

Pure functions to Rich renderables. Knows nothing of how it is counted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from raygen.core import count, duration, plural
from raygen.dataset import DatasetStatus, SentBatch
from raygen.views.tables import facts_table, one_line, plain_table

_TOP = 5


def status_view(folder: str, status: DatasetStatus) -> RenderableType:
    """Render the status of a dataset: source rows, tokens, nodes, rejects, errors."""
    facts = facts_table()
    facts.add_row("source", count(status.source))
    facts.add_row("kept", Text(count(status.kept), style="green"))
    for name, number, style in (
        ("dropped", status.dropped, "yellow"),
        ("failed", status.failed, "red"),
        ("pending", status.pending, ""),
    ):
        facts.add_row(name, Text(count(number), style=style if number else ""))
    if status.outside:
        facts.add_row("outside", f"{count(status.outside)} finished rows are not in the source now")
    planned = status.planned
    facts.add_row("examples", _with_plan(status.examples, planned, "examples"))
    tokens = (
        f"{_with_plan(status.prompt_tokens, planned, 'prompt_tokens')} in, "
        f"{_with_plan(status.output_tokens, planned, 'output_tokens')} out, "
        f"{_with_plan(status.calls, planned, 'calls')} calls"
    )
    facts.add_row("tokens", Text(tokens))
    if thinking := sum(reported.thinking for reported in status.reported.values()):
        facts.add_row("thoughts", f"{count(thinking)} of all tokens out that were paid for")
    if status.reused:
        saved = f"{plural(status.reused, 'call')}, {plural(status.saved_tokens, 'token')} saved"
        facts.add_row("reused", saved)
    if status.wall is not None and planned is not None:
        expected = planned["seconds"]
        guess = f" (planned {duration(expected)})" if expected is not None else ""
        facts.add_row("time", f"{duration(status.wall)}{guess}")
    for note in status.learned:
        facts.add_row("endpoint", Text(note))
    if status.batches:
        facts.add_row("batches", Text(_batches(status.batches, time.time())))
    facts.add_row("last run", Text(status.ended or "running, or killed"))
    facts.add_row("plan", Text(status.plan))
    parts: list[RenderableType] = [one_line(Text(folder, style="bold")), facts]
    if planned is not None and status.pending:
        note = f"planned: for all {count(planned['rows'])} rows, before the first one ran"
        parts.append(Text(note, style="dim"))
    if status.nodes:
        parts += [Text(), _nodes(status)]
    if status.reports:
        parts += [Text(), _reports(status)]
    parts += _reasons("dropped at", [(n, f"{a}: {b}") for a, b, n in status.rejects])
    parts += _reasons("failed with", [(number, error) for error, number in status.errors])
    return Group(*parts)


def _batches(batches: Sequence[SentBatch], now: float) -> str:
    """Say how many batches have ended, and of those that have not how far they are."""
    waiting = [batch for batch in batches if batch.state != "ended"]
    ended = f"{count(len(batches) - len(waiting))} ended"
    if not waiting:
        return ended
    sent = sum(len(batch.requests) for batch in waiting)
    answered = sum(batch.answered for batch in waiting)
    since = duration(now - min(batch.created for batch in waiting))
    names = ", ".join(batch.id or "not created" for batch in waiting[:_TOP])
    more = f" and {len(waiting) - _TOP} more" if len(waiting) > _TOP else ""
    return (
        f"{ended}, {count(len(waiting))} waiting, the first for {since}: {count(answered)} of "
        f"{plural(sent, 'request')} answered ({names}{more})"
    )


def _with_plan(number: int, planned: Mapping[str, Any] | None, name: str) -> str:
    """Format a number, with the planned one where there is a plan."""
    return count(number) + (f" (planned {count(planned[name])})" if planned else "")


def _nodes(status: DatasetStatus) -> Table:
    guesses = (status.planned or {}).get("nodes", {})
    if not guesses:
        table = plain_table("node", "rows in", "kept", "dropped", right=3)
        for name, counts in status.nodes.items():
            table.add_row(Text(name), *map(count, counts))
        return table
    table = plain_table("node", "rows in", "planned", "kept", "planned", "dropped", right=5)
    for name, (rows_in, kept, dropped) in status.nodes.items():
        guess = guesses.get(name)
        planned_in, planned_out = (
            (count(guess["rows_in"]), count(guess["rows_out"])) if guess else ("", "")
        )
        table.add_row(
            Text(name), count(rows_in), planned_in, count(kept), planned_out, count(dropped)
        )
    return table


def _reports(status: DatasetStatus) -> Table:
    """Render the share of each value of the columns that ops report."""
    table = plain_table("examples by", "")
    for column, values in status.reports.items():
        total = sum(values.values())
        shares = [f"{value} {count(n)} ({100 * n / total:.0f} %)" for value, n in values.items()]
        table.add_row(Text(column), Text(", ".join(shares)))
    return table


def _reasons(title: str, reasons: list[tuple[int, str]]) -> list[RenderableType]:
    if not reasons:
        return []
    table = plain_table("rows", title)
    for number, reason in reasons[:_TOP]:
        table.add_row(count(number), Text(reason, overflow="fold"))
    return [Text(), table]

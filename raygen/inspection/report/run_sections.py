"""Make the report's sections on rows, on tokens and time by node, and on plan against actual.

Knows nothing of pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from raygen.core import count, duration, percent, plural
from raygen.inspection.opened import OpenedDataset
from raygen.inspection.report.figure import Figure, FigureTable, ReportSection, chart
from raygen.inspection.report.flow import flow_chart

_WIDE, _NARROW = 860.0, 330.0
_BOTH = {"planned": "var(--c3)", "actual": "var(--c1)"}


def rows_section(dataset: OpenedDataset) -> ReportSection:
    """Draw the flow of rows through the graph, and list why rows were dropped or failed."""
    status = dataset.status
    pictures = tuple(flow_chart(dataset.plan, status, width) for width in (_WIDE, _NARROW))
    ops = {node["name"]: node["op"] for node in dataset.plan["nodes"]}
    rows = tuple(
        (name, op, *map(count, status.nodes.get(name, (0, 0, 0)))) for name, op in ops.items()
    )
    table = FigureTable(("node", "op", "rows in", "kept", "dropped"), rows, words=2)
    figures = [Figure("", pictures, table, wide=True)]
    if status.rejects:
        drops: dict[str, int] = {}
        for node, _, number in status.rejects:
            drops[node] = drops.get(node, 0) + number
        lines = tuple(
            (node, reason, count(n), percent(n / drops[node])) for node, reason, n in status.rejects
        )
        table = FigureTable(("node", "reason", "rows", "share"), lines, words=2)
        figures.append(Figure("Why rows were dropped", (), table, wide=True))
    if status.errors:
        errors = tuple((error, count(number)) for error, number in status.errors)
        figures.append(
            Figure("Why rows failed", (), FigureTable(("error", "rows"), errors), wide=True)
        )
    return ReportSection("rows", "What became of the rows", figures)


def effort_section(dataset: OpenedDataset) -> ReportSection | None:
    """Draw tokens and time by node; None where there were no calls."""
    if not dataset.calls:
        return None
    tokens, times = [], []
    for use in dataset.calls:
        name = use.node if _has_one_engine(dataset, use.node) else f"{use.node} · {use.engine}"
        for order, (kind, number) in enumerate(
            (("prompt", use.prompt_tokens), ("output", use.output_tokens))
        ):
            tokens.append({"name": name, "amount": number, "group": kind, "order": order})
        times.append({"name": name, "amount": use.seconds, "group": "seconds", "order": 0})
    rows = tuple(
        (use.node, use.engine, count(use.calls), count(use.reused), count(use.prompt_tokens),
         count(use.output_tokens), f"{use.seconds / use.calls:.2f} s", f"{use.slowest:.2f} s")
        for use in dataset.calls
    )  # fmt: skip
    head = ("node", "engine", "calls", "reused", "prompt tokens", "output tokens", "mean call",
            "slowest call")  # fmt: skip
    colours = {"prompt": "var(--c3)", "output": "var(--c1)"}
    note = "Calls run side by side, so their time adds up to more than the run took."
    figures = [
        Figure("Tokens", (chart("bars", tokens, "Prompt and output tokens of each node",
                                {"x": "tokens"}, colours),)),
        Figure("Time of calls", (chart("bars", times, "Seconds of all calls of each node",
                                       {"x": "seconds, summed"}),), note=note),
        Figure("Calls", (), FigureTable(head, rows, words=2), wide=True),
    ]  # fmt: skip
    return ReportSection("effort", "Tokens and time", figures)


def plan_section(dataset: OpenedDataset) -> ReportSection | None:
    """Compare the estimate made before the first row with the result; None without an estimate."""
    status, planned = dataset.status, dataset.status.planned
    if planned is None:
        return None
    table = FigureTable(("", "planned", "actual", "ratio"), tuple(_totals(dataset, planned)))
    figures = [Figure("In all", (), table)]
    nodes = planned["nodes"]
    rows_out = [
        (name, nodes[name]["rows_out"], rows_kept)
        for name, (_, rows_kept, _) in status.nodes.items()
        if name in nodes
    ]
    if rows_out:
        figures.insert(0, _comparison("Rows that each node kept", "rows", rows_out))
    tokens: dict[str, int] = {}
    for use in dataset.calls:
        tokens[use.node] = tokens.get(use.node, 0) + use.output_tokens
    spent = [(n, nodes[n]["output_tokens"], tokens[n]) for n in nodes if n in tokens]
    if spent:
        figures.insert(1, _comparison("Output tokens of each node", "output tokens", spent))
    note = f"Planned for all {plural(planned['rows'], 'row')} before the first one ran."
    if status.pending:
        note += f" {plural(status.pending, 'row')} of them did not run yet."
    return ReportSection("plan", "Plan against actual", figures, note)


def _comparison(title: str, unit: str, both: list[tuple[str, float, int]]) -> Figure:
    values = [{"name": name, "planned": plan, "actual": real} for name, plan, real in both]
    rows = tuple((n, count(plan), count(real), _ratio(real, plan)) for n, plan, real in both)
    picture = chart("dumbbell", values, f"{title}: planned and actual", {}, _BOTH)
    head = ("node", f"{unit} planned", "actual", "ratio")
    return Figure(title, (picture,), FigureTable(head, rows))


def _totals(dataset: OpenedDataset, planned: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    status = dataset.status
    for name in ("examples", "calls", "prompt_tokens", "output_tokens"):
        real, plan = getattr(status, name), planned[name]
        yield name.replace("_", " "), count(plan), count(real), _ratio(real, plan)
    if status.wall is not None:
        seconds = planned["seconds"]
        guess = "not known" if seconds is None else duration(seconds)
        yield "time", guess, duration(status.wall), _ratio(status.wall, seconds or 0)


def _ratio(real: float, plan: float) -> str:
    return f"{real / plan:.2f}" if plan else ""


def _has_one_engine(dataset: OpenedDataset, node: str) -> bool:
    return sum(use.node == node for use in dataset.calls) == 1

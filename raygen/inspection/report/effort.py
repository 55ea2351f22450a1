"""What a run cost by node, and its plan against what came of it.

Knows nothing of pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from raygen.core import count, duration, percent, plural
from raygen.inspection.report.charts import chart
from raygen.inspection.report.facts import Facts
from raygen.inspection.report.figure import Figure, Section, Table
from raygen.inspection.report.flow import lay_out

_WIDE, _NARROW = 860.0, 330.0
_BOTH = {"planned": "var(--c3)", "actual": "var(--c1)"}


def rows_section(facts: Facts) -> Section:
    """The graph with its rows, and the reasons of those that it dropped."""
    from raygen.inspection.report.charts import flow_chart

    words = "The graph with the rows that flow through it; the table has the same figures"
    pictures = tuple(
        flow_chart(*lay_out(facts.plan, facts.status, width), words) for width in (_WIDE, _NARROW)
    )
    status = facts.status
    ops = {node["name"]: node["op"] for node in facts.plan["nodes"]}
    rows = tuple(
        (name, op, *map(count, status.nodes.get(name, (0, 0, 0)))) for name, op in ops.items()
    )
    table = Table(("node", "op", "rows in", "kept", "dropped"), rows, words=2)
    figures = [Figure("", pictures, table, wide=True)]
    if status.rejects:
        drops: dict[str, int] = {}
        for node, _, number in status.rejects:
            drops[node] = drops.get(node, 0) + number
        lines = tuple(
            (node, reason, count(n), percent(n / drops[node])) for node, reason, n in status.rejects
        )
        table = Table(("node", "reason", "rows", "share"), lines, words=2)
        figures.append(Figure("Why rows were dropped", (), table, wide=True))
    if status.errors:
        errors = tuple((error, count(number)) for error, number in status.errors)
        figures.append(Figure("Why rows failed", (), Table(("error", "rows"), errors), wide=True))
    return Section("rows", "What became of the rows", figures)


def effort_section(facts: Facts) -> Section | None:
    """Tokens and time by node; None where no engine was asked."""
    if not facts.uses:
        return None
    tokens, times = [], []
    for use in facts.uses:
        name = use.node if _alone(facts, use.node) else f"{use.node} · {use.engine}"
        for place, (kind, number) in enumerate(
            (("prompt", use.prompt_tokens), ("output", use.output_tokens))
        ):
            tokens.append({"name": name, "amount": number, "group": kind, "place": place})
        times.append({"name": name, "amount": use.seconds, "group": "seconds", "place": 0})
    rows = tuple(
        (use.node, use.engine, count(use.calls), count(use.reused), count(use.prompt_tokens),
         count(use.output_tokens), f"{use.seconds / use.calls:.2f} s", f"{use.slowest:.2f} s")
        for use in facts.uses
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
        Figure("Calls", (), Table(head, rows, words=2), wide=True),
    ]  # fmt: skip
    return Section("effort", "Tokens and time", figures)


def plan_section(facts: Facts) -> Section | None:
    """The estimate from before the first row beside what came; None where there was none."""
    status, planned = facts.status, facts.status.planned
    if planned is None:
        return None
    table = Table(("", "planned", "actual", "ratio"), tuple(_totals(facts, planned)))
    figures = [Figure("In all", (), table)]
    nodes = planned["nodes"]
    both = [
        (name, nodes[name]["rows_out"], kept)
        for name, (_, kept, _) in status.nodes.items()
        if name in nodes
    ]
    if both:
        figures.insert(0, _beside("Rows that each node kept", "rows", both))
    made: dict[str, int] = {}
    for use in facts.uses:
        made[use.node] = made.get(use.node, 0) + use.output_tokens
    spent = [(n, nodes[n]["output_tokens"], made[n]) for n in nodes if n in made]
    if spent:
        figures.insert(1, _beside("Output tokens of each node", "output tokens", spent))
    note = f"Planned for all {plural(planned['rows'], 'row')} before the first one ran."
    if status.pending:
        note += f" {plural(status.pending, 'row')} of them did not run yet."
    return Section("plan", "Plan against actual", figures, note)


def _beside(title: str, unit: str, both: list[tuple[str, float, int]]) -> Figure:
    values = [{"name": name, "planned": plan, "actual": real} for name, plan, real in both]
    rows = tuple((n, count(plan), count(real), _ratio(real, plan)) for n, plan, real in both)
    picture = chart("dumbbell", values, f"{title}: planned and actual", {}, _BOTH)
    head = ("node", f"{unit} planned", "actual", "ratio")
    return Figure(title, (picture,), Table(head, rows))


def _totals(facts: Facts, planned: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    status = facts.status
    for words, name in (("examples", "examples"), ("calls", "calls"),
                        ("prompt tokens", "prompt_tokens"),
                        ("output tokens", "output_tokens")):  # fmt: skip
        real, plan = getattr(status, name), planned[name]
        yield words, count(plan), count(real), _ratio(real, plan)
    if status.wall is not None:
        seconds = planned["seconds"]
        guess = "not known" if seconds is None else duration(seconds)
        yield "time", guess, duration(status.wall), _ratio(status.wall, seconds or 0)


def _ratio(real: float, plan: float) -> str:
    return f"{real / plan:.2f}" if plan else ""


def _alone(facts: Facts, node: str) -> bool:
    return sum(use.node == node for use in facts.uses) == 1

"""Render a plan and its estimate.

Pure functions to Rich renderables. Knows nothing of where these come from.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from raygen.core import count, duration, money, plural
from raygen.engines import model_name
from raygen.planning import Estimate, Placement, PlanOverview
from raygen.views.tables import facts_table, one_line, plain_table

_PACES = {
    "run": "at the pace of the last run",
    "preview": "at the pace of the last preview; with more rows in flight it is faster",
}
_BASES = {
    "changed": "changed: what passed under other settings, each answer as long as it may be",
    "assumed": "assumed: nothing is dropped, each answer is as long as it may be; "
    "`raygen preview` measures",
}


def plan_view(outlook: PlanOverview) -> RenderableType:
    """Render a plan: nodes in running order, engines, columns of the dataset, the estimate."""
    plan = outlook.plan
    nodes = plain_table("node", "op", "from", "engine")
    for node in plan.nodes:
        mark = " *" if node.name in plan.outputs else ""
        using = ", ".join(node.all_engines)
        nodes.add_row(*map(Text, (node.name + mark, node.op.name, ", ".join(node.inputs), using)))
    facts = facts_table()
    if outlook.placement is not None:
        facts.add_row("runs on", Text(_placement(outlook.placement)))
    facts.add_row("columns", Text(", ".join(f"{k}: {v}" for k, v in plan.columns.items())))
    facts.add_row("failed", f"at most {100 * plan.max_failed:g} % of the rows")
    facts.add_row("hash", Text(plan.hash))
    parts: list[RenderableType] = [
        one_line(Text.assemble((plan.recipe, "bold"), f", {plan.task.name}")),
        Text(),
        nodes,
        Text("* its rows become the dataset", style="dim"),
        Text(),
    ]
    if plan.engines:
        table = plain_table("engine", "model", "backend", "api", "gpus")
        for spec in plan.engines.values():
            table.add_row(
                *map(
                    Text,
                    (
                        spec.name,
                        model_name(spec.model, spec.revision),
                        spec.backend,
                        "" if spec.api == "auto" else spec.api,
                        str(spec.gpus),
                    ),
                )
            )
        parts += [table, Text()]
    for spec in plan.engines.values():
        if spec.sampling:
            settings = ", ".join(f"{k} {v}" for k, v in spec.sampling.items())
            facts.add_row("sampling", Text(f"{spec.name}: {settings}"))
    return Group(*parts, facts, Text(), *_estimate(outlook))


def _estimate(outlook: PlanOverview) -> list[RenderableType]:
    estimate = outlook.estimate
    table = plain_table(
        "expected", "rows in", "pass", "rows out", "calls", "tokens in", "out", "from", right=7
    )
    table.columns[-1].justify = "left"
    for name, node in estimate.nodes.items():
        has_calls = bool(node.calls)
        table.add_row(
            Text(name),
            count(node.rows_in),
            "" if node.pass_rate is None else f"{100 * node.pass_rate:.0f} %",
            count(node.rows_out),
            *((count(n) if has_calls else "") for n in (node.calls, node.prompt_tokens)),
            count(node.output_tokens) if has_calls else "",
            Text(node.basis, style="dim"),
        )
    table.add_section()
    table.add_row(
        Text("all", style="bold"),
        count(estimate.rows),
        "",
        Text(count(estimate.examples), style="bold"),
        *map(count, (estimate.calls, estimate.prompt_tokens, estimate.output_tokens)),
    )
    facts = facts_table()
    facts.add_row("to pay now", Text(_to_pay(outlook), style="bold"))
    facts.add_row(
        "examples", f"about {count(estimate.examples)}, from {plural(estimate.rows, 'row')}"
    )
    if estimate.seconds is None or estimate.pace is None:
        facts.add_row("time", "not known before a preview or a run")
    else:
        facts.add_row("time", f"{duration(estimate.seconds)} {_PACES[estimate.pace]}")
    if estimate.dollars is not None:
        facts.add_row("money", _money(estimate))
    if outlook.done:
        facts.add_row("done", f"{count(outlook.done)} of {count(estimate.rows)} rows already")
    if outlook.reuse is not None:
        facts.add_row("reuse", Text(outlook.reuse.words()))
    for note in estimate.notes:
        facts.add_row("note", Text(note))
    if outlook.invalid:
        rows = plural(outlook.invalid, "row")
        facts.add_row("dropped", Text(f"{rows} of the source: invalid_row", style="yellow"))
    for note in outlook.notes:
        facts.add_row("source", Text(note))
    for hint in outlook.hints:
        facts.add_row("hint", Text(str(hint)))
    parts: list[RenderableType] = [table]
    used = {node.basis for node in estimate.nodes.values()}
    parts += [Text(legend, style="dim") for basis, legend in _BASES.items() if basis in used]
    return [*parts, Text(), facts]


def _placement(where: Placement) -> str:
    actors = plural(where.high, "actor")
    if where.low < where.high:
        actors = f"{count(where.low)} to {actors}"
    gpus = plural(where.gpus, "GPU") if where.gpus else "no GPU"
    each = " each" if where.high > 1 else ""
    line = f"{actors} with {gpus}{each}, up to {plural(where.rows, 'row')} in flight{each}"
    if where.trainers:
        line += f"; {plural(where.trainers, 'train worker')} beside that"
    if where.all_gpus:
        line += f"; {plural(where.all_gpus, 'GPU')} in all"
    return line + (f" (profile {where.profile})" if where.profile else "")


def _to_pay(outlook: PlanOverview) -> str:
    due = outlook.to_pay
    tokens = f"{count(due.prompt_tokens)} tokens in, {count(due.output_tokens)} out"
    words = f"{count(due.calls)} calls, {tokens}"
    return words if due.dollars is None else f"{money(due.dollars)}: {words}"


def _money(estimate: Estimate) -> str:
    priced = {
        name: engine.dollars
        for name, engine in estimate.engines.items()
        if engine.dollars is not None
    }
    by_engine = ", ".join(f"{name} {money(dollars)}" for name, dollars in priced.items())
    free = [name for name in estimate.engines if name not in priced]
    total = money(estimate.dollars or 0.0) + (f" ({by_engine})" if len(priced) > 1 else "")
    return total + (f"; without a price: {', '.join(free)}" if free else "")

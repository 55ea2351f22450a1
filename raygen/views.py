"""How ops, plans and a dataset's status read in a terminal of 80 columns or more.

Pure functions to rich renderables. Knows nothing of where these come from.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from raygen.dataset.status import DatasetStatus
from raygen.engines.base import EngineSpec
from raygen.figures import count
from raygen.ops.base import Op
from raygen.plan import Plan

_TOP = 5


def plan_view(plan: Plan) -> RenderableType:
    """The nodes in running order, the engines, and the columns of the dataset."""
    nodes = _table("node", "op", "from", "engine")
    for node in plan.nodes:
        mark = " *" if node.name in plan.outputs else ""
        row = (node.name + mark, node.op.name, ", ".join(node.inputs), node.engine or "")
        nodes.add_row(*map(Text, row))
    engines = _table("engine", "model", "backend", "gpus")
    for spec in plan.engines.values():
        engines.add_row(*map(Text, (spec.name, _model(spec), spec.backend, str(spec.gpus))))
    facts = _facts()
    facts.add_row("columns", Text(", ".join(f"{k}: {v}" for k, v in plan.columns.items())))
    facts.add_row("failed", f"at most {100 * plan.max_failed:g} % of the rows")
    facts.add_row("hash", Text(plan.hash))
    parts: list[RenderableType] = [
        Text.assemble((plan.recipe, "bold"), f", {plan.task.name}"),
        Text(),
        nodes,
        Text("* its rows become the dataset", style="dim"),
        Text(),
    ]
    if plan.engines:
        parts += [engines, Text()]
    return Group(*parts, facts)


def status_view(folder: str, status: DatasetStatus) -> RenderableType:
    """What has become of every source row."""
    facts = _facts()
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
    facts.add_row("examples", count(status.examples))
    tokens = f"{count(status.prompt_tokens)} in, {count(status.output_tokens)} out"
    facts.add_row("tokens", f"{tokens}, {count(status.calls)} calls")
    facts.add_row("last run", Text(status.ended or "running, or killed"))
    facts.add_row("plan", Text(status.plan))
    parts: list[RenderableType] = [Text(folder, style="bold"), facts]
    if status.nodes:
        nodes = _table("node", "rows in", "kept", "dropped", right=3)
        for name, counts in status.nodes.items():
            nodes.add_row(Text(name), *map(count, counts))
        parts += [Text(), nodes]
    parts += _reasons("dropped in the graph", [(n, f"{a}: {b}") for a, b, n in status.rejects])
    parts += _reasons("failed with", [(number, error) for error, number in status.errors])
    return Group(*parts)


def ops_view(ops: Iterable[Op]) -> RenderableType:
    """Every op with what it does."""
    table = _table("op", "engine", "what it does")
    for op in ops:
        first = _paragraphs(op.doc)[0]
        table.add_row(Text(op.name), "yes" if op.needs_engine else "no", Text(first))
    return Group(table, Text(), Text("`raygen ops NAME` shows an op's parameters.", style="dim"))


def op_view(op: Op) -> RenderableType:
    """One op: what it does, emits and rejects, and its parameters."""
    table = _table("parameter", "type", "default", "")
    schema = op.params.model_json_schema()
    for name, spec in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        default = "required" if required else json.dumps(spec.get("default"), ensure_ascii=False)
        row = (name, type_name(spec, schema), default, spec.get("description", ""))
        table.add_row(*map(Text, row))
    head = Text.assemble((op.name, "bold"), f", version {op.version}")
    if op.needs_engine:
        head.append(", needs an engine")
    parts: list[RenderableType] = [head]
    for paragraph in _paragraphs(op.doc):
        parts += [Text(), Text(paragraph)]
    if op.paper and op.paper not in op.doc:
        parts += [Text(), Text(f"Paper: {op.paper}")]
    return Group(*parts, Text(), table)


def op_json(op: Op) -> dict[str, Any]:
    """One op for a program, its parameters as JSON Schema."""
    return {
        "name": op.name,
        "version": op.version,
        "needs_engine": op.needs_engine,
        "paper": op.paper,
        "doc": op.doc,
        "params": op.params.model_json_schema(),
    }


def type_name(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """A JSON Schema in a word or two, as a recipe's author thinks of it."""
    if "$ref" in spec:
        named: Mapping[str, Any] = schema["$defs"][spec["$ref"].rsplit("/", 1)[-1]]
        return type_name(named, schema)
    if "enum" in spec or "const" in spec:
        return " | ".join(map(str, spec.get("enum", [spec.get("const")])))
    if "anyOf" in spec:
        names = [type_name(s, schema) for s in spec["anyOf"] if s.get("type") != "null"]
        return " or ".join(dict.fromkeys(names))
    if spec.get("type") == "array":
        inner = spec.get("items")
        return f"list of {type_name(inner, schema)}" if inner else "list"
    words = {"object": "mapping", "string": "text", "boolean": "true | false"}
    kind = str(spec.get("type", "any"))
    return words.get(kind, kind)


def _paragraphs(doc: str) -> list[str]:
    """A docstring's paragraphs, each on one line, for the terminal to wrap."""
    return [" ".join(part.split()) for part in inspect.cleandoc(doc).split("\n\n")]


def _model(spec: EngineSpec) -> str:
    return f"{spec.model}@{spec.revision}" if spec.revision else spec.model


def _reasons(title: str, reasons: list[tuple[int, str]]) -> list[RenderableType]:
    if not reasons:
        return []
    table = _table("rows", title)
    for number, reason in reasons[:_TOP]:
        table.add_row(count(number), Text(reason, overflow="fold"))
    return [Text(), table]


def _facts() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _table(*names: str, right: int = 0) -> Table:
    """A table without lines; the last `right` columns are figures."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for index, name in enumerate(names):
        figures = index >= len(names) - right
        table.add_column(name, justify="right" if figures else "left", overflow="fold")
    return table

"""Render ops for the terminal and as JSON, from their declarations.

Knows nothing of plans.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.text import Text

from raygen.core import TASKS
from raygen.ops import Columns, Op, OpParams
from raygen.views.tables import facts_table, plain_table

_LABELS = ("one", "two")


def ops_view(ops: Iterable[Op]) -> RenderableType:
    """Render a table of ops, each with the first paragraph of its documentation."""
    table = plain_table("op", "engine", "what it does")
    for op in ops:
        first = _paragraphs(op.doc)[0]
        table.add_row(Text(op.name), "yes" if op.needs_engine else "no", Text(first))
    return Group(
        table,
        Text(),
        Text(
            "`raygen ops NAME` shows an op's parameters, and with --prompt its prompt.", style="dim"
        ),
    )


def op_view(op: Op) -> RenderableType:
    """Render an op: its documentation, parameters and columns."""
    table = plain_table("parameter", "type", "default", "")
    schema = op.params.model_json_schema()
    for name, spec in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        default = "required" if required else json.dumps(spec.get("default"), ensure_ascii=False)
        row = (name, type_name(spec, schema), default, spec.get("description", ""))
        table.add_row(*map(Text, row))
    head = Text.assemble((op.name, "bold"), f", version {op.version}")
    if op.needs_engine:
        head.append(", needs an engine")
    if op.group:
        head.append(", takes all rows of a source row together")
    parts: list[RenderableType] = [head]
    for paragraph in _paragraphs(op.doc):
        parts += [Text(), Text(paragraph)]
    if op.paper and op.paper not in op.doc:
        parts += [Text(), Text(f"Paper: {op.paper}")]
    parts += [Text(), table]
    declared = declarations(op)
    if declared:
        parts += [Text(), *_columns(declared)]
    return Group(*parts)


def prompts_text(op: Op) -> str:
    """Join the templates of an op's default parameters, as a start for new prompts."""
    prompts = _prompts(op)
    if len(prompts) < 2:
        return next(iter(prompts.values()), "")
    return "\n\n".join(f"{{# {title} #}}\n{text}" for title, text in prompts.items())


def op_json(op: Op) -> dict[str, Any]:
    """Convert an op to JSON, its parameters to JSON Schema."""
    return {
        "name": op.name,
        "version": op.version,
        "needs_engine": op.needs_engine,
        "paper": op.paper,
        "doc": op.doc,
        "params": op.params.model_json_schema(),
        "tasks": {name: _declared_json(declared) for name, declared in declarations(op).items()},
        "prompts": _prompts(op),
    }


def declarations(op: Op) -> dict[str, Columns | str]:
    """Evaluate the op's columns for each task, or why it can't serve that task.

    Parameters have their defaults; required ones get their own names as values, or their first
    choice. Empty where the op takes no such parameters.
    """
    params = _example(op)
    if params is None:
        return {}
    by_task: dict[str, Columns | str] = {}
    for name, task in TASKS.items():
        labelled = replace(task, labels=_LABELS) if name == "classification" else task
        try:
            by_task[name] = op.columns(params, labelled)
        except ValueError as error:
            by_task[name] = str(error)
    return by_task


def _example(op: Op) -> OpParams | None:
    """Make valid parameters: stand-ins for those required, and for as few others as possible."""
    schema = op.params.model_json_schema()
    properties = schema.get("properties", {})
    needed = schema.get("required", ())
    required = {name: _stand_in(name, properties[name]) for name in needed}
    others = {
        name: stand_in
        for name, spec in properties.items()
        if name not in needed
        if isinstance(stand_in := _stand_in(name, spec), str | list)
    }
    for number in range(3):
        for names in combinations(others, number):
            more = {name: others[name] for name in names}
            with contextlib.suppress(ValidationError):
                return op.params.model_validate({**required, **more})
    return None


def _stand_in(name: str, spec: Mapping[str, Any]) -> Any:
    """Make a recognisable value for a parameter; None for a number or a nested model."""
    for option in spec.get("anyOf", (spec,)):
        if "enum" in option:
            return option["enum"][0]
        if option.get("type") == "string":
            return name
        if option.get("type") == "array":
            return [name]
        if option.get("type") == "object":
            return {name: name}
    return None


def _columns(declared: Mapping[str, Columns | str]) -> list[RenderableType]:
    """Render the columns that the op needs and hides, by task, and those it adds."""
    table = plain_table("task", "needs", "hides")
    rows: dict[tuple[str, str], list[str]] = {}
    adds: dict[str, str] = {}
    reports: dict[str, None] = {}
    for name, columns in declared.items():
        if isinstance(columns, str):
            rows[f"not possible: {columns}", ""] = [name]
            continue
        optional = [f"{name} if there" for name in sorted(columns.optional)]
        needs = ", ".join([*sorted(columns.requires), *optional])
        hides = ", ".join(sorted(columns.hides))
        rows.setdefault((needs or "nothing", hides), []).append(name)
        adds |= columns.provides
        reports |= dict.fromkeys(columns.reports)
    for cells, tasks in rows.items():
        names = "any" if len(tasks) == len(declared) else ", ".join(tasks)
        table.add_row(*map(Text, (names, *cells)))
    facts = facts_table()
    facts.add_row("adds", Text(", ".join(f"{k}: {v}" for k, v in adds.items()) or "nothing"))
    if reports:
        facts.add_row("counted", Text(f"{', '.join(reports)}, by `raygen status`"))
    return [table, Text(), facts]


def _prompts(op: Op) -> dict[str, str]:
    """Collect default prompts by parameter and the tasks that they are for."""
    texts: dict[tuple[str, str], list[str]] = {}
    for name, columns in (declarations(op) if op.needs_engine else {}).items():
        if isinstance(columns, Columns):
            for parameter, text in columns.templates.items():
                if len(text.split()) > 1:
                    texts.setdefault((parameter, text), []).append(name)
    return {f"{parameter} ({', '.join(tasks)})": text for (parameter, text), tasks in texts.items()}


def _declared_json(columns: Columns | str) -> dict[str, Any]:
    if isinstance(columns, str):
        return {"problem": columns}
    return {
        "requires": sorted(columns.requires),
        "optional": sorted(columns.optional),
        "provides": dict(columns.provides),
        "hides": sorted(columns.hides),
        "given": sorted(columns.given),
        "reports": list(columns.reports),
        "abilities": {name: sorted(needed) for name, needed in columns.abilities.items()},
    }


def type_name(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Name the type of a JSON Schema in the words of recipes, such as `list of text`."""
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
    names_of_types = {"object": "mapping", "string": "text", "boolean": "true | false"}
    kind = str(spec.get("type", "any"))
    return names_of_types.get(kind, kind)


def _paragraphs(doc: str) -> list[str]:
    """Unwrap each paragraph and list item of a docstring, for the terminal to wrap."""
    return [
        "\n".join(" ".join(item.split()) for item in re.split(r"\n(?=- )", part))
        for part in inspect.cleandoc(doc).split("\n\n")
    ]

"""How ops read in a terminal of 80 columns or more, and as JSON: all from their code.

Knows nothing of plans.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from raygen.ops.base import Op
from raygen.views.tables import plain_table


def ops_view(ops: Iterable[Op]) -> RenderableType:
    """Every op with what it does."""
    table = plain_table("op", "engine", "what it does")
    for op in ops:
        first = _paragraphs(op.doc)[0]
        table.add_row(Text(op.name), "yes" if op.needs_engine else "no", Text(first))
    return Group(table, Text(), Text("`raygen ops NAME` shows an op's parameters.", style="dim"))


def op_view(op: Op) -> RenderableType:
    """One op: what it does, emits and rejects, and its parameters."""
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

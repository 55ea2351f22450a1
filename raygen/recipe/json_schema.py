"""JSON Schemas of recipes and profiles for editors, generated from the models that read them.

Generated, so that they can't drift. A schema says what may be written, not whether names and
columns fit: that is the plan's to say. Knows nothing of any one op.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygen.ops import Op, built_in
from raygen.recipe.profile import ProfileSections
from raygen.recipe.schema import NodeSection, RecipeSections

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_REFERENCE = {"type": "string", "pattern": r"\$\{[^{}]+\}"}
_FILE = {
    "type": "object",
    "properties": {"file": {"type": "string"}},
    "required": ["file"],
    "additionalProperties": False,
    "description": "a file of the recipe's folder, whose text stands here",
}
_SCALARS = ("integer", "number", "boolean")


def recipe_schema(ops: Mapping[str, Op]) -> dict[str, Any]:
    """Make the JSON Schema of a recipe over this table of ops."""
    schema = RecipeSections.model_json_schema()
    definitions = {
        name: part if name == "Param" else _with_references(part)
        for name, part in schema["$defs"].items()
    }
    node = NodeSection.model_json_schema()["properties"]
    for op in ops.values():
        definitions |= _op_definitions(op, node)
    definitions["NodeSection"] = {
        "type": "object",
        "required": ["op", "from"],
        "properties": {"op": {"enum": sorted(ops)}, "from": node["from"]},
        "allOf": [
            {
                "if": {"properties": {"op": {"const": name}}},
                "then": {"$ref": f"#/$defs/op.{name}"},
            }
            for name in sorted(ops)
        ],
    }
    definitions["Recipe"] = {k: v for k, v in schema.items() if k != "$defs"}
    return {
        "$schema": DIALECT,
        "title": "raygen recipe",
        "$defs": definitions,
        # What a recipe that extends another leaves out is there: only section names can be checked.
        "if": {"required": ["extends"]},
        "then": {
            "type": "object",
            "properties": {
                name: part if name == "extends" else True
                for name, part in schema["properties"].items()
            },
            "additionalProperties": False,
        },
        "else": {"$ref": "#/$defs/Recipe"},
    }


def profile_schema() -> dict[str, Any]:
    """Make the JSON Schema of a profile."""
    return {**ProfileSections.model_json_schema(), "$schema": DIALECT, "title": "raygen profile"}


def _op_definitions(op: Op, node: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"op.{op.name}"
    schema = op.params.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}")
    parameters = {
        name: _with_file(_with_references(part))
        for name, part in schema.get("properties", {}).items()
    }
    required = ["op", "from", *(["engine"] if op.needs_engine else []), *schema.get("required", [])]
    engine = {"engine": node["engine"]} if op.needs_engine else {}
    definitions = {
        prefix: {
            "type": "object",
            "description": op.doc,
            "properties": {"op": {"const": op.name}, "from": node["from"], **engine, **parameters},
            "required": required,
            "additionalProperties": False,
        }
    }
    for name, part in schema.get("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = _with_references(part)
    return definitions


def _with_references(schema: Any) -> Any:
    """Allow `${name}` in place of every number, truth value and choice of a schema."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in _SCALARS or "enum" in schema:
        about = {key: schema[key] for key in ("description", "default", "title") if key in schema}
        return {**about, "anyOf": [schema, _REFERENCE]}
    opened = dict(schema)
    for key in ("items", "additionalProperties"):
        if key in schema:
            opened[key] = _with_references(schema[key])
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if key in schema:
            opened[key] = [_with_references(part) for part in schema[key]]
    if "properties" in schema:
        opened["properties"] = {k: _with_references(v) for k, v in schema["properties"].items()}
    return opened


def _with_file(schema: Mapping[str, Any]) -> dict[str, Any]:
    about = {key: schema[key] for key in ("description", "default", "title") if key in schema}
    return {**about, "anyOf": [schema, _FILE]}


def write_schemas(folder: Path) -> None:
    """Write `recipe.json` and `profile.json`, which editors read, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in (("recipe", recipe_schema(built_in())), ("profile", profile_schema())):
        (folder / f"{name}.json").write_text(json.dumps(schema, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))

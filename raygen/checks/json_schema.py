"""A recipe's JSON schema held against an answer, in a time that no schema can stretch.

Patterns may take exponential time, and so may references, which can also name other places. A
schema that has either is checked in a process with limits, which reaches no network. `jsonschema`,
which is slow to import, is imported by what uses it. Knows nothing of engines or rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygen.core.limited import LimitError, Limits, shared_process

_LIMITS = Limits(memory=256 * 1024 * 1024, cpu_s=2.0, wall_s=30.0)
_STRETCHING = frozenset(["$dynamicRef", "$recursiveRef", "$ref", "pattern", "patternProperties"])


def find_schema_fault(schema: Mapping[str, Any]) -> str | None:
    """Return what makes a schema no JSON schema; None where it is one."""
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return str(error.message)
    return None


def find_mismatch(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Return what a value has that its schema doesn't allow; None where it has the form."""
    try:
        if not _stretches(schema):
            return _mismatch(value, schema)
        process = shared_process("checking an answer against the node's `schema`", _LIMITS)
        return process.call(_mismatch, value, schema)
    except LimitError as error:
        return str(error)
    except RecursionError:
        return "the schema refers to itself without an end, or the answer nests too deeply"


def _stretches(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return not _STRETCHING.isdisjoint(schema) or any(map(_stretches, schema.values()))
    return isinstance(schema, list | tuple) and any(map(_stretches, schema))


def _mismatch(value: Any, schema: Mapping[str, Any]) -> str | None:
    import jsonschema
    from jsonschema_specifications import REGISTRY
    from referencing.exceptions import Unresolvable

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        error = jsonschema.exceptions.best_match(kind(schema, registry=REGISTRY).iter_errors(value))
    except Unresolvable as missing:
        return f"the schema refers to {missing.ref!r}, which is no part of it"
    return None if error is None else str(error.message)

"""Answers that a chat gives as JSON of a schema: a short free field first, then what is read.

Knows nothing of engines, which hold a model to the schema where they can, or of any one op.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygen.core import Reject
from raygen.engines import Completion
from raygen.ops.common.completions import InvalidJsonError, completion_reject, parse_json_answer

TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1, "maxLength": 2000}
_REASONING: Mapping[str, Any] = {"type": "string", "maxLength": 400}


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Make the schema of an object that has exactly these properties, in their order."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def answer_schema(**fields: Mapping[str, Any]) -> dict[str, Any]:
    """Make the schema of an answer: its `reasoning`, then these fields."""
    return object_schema({"reasoning": _REASONING, **fields})


def list_schema(least: int, most: int) -> dict[str, Any]:
    """Make the schema of a list of so many short texts."""
    item = {"type": "string", "minLength": 1, "maxLength": 200}
    return {"type": "array", "items": item, "minItems": least, "maxItems": most}


def read_fields(
    answer: Completion, schema: Mapping[str, Any], *, cut_off_counts: bool = True
) -> dict[str, Any] | Reject:
    """Return the fields of an answer; a reject of one that is unusable or not of the schema."""
    fault = completion_reject(answer, cut_off_counts=cut_off_counts)
    if fault is not None:
        return fault
    try:
        fields: dict[str, Any] = parse_json_answer(answer.text, schema)
    except InvalidJsonError as error:
        return error.reject
    return fields

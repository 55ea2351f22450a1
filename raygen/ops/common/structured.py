"""Structured answers: the JSON value in a model's answer, held to a schema whatever the engine.

Knows nothing of engines or rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema

from raygen.core import Reject

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL | re.IGNORECASE)


class InvalidJsonError(ValueError):
    """An answer that is no JSON, or not of the schema; str() says where and quotes it."""

    @property
    def reject(self) -> Reject:
        """The row's reject."""
        return Reject("invalid_json", str(self))


def parse_json_answer(text: str, schema: Mapping[str, Any]) -> Any:
    """Return the answer's JSON value: the whole of it, or its one fenced block.

    Raises InvalidJsonError. An engine that enforces the schema is held to it all the same.
    """
    text = text.strip()
    fenced = _FENCED.findall(text)
    try:
        value = json.loads(fenced[0] if len(fenced) == 1 else text)
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError as error:
        raise InvalidJsonError(f"{error.message[:200]}: {text[:80]!r}") from error
    except (ValueError, RecursionError) as error:  # no JSON, or a number of 5,000 digits
        raise InvalidJsonError(f"{error}: {text[:80]!r}") from error
    return value

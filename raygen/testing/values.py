"""Values of columns: whether one fits its type, and another one in its place.

Knows nothing of ops.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from raygen.core import ColumnType, Task

_HELD: Mapping[ColumnType, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "strings": (list, tuple),
}


def holds(kind: ColumnType, value: Any) -> bool:
    """Tell whether a column of this type can hold the value; any can hold nothing."""
    if value is None:
        return True
    if kind == "json":
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            return False
        return True
    if isinstance(value, bool) and kind != "boolean":
        return False
    if kind == "strings":
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    return isinstance(value, _HELD[kind])


def changed(name: str, row: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Return the row with another value in a column: another answer, where it is the task's."""
    value = row.get(name)
    if name == task.answer and name in row:
        options = task.options(row)
        if len(options) > 1:
            return {**row, **task.answered((task.gold(row) + 1) % len(options))}
    if isinstance(value, bool):
        return {**row, name: not value}
    if isinstance(value, str):
        return {**row, name: f"{value} (changed)"}
    if isinstance(value, int | float):
        return {**row, name: value + 1}
    return dict(row)

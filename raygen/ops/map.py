"""The `map` op: set columns from expressions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from raygen.core import ColumnType, Reject, Row, Task, expression_as_template
from raygen.ops.base import Columns, Context, Op, OpParams
from raygen.ops.common.expressions import evaluate, libraries


class Typed(OpParams):
    """An expression and the type of the column it fills."""

    expr: str = Field(min_length=1)
    type: ColumnType = "string"


class MapParams(OpParams):
    """Sets columns of a row from Jinja expressions over its other columns.

    All expressions see the row as it came in. Emits the row with the columns set. A value that
    can't be made into the column's type fails the row. `predicted | equals(answer)` compares two
    answers, as in `filter`.
    """

    set: dict[str, Typed | str] = Field(
        min_length=1, description="column: expression, or column: {expr, type}"
    )

    @property
    def typed(self) -> dict[str, Typed]:
        """The expressions, each with its type."""
        return {
            name: Typed(expr=value) if isinstance(value, str) else value
            for name, value in self.set.items()
        }


async def run(row: Row, params: MapParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the row with its new columns."""
    new = {
        name: cast(await evaluate(t.expr, row.data, ctx), t.type)
        for name, t in params.typed.items()
    }
    return [Row(row.key, {**row.data, **new}, row.lineage)]


def cast(value: Any, type_: ColumnType) -> Any:
    """Convert a value to the column's type. Raises ValueError if it has no such form."""
    if value is None or type_ == "json":
        return value
    if type_ == "string":
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if type_ == "boolean":
        return bool(value)
    if type_ == "integer":
        return int(value)
    if type_ == "number":
        return float(value)
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise ValueError(f"expected a list of texts, found {value!r}")
    return [str(item) for item in value]


def columns(params: MapParams, task: Task) -> Columns:
    """Declare that it reads what the expressions read and provides what they set."""
    return Columns(
        provides={name: typed.type for name, typed in params.typed.items()},
        templates={
            f"set.{name}": expression_as_template(typed.expr)
            for name, typed in params.typed.items()
        },
        environment=libraries("\n".join(typed.expr for typed in params.typed.values())),
    )


OP = Op("map", 1, MapParams, run, columns)

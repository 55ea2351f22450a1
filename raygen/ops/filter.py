"""The `filter` op: keep the rows for which an expression holds."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from raygen.core import Reject, Row, Task, expression_as_template
from raygen.ops.base import Columns, Context, Op, OpParams
from raygen.ops.common.expressions import evaluate, libraries


class FilterParams(OpParams):
    """Keeps a row when a Jinja expression over its columns is true.

    `predicted | equals(answer)` compares two answers as the op `check` does, by `how='math'` (the
    default), `'number'`, `'exact'`, `'regex'` or, with `options=choices`, `'option'`.

    Emits the row unchanged. Rejects with `reason` (default `filtered`), the expression as detail.
    """

    where: str = Field(min_length=1, description="a Jinja expression, as in `predicted == answer`")
    reason: str = Field("filtered", min_length=1, description="the reject reason to record")


async def run(row: Row, params: FilterParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the row, or its reject."""
    if await evaluate(params.where, row.data, ctx):
        return [row]
    return [Reject(params.reason, f"not ({params.where})")]


def columns(params: FilterParams, task: Task) -> Columns:
    """Declare that it reads what the expression reads."""
    return Columns(
        templates={"where": expression_as_template(params.where)},
        environment=libraries(params.where),
    )


OP = Op("filter", 1, FilterParams, run, columns)

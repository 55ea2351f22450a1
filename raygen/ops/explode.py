"""The `explode` op: one row per item of a list column."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from raygen.core import ColumnType, Reject, Row, Task
from raygen.ops.base import Columns, Context, Op, OpParams
from raygen.ops.map import cast


class ExplodeParams(OpParams):
    """Makes one row of each item of a list column.

    Emits rows with the item in `into` and its zero-based position in `<into>_index`. Rejects a
    row with reason `empty_list` where there is nothing to explode.
    """

    column: str = Field(min_length=1, description="the list to take apart")
    into: str = Field(min_length=1, description="the column for one item")
    type: ColumnType = Field("string", description="the type of an item")


async def run(row: Row, params: ExplodeParams, ctx: Context) -> Sequence[Row | Reject]:
    """Make a row of each item of the list."""
    items = row.data[params.column]
    if items is not None and not isinstance(items, list | tuple):
        raise ValueError(f"column {params.column!r}: expected a list, found {items!r}")
    if not items:
        return [Reject("empty_list", f"column {params.column!r} has no items")]
    return [
        row.child(ctx.node, k, {params.into: cast(item, params.type), f"{params.into}_index": k})
        for k, item in enumerate(items)
    ]


def columns(params: ExplodeParams, task: Task) -> Columns:
    """Declare that it needs the list and provides the item and its position."""
    return Columns(
        requires=frozenset({params.column}),
        provides={params.into: params.type, f"{params.into}_index": "integer"},
    )


OP = Op("explode", 1, ExplodeParams, run, columns)

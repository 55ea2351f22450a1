"""The `deduplicate` op: of the rows of one source row, those that repeat an earlier one go."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from raygen.core import Reject, Row, Task, column_text, find_repeats
from raygen.ops.base import Columns, Context, Op, OpParams


class DeduplicateParams(OpParams):
    """Keeps the first of the rows of one source row that say the same in the columns `on`.

    The same up to case and white space; with `near`, also texts whose similarity is at least that:
    the share of their pieces of five characters that both have (Jaccard). One word changed in
    twenty leaves about 0.87. First means first in the order of the inputs and of their samples.
    Source rows that repeat another source row are for `source.deduplicate`.

    Emits the first rows unchanged. Rejects with `duplicate`, quoting what the row repeats.
    """

    on: tuple[str, ...] = Field(min_length=1, description="the columns to compare")
    near: float | None = Field(
        None, gt=0, le=1, description="the similarity from which texts count as the same"
    )


async def run(
    rows: Sequence[Row], params: DeduplicateParams, ctx: Context
) -> Sequence[Row | Reject]:
    """Return each row, or its reject."""
    texts = ["\n".join(column_text(row.data[name]) for name in params.on) for row in rows]
    return [
        row if first is None else Reject("duplicate", f"repeats {texts[first][:160]!r}")
        for row, first in zip(rows, find_repeats(texts, params.near), strict=True)
    ]


def columns(params: DeduplicateParams, task: Task) -> Columns:
    """Declare that it needs the columns that it compares."""
    return Columns(requires=frozenset(params.on))


OP = Op("deduplicate", 1, DeduplicateParams, run, columns, group=True)

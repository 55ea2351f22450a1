"""The `join_views` op: the rows of one source row go on together, or not at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from raygen.core import Reject, Row, Task, digest
from raygen.ops.base import Columns, Context, Op, OpParams

_COUNTERFACTUAL = "counterfactual_"


class JoinViewsParams(OpParams):
    """Lets the rows of a group go on only if all that are required are there.

    A group is what its inputs make of one source row (`per: row`), as an original and its
    counterfactual, which must both be kept; or what they make of one question or text (`per:
    question`), as the positive and the negative view, of an original or of a counterfactual.

    Emits every row of a complete group with `group` (an id that its rows share, so that a trainer
    can keep them together) and its `variant`: a row without one is an original. A view of a
    counterfactual, as `counterfactual_positive`, counts as `positive`. Rejects each row of another
    group with `incomplete`, naming what is not there.
    """

    by: Literal["variant", "view"] = Field("variant", description="the column that is required")
    required: tuple[str, ...] = Field(
        ("original", "counterfactual"), min_length=1, description="its values that must be there"
    )
    per: Literal["row", "question"] = Field("row", description="what a group is")


async def run(rows: Sequence[Row], params: JoinViewsParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return all rows with their group, those of incomplete groups as rejects."""
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[_question(row, ctx) if params.per == "question" else ""].append(row)
    outcomes: list[Row | Reject] = []
    for question, members in groups.items():
        present = {_value(row, params.by) for row in members}
        missing = [value for value in params.required if value not in present]
        group = digest("group", rows[0].key, question)
        for row in members:
            if missing:
                detail = f"{_value(row, params.by)} without {' and '.join(missing)}"
                outcomes.append(Reject("incomplete", detail))
            else:
                new = {"group": group, "variant": _value(row, "variant")}
                outcomes.append(row.child(ctx.node, 0, new))
    return outcomes


def _question(row: Row, ctx: Context) -> str:
    return " ".join(str(row.data[ctx.task.stem]).split())


def _value(row: Row, by: str) -> str:
    value = row.data.get(by)
    if by == "variant":
        return str(value or "original")
    return str(value).removeprefix(_COUNTERFACTUAL)


def columns(params: JoinViewsParams, task: Task) -> Columns:
    """Declare that it needs the view if it asks for views; the variant may be missing."""
    return Columns(
        requires=frozenset({task.stem, *({"view"} if params.by == "view" else ())}),
        optional=frozenset({"variant"}),
        provides={"group": "string", "variant": "string"},
    )


OP = Op("join_views", 1, JoinViewsParams, run, columns, group=True)

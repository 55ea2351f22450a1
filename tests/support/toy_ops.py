"""Two small ops for tests of plans: `ask` samples from an engine, `keep` only reads."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from raygen.core.row import ColumnType, Reject, Row
from raygen.core.task import Task
from raygen.ops.base import Columns, Context, Op, OpParams


class AskParams(OpParams):
    """Asks."""

    prompt: str = "{{ question }}"
    into: str = "reply"
    type: ColumnType = "string"
    label: Literal["shown", "hidden"] = "hidden"
    n: int = 1


class KeepParams(OpParams):
    """Keeps."""

    needs: tuple[str, ...] = ()
    where: str = "true"


async def run(row: Row, params: Any, ctx: Context) -> Sequence[Row | Reject]:
    return [row]


def ask_columns(params: AskParams, task: Task) -> Columns:
    return Columns(
        provides={params.into: params.type},
        hides=frozenset({"answer"}) if params.label == "hidden" else frozenset(),
        given=frozenset({"demonstrations"}),
        templates={"prompt": params.prompt},
    )


def keep_columns(params: KeepParams, task: Task) -> Columns:
    where = "{{ " + params.where + " }}"
    return Columns(requires=frozenset(params.needs), templates={"where": where})


ASK = Op("ask", 1, AskParams, run, ask_columns, needs_engine=True)
KEEP = Op("keep", 1, KeepParams, run, keep_columns)
OPS: Mapping[str, Op] = {"ask": ASK, "keep": KEEP}

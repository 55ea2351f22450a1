"""Group ops: they wait for all rows of a source row and get them in a fixed order."""

from collections.abc import Sequence

from raygen.core.row import Reject, Row
from raygen.core.task import Task
from raygen.ops.base import Columns, Context, Op, OpParams
from raygen.planning.plan import Node
from raygen.runtime.row_program import RowProgram
from tests.support.plans import QUESTION, engines, fake_spec, node, plan


class _Params(OpParams):
    """Counts the rows that it is given."""


async def _run(rows: Sequence[Row], params: _Params, ctx: Context) -> Sequence[Row | Reject]:
    texts = [str(row.data.get("rationale")) for row in rows]
    return [Row(rows[0].key, {**rows[0].data, "all": texts}, ((ctx.node, 0),))]


def _columns(params: _Params, task: Task) -> Columns:
    return Columns(provides={"all": "strings"})


GATHER = Op("gather", 1, _Params, _run, _columns, group=True)


async def test_a_group_op_gets_all_rows_of_its_inputs_in_order() -> None:
    spec = fake_spec("One. So the answer is: (b)", "Two. So the answer is: (a)")
    of = plan(
        [
            node("r", "sample_rationales", n=2),
            Node("all", GATHER, _Params(), ("r", "source"), None),
            Node("again", GATHER, _Params(), ("all",), None),
        ],
        ("again",),
        spec,
        {"all": "strings"},
    )
    result = await RowProgram(of, engines(of)).run("key", QUESTION)
    assert result.node_counts == {"r": (1, 2, 0), "all": (3, 1, 0), "again": (1, 1, 0)}
    assert [len(example["all"]) for example in result.examples] == [1]
    assert result.status == "kept"


async def test_a_group_op_without_rows_is_not_called() -> None:
    spec = fake_spec("nothing to read")
    of = plan(
        [node("r", "sample_rationales", n=2), Node("all", GATHER, _Params(), ("r",), None)],
        ("all",),
        spec,
    )
    result = await RowProgram(of, engines(of)).run("key", QUESTION)
    assert result.status == "dropped"
    assert result.node_counts["all"] == (0, 0, 0)

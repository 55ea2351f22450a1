"""join_views: all of a group or none of it."""

from typing import Any

import pytest

from raygen.core.row import Reject, Row
from raygen.core.task import TASKS
from raygen.ops.join_views import OP
from raygen.testing import reasons, run_op

SOURCE = Row("key", {"question": "Where do fish live?"})
EDIT = SOURCE.child("edit", 0, {"question": "Where do birds fly?", "variant": "counterfactual"})


def view(of: Row, name: str, k: int = 0) -> Row:
    return of.child(name, k, {"view": name})


def groups(outcomes: list[Any]) -> list[str]:
    return [outcome.data["group"] for outcome in outcomes]


async def test_a_pair_shares_its_group() -> None:
    outcomes, _ = await run_op(OP, [SOURCE, EDIT])
    assert len(set(groups(outcomes))) == 1
    assert [o.data["variant"] for o in outcomes if isinstance(o, Row)] == [
        "original",
        "counterfactual",
    ]
    assert len({o.id for o in outcomes if isinstance(o, Row)}) == 2
    other, _ = await run_op(OP, [Row("other", SOURCE.data), Row("other", EDIT.data)])
    assert set(groups(other)).isdisjoint(groups(outcomes))


@pytest.mark.parametrize(
    ("rows", "detail"),
    [
        ([SOURCE, SOURCE], "original without counterfactual"),
        ([EDIT], "counterfactual without original"),
    ],
)
async def test_without_all_that_is_required_nothing_goes_on(rows: list[Row], detail: str) -> None:
    outcomes, _ = await run_op(OP, rows)
    assert outcomes == [Reject("incomplete", detail)] * len(rows)


async def test_views_are_joined_per_question() -> None:
    rows = [
        view(SOURCE, "positive"),
        view(SOURCE, "positive", 1),
        view(EDIT, "counterfactual_positive"),
        view(SOURCE, "negative"),
    ]
    params: dict[str, Any] = {"by": "view", "required": ["positive", "negative"], "per": "question"}
    outcomes, _ = await run_op(OP, rows, **params)
    assert reasons(outcomes) == [None, None, None, "incomplete"]
    assert len({o.data["group"] for o in outcomes if isinstance(o, Row)}) == 1
    outcomes, _ = await run_op(OP, [*rows, view(EDIT, "counterfactual_negative")], **params)
    assert reasons(outcomes) == [None] * 5
    assert len(set(groups(outcomes))) == 2


def test_views_must_be_there_and_variants_need_not() -> None:
    of = OP.params.model_validate
    task = TASKS["multiple_choice"]
    assert OP.columns(of({}), task).requires == {"question"}
    assert OP.columns(of({"by": "view"}), task).requires == {"question", "view"}

"""Which rows are trained on: by node, by view, and where a recorded teacher was right."""

from __future__ import annotations

from typing import Any

import pytest

from streamtrain.config.student import StudentConfig
from streamtrain.data.row_filter import RowFilter
from streamtrain.errors import InputError

RECORDED = {
    "id": "e1",
    "view": "positive",
    "node": "told",
    "question": "Which is cold?",
    "choices": ["ice", "fire"],
    "answer": 0,
    "rationale": "Ice is frozen.",
    "predicted": 0,
}


def row_filter(**data: Any) -> RowFilter:
    return RowFilter(
        StudentConfig.model_validate({"student": "s", "version": 1, "model": "m", "data": data})
    )


@pytest.mark.parametrize("predicted", [1, "B", "fire", None])
def test_a_recorded_rationale_of_another_or_no_answer_is_left_out(predicted: Any) -> None:
    rule = row_filter()
    assert rule.refusal({**RECORDED, "predicted": predicted}) == "teacher_wrong"


@pytest.mark.parametrize("predicted", [0, "A", "ice"])
def test_a_recorded_rationale_of_the_right_answer_is_trained_on(predicted: Any) -> None:
    rule = row_filter()
    assert rule.refusal({**RECORDED, "predicted": predicted}) is None


@pytest.mark.parametrize(
    "data", [{"rationales": {"wrong": "keep"}}, {"rationale": "none"}], ids=str
)
def test_wrong_ones_are_kept_where_configured_or_where_no_rationale_is_learned(
    data: dict[str, Any],
) -> None:
    assert row_filter(**data).refusal({**RECORDED, "predicted": 1}) is None


@pytest.mark.parametrize(
    "row",
    [{"label": 1, "predicted": 1}, {"label": 0, "predicted": None}, {"refuted": 1}],
    ids=["the teacher's answer is the label", "the label was shown", "a refutation"],
)
def test_rows_with_a_label_of_their_own_and_refutations_are_no_recorded_answers(
    row: dict[str, Any],
) -> None:
    assert row_filter().refusal({**RECORDED, "predicted": None, **row}) is None


def test_a_prediction_that_names_no_option_is_an_error_that_names_the_row() -> None:
    with pytest.raises(InputError, match=r"example e1 .*'water'.*wrong: keep"):
        row_filter().refusal({**RECORDED, "predicted": "water"})


def test_nodes_and_views_are_chosen() -> None:
    rule = row_filter(nodes=["told"], views={"positive": 1.0, "negative": 0})
    rows = [RECORDED, {**RECORDED, "node": "other"}, {**RECORDED, "view": "negative"}]
    assert [rule.refusal(row) for row in rows] == [None, "node", "view"]
    with pytest.raises(InputError, match="'label_only', which is not named"):
        rule.refusal({**RECORDED, "view": "label_only"})

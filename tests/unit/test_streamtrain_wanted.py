"""Which rows are trained on: by node, by view, and where a recorded teacher was right."""

from __future__ import annotations

from typing import Any

import pytest

from streamtrain.config import StudentConfig
from streamtrain.errors import InputError
from streamtrain.wanted import Wanted

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


def wanted(**data: Any) -> Wanted:
    return Wanted(
        StudentConfig.model_validate({"student": "s", "version": 1, "model": "m", "data": data})
    )


@pytest.mark.parametrize("said", [1, "B", "fire", None])
def test_a_recorded_rationale_of_another_or_no_answer_is_left_out(said: Any) -> None:
    rule = wanted()
    assert not rule({**RECORDED, "predicted": said})
    assert rule.left_out == {"teacher_wrong": 1}


@pytest.mark.parametrize("said", [0, "A", "ice"])
def test_a_recorded_rationale_of_the_right_answer_is_trained_on(said: Any) -> None:
    rule = wanted()
    assert rule({**RECORDED, "predicted": said})
    assert rule.left_out == {}


@pytest.mark.parametrize(
    "data", [{"rationales": {"wrong": "keep"}}, {"rationale": "none"}], ids=str
)
def test_wrong_ones_are_kept_where_asked_or_where_no_rationale_is_learned(
    data: dict[str, Any],
) -> None:
    assert wanted(**data)({**RECORDED, "predicted": 1})


@pytest.mark.parametrize(
    "row",
    [{"label": 1, "predicted": 1}, {"label": 0, "predicted": None}, {"refuted": 1}],
    ids=["the teacher's answer is the label", "the label was shown", "a refutation"],
)
def test_rows_with_a_label_of_their_own_and_refutations_are_no_recorded_answers(
    row: dict[str, Any],
) -> None:
    assert wanted()({**RECORDED, "predicted": None, **row})


def test_a_prediction_that_names_no_option_is_an_error_that_names_the_row() -> None:
    with pytest.raises(InputError, match=r"example e1 .*'water'.*wrong: keep"):
        wanted()({**RECORDED, "predicted": "water"})


def test_nodes_and_views_are_chosen_and_counted() -> None:
    rule = wanted(nodes=["told"], views={"positive": 1.0, "negative": 0})
    rows = [RECORDED, {**RECORDED, "node": "other"}, {**RECORDED, "view": "negative"}]
    assert [rule(row) for row in rows] == [True, False, False]
    assert rule.left_out == {"node": 1, "view": 1}
    with pytest.raises(InputError, match="'label_only', which is not named"):
        rule({**RECORDED, "view": "label_only"})

"""The op keeps to the contract of ops, does what it says, and is found by its entry point."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from raygen.core import TASKS, Reject, Row
from raygen.ops import all_ops
from raygen.testing import check_op

from raygen_drop_vacuous import OP

MILK = {
    "question": "Where would you put milk to keep it fresh?",
    "choices": ["in the oven", "in the fridge"],
    "answer": 1,
}
REPEATING = "The milk would be kept fresh in the fridge, so the answer is the fridge."
REASONING = "Milk goes sour when it is warm. A fridge keeps food cold."


def outcomes(rationale: str, **params: Any) -> Sequence[Row | Reject]:
    return check_op(OP, params, [{**MILK, "rationale": rationale}])


def test_a_rationale_with_words_of_its_own_is_kept() -> None:
    (row,) = outcomes(REASONING)
    assert isinstance(row, Row)
    assert row.data["own_words"] == ["goes", "sour", "warm", "keeps", "food", "cold"]
    assert row.data["rationale"] == REASONING


def test_one_that_repeats_the_question_is_dropped() -> None:
    (reject,) = outcomes(REPEATING)
    assert reject == Reject("vacuous", "words of its own: kept; expected at least 3")


@pytest.mark.parametrize("rationale", ["", "...", "THE FRIDGE, because the FRIDGE!"])
def test_one_that_says_nothing_is_dropped(rationale: str) -> None:
    (reject,) = outcomes(rationale, least=1)
    assert reject == Reject("vacuous", "words of its own: none; expected at least 1")


def test_a_recipe_may_name_more_small_words() -> None:
    assert isinstance(outcomes(REASONING, least=6)[0], Row)
    (reject,) = outcomes(REASONING, least=6, small_words=["goes", "keeps"])
    assert isinstance(reject, Reject)


def test_classes_are_options_too() -> None:
    task = replace(TASKS["classification"], labels=("good", "bad"))
    row = {"text": "I liked it.", "label": "good", "rationale": "Bad or good? I liked it: good."}
    assert isinstance(check_op(OP, {"least": 1}, [row], task=task)[0], Reject)


def test_the_installed_op_is_found() -> None:
    assert all_ops()[OP.name] is OP

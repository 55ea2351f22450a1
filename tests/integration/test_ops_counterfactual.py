"""The ops of counterfactual distillation on the bundled model: the checks hold on what it says.

In `make test` the small recipe of `test_recipes.py` runs them.
"""

import pytest

from raygen.core.row import Reject, Row
from raygen.ops import (
    fill_counterfactual,
    mask_topic_words,
    negative_view,
    self_consistency,
)
from raygen.ops.common.masking import MASK, extract_fills, fill_masks
from tests.integration.bundled import RealEngine

pytestmark = [pytest.mark.bundled, pytest.mark.slow]

ROW = {
    "question": "Where would you keep milk so that it stays cold?",
    "choices": ["fridge", "oven", "desk"],
    "answer": 0,
}
MASKED = {**ROW, "masked": "Where would you keep [MASK] so that it stays [MASK]?"}
ANSWERED = {"empty", "truncated", "refused"}


def test_topic_words_of_the_model_stand_in_the_text(bundled_teacher: RealEngine) -> None:
    (outcome,) = bundled_teacher.run(
        mask_topic_words.OP, ROW, phrases="engine", max_tokens=32, n=4, temperature=0.7
    )
    if isinstance(outcome, Reject):
        assert outcome.reason in ANSWERED | {"no_span", "all_masked"}
        return
    spans = outcome.data["masked_spans"]
    assert MASK in outcome.data["masked"]
    assert fill_masks(outcome.data["masked"], [span["text"] for span in spans]) == ROW["question"]


@pytest.mark.parametrize("form", ["text", "fills"])
def test_a_fill_of_the_model_keeps_the_other_words(bundled_teacher: RealEngine, form: str) -> None:
    (outcome,) = bundled_teacher.run(
        fill_counterfactual.OP, MASKED, form=form, target="hardest", max_tokens=24, n=8
    )
    assert {call.kind for call in bundled_teacher.calls} == {"score", "generate"}
    if isinstance(outcome, Reject):
        assert outcome.reason in ANSWERED | set(fill_counterfactual.CHECKS)
        return
    assert outcome.data["question"] != ROW["question"]
    assert extract_fills(MASKED["masked"], outcome.data["question"]) == outcome.data["fills"]
    assert outcome.data["answer"] == outcome.data["target"] != ROW["answer"]


def test_the_model_votes(bundled_teacher: RealEngine) -> None:
    (outcome,) = bundled_teacher.run(
        self_consistency.OP, ROW, samples=4, threshold=0.25, max_tokens=48
    )
    if isinstance(outcome, Reject):
        assert outcome.reason in {"unreadable", "tie", "other_answer", "low_agreement"}
        return
    votes = outcome.data["votes"]
    assert sum(votes["counts"].values()) + votes["unread"] == 4
    assert outcome.data["agreement"] == votes["counts"]["fridge"] / 4 >= 0.25


def test_each_wrong_option_is_refuted_by_the_model(bundled_teacher: RealEngine) -> None:
    outcomes = bundled_teacher.run(negative_view.OP, ROW, emit="each", max_tokens=40)
    assert len(outcomes) == len(bundled_teacher.calls) == 2
    for outcome, option in zip(outcomes, ("oven", "desk"), strict=True):
        if isinstance(outcome, Row):
            assert outcome.data["refuted"] == option
            assert outcome.data["rationale"]
        else:
            assert outcome.reason in ANSWERED | {"argues_for_it", "other_answer"}

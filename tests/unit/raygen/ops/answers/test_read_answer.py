"""read_answer: what any text says, in the columns that a sampled rationale has."""

from dataclasses import replace
from typing import Any

import pytest

from raygen.core import Reject, Row, Task
from raygen.core.task import TASKS
from raygen.ops.answers.read_answer import OP
from raygen.testing import run_op

ROW: dict[str, Any] = {"question": "Which animal barks?", "choices": ["cat", "dog"], "answer": 1}
CLASSES = replace(TASKS["classification"], labels=("bad", "good"))


async def read(said: str, task: Task, row: dict[str, Any]) -> Row | Reject:
    outcomes, _ = await run_op(OP, {**row, "said": said}, task=task, column="said")
    (outcome,) = outcomes
    return outcome


@pytest.mark.parametrize(
    ("said", "predicted", "rationale", "answer_first"),
    [
        ("Dogs bark. The answer is (b).", 1, "Dogs bark.", False),
        ("B - since dogs bark.", 1, "dogs bark.", True),
        ('{"answer": "dog", "reason": "Dogs bark."}', 1, "Dogs bark.", True),
        ('{"reason": "Dogs bark.", "answer": "dog"}', 1, "Dogs bark.", False),
    ],
)
async def test_an_option_is_read(
    said: str, predicted: int, rationale: str, answer_first: bool
) -> None:
    row = await read(said, TASKS["multiple_choice"], ROW)
    assert isinstance(row, Row)
    assert row.data["predicted"] == row.data["label"] == predicted
    assert row.data["rationale"] == rationale
    assert row.data["answer_first"] is answer_first
    assert row.data["confidence"] > 0.8
    assert row.data["said"] == said


async def test_a_class_and_a_free_answer_are_texts() -> None:
    row = await read("Dull. Label: bad", CLASSES, {"text": "Dull."})
    assert isinstance(row, Row)
    assert row.data["label"] == "bad"
    row = await read("6 * 7. The answer is 42.", TASKS["free_text"], {"question": "6 * 7?"})
    assert isinstance(row, Row)
    assert (row.data["label"], row.data["rationale"]) == ("42", "6 * 7.")


@pytest.mark.parametrize("said", ["It may be (a) or (b).", "Who knows?", ""])
async def test_a_text_that_settles_on_nothing_is_rejected(said: str) -> None:
    outcome = await read(said, TASKS["multiple_choice"], ROW)
    assert isinstance(outcome, Reject)
    assert outcome.reason == "no_answer"


def test_a_classification_needs_its_classes() -> None:
    params = OP.params.model_validate({"column": "said"})
    with pytest.raises(ValueError, match="labels"):
        OP.columns(params, TASKS["classification"])

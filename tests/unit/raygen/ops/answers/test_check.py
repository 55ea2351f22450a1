"""check: a column held against another by one checker or several."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from raygen.core import TASKS, Reject, Row, make_task
from raygen.ops.answers.check import OP, CheckParams
from raygen.testing import run_op

FREE = TASKS["free_text"]
CHOICES = {"question": "Where do cows sleep?", "choices": ["river bank", "barn"], "answer": 1}
SOLUTION = "Each row has 7 eggs, so there are 6*7=<<6*7=42>>42 eggs.\n#### 42"


async def verdict(row: dict[str, Any], **params: Any) -> dict[str, Any]:
    task = params.pop("task", FREE)
    (outcome,), _ = await run_op(OP, {"question": "Why?", **row}, task=task, **params)
    assert isinstance(outcome, Row)
    return dict(outcome.data)


@pytest.mark.parametrize(
    ("predicted", "answer", "correct"),
    [
        ("42", SOLUTION, True),
        ("Six times seven. The answer is 42.", SOLUTION, True),
        ("There are 42 of them, since 6 rows of 7 eggs make as many", SOLUTION, False),
        ("41", SOLUTION, False),
        (r"So it is $\boxed{9}$.", r"9\pi", False),
        (r"It is $\boxed{\frac{1}{2}}$.", "0.5", True),
        ("The answer is −7.", "7", False),
        (
            r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
            r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}",
            True,
        ),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "4", False),
        (None, "4", False),
    ],
)
async def test_a_free_answer_is_read_and_compared(
    predicted: str | None, answer: str, correct: bool
) -> None:
    row = await verdict({"predicted": predicted, "answer": answer})
    assert row["correct"] is correct
    assert row["correct_detail"].keys() == {"how", "reason", "seconds"}
    assert row["correct_detail"]["how"] == "math"


@pytest.mark.parametrize(
    ("predicted", "correct"),
    [
        (1, True),
        (0, False),
        ("It is dry. So the answer is (b).", True),
        ("barn", True),
        ("A", False),
    ],
)
async def test_an_option_is_read_and_compared(predicted: Any, correct: bool) -> None:
    task = TASKS["multiple_choice"]
    row = await verdict({**CHOICES, "predicted": predicted}, task=task)
    assert row["correct"] is correct
    assert row["correct_detail"]["how"] == "option"


async def test_a_class_is_compared_with_the_label() -> None:
    task = make_task("classification", ["negative", "positive"])
    row = {"text": "Fine!", "label": "positive", "predicted": "Label: positive"}
    assert (await verdict(row, task=task))["correct"] is True


async def test_the_first_verdict_counts_and_another_is_recorded() -> None:
    row = await verdict(
        {"said": "3.5", "gold": "3 1/2"}, column="said", against="gold", how=["number", "exact"],
        into="right",
    )  # fmt: skip
    assert (row["right"], row["right_differs"]) == (True, True)
    (other,) = row["right_detail"]["others"]
    assert (other["how"], other["correct"]) == ("exact", False)


@pytest.mark.parametrize(
    ("how", "predicted", "reason"),
    [
        (("number", "exact"), "8", "wrong_answer"),
        (("exact", "number"), "7.0", "disputed"),
        (("number", "exact"), "7.0", None),
    ],
)
async def test_a_wrong_answer_is_rejected_and_a_disputed_one_is_named(
    how: tuple[str, ...], predicted: str, reason: str | None
) -> None:
    row = {"question": "Why?", "predicted": predicted, "answer": "7"}
    (outcome,), _ = await run_op(OP, row, task=FREE, how=how, keep="correct")
    assert (outcome.reason if isinstance(outcome, Reject) else None) == reason


async def test_a_pattern_and_a_schema_of_the_recipe_stand_for_a_column() -> None:
    found = await verdict({"predicted": "see 12-3"}, how="regex", pattern=r"\d\d-\d")
    assert found["correct"] is True
    schema = {"type": "object", "required": ["age"]}
    row = await verdict({"predicted": '{"name": "x"}'}, how="json_schema", schema=schema)
    assert row["correct"] is False
    assert "age" in row["correct_detail"]["reason"]


@pytest.mark.parametrize(("same", "correct"), [("yes", True), ("no", False)])
async def test_a_model_is_shown_both_answers_and_held_to_a_yes_or_no(
    same: str, correct: bool
) -> None:
    row = {"question": "Who?", "predicted": "The answer is NYC.", "answer": "New York"}
    reply = json.dumps({"reason": "the same city", "same": same})
    (outcome,), context = await run_op(OP, row, [reply], FREE, how="model", judge="strong")
    assert isinstance(outcome, Row)
    assert (outcome.data["correct"], context.engines) == (correct, ["strong"])
    assert "Answer 1: New York\n\nAnswer 2: NYC\n" in str(context.asked[0][0])
    assert context.schemas[0] is not None
    assert outcome.data["correct_detail"]["reason"] == "the same city"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"how": ["math", "math"]}, "each checker once"),
        ({"how": []}, "each checker once"),
        ({"how": "model"}, "needs `judge`"),
        ({"how": "math", "judge": "e"}, "`judge` is for how: model"),
        ({"pattern": "x"}, "`pattern` is for how: regex"),
        ({"how": "exact", "schema": {}}, "`schema` is for how: json_schema"),
    ],
)
def test_parameters_that_belong_to_another_checker_are_refused(
    params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        CheckParams.model_validate(params)


def test_what_it_reads_hangs_on_the_checkers() -> None:
    def needs(task: str, **params: Any) -> set[str]:
        return set(OP.columns(CheckParams.model_validate(params), TASKS[task]).requires)  # type: ignore[index]

    assert needs("multiple_choice") == {"predicted", "answer", "choices"}
    assert needs("free_text") == {"predicted", "answer"}
    assert needs("free_text", how="regex", pattern="x") == {"predicted"}
    assert needs("free_text", how="model", judge="e") == {"predicted", "answer", "question"}
    with pytest.raises(ValueError, match="check by option needs options"):
        needs("free_text", how="option")


def test_both_verdicts_are_counted_and_the_library_decides_the_plan() -> None:
    declared = OP.columns(CheckParams.model_validate({"how": ["math", "exact"]}), FREE)
    assert declared.reports == ("correct", "correct_differs")
    assert declared.environment.keys() == {"math-verify"}
    assert OP.columns(CheckParams.model_validate({"how": "exact"}), FREE).environment == {}

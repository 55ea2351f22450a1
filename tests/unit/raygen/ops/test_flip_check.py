"""flip_check: the teacher's prediction must move from the gold answer to the target."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from raygen.core.row import Row
from raygen.core.task import TASKS
from raygen.ops.flip_check import OP
from raygen.testing import Script, reasons, run_op

ROW = {
    "question": "Where do birds fly?",
    "choices": ["sky", "water", "oven"],
    "answer": 0,
    "original": "Where do fish live?",
    "original_answer": 1,
    "target": 0,
}
CLASSES = replace(TASKS["classification"], labels=("bad", "good"))


def scores(before: Sequence[float], after: Sequence[float]) -> Script:
    return Script(scores=lambda prompt, _: before if "fish" in prompt else after)


async def test_a_flip_is_kept_with_its_probabilities() -> None:
    outcomes, context = await run_op(OP, ROW, scores((-3.0, -1.0, -9.0), (-1.0, -2.0, -9.0)))
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert max(row["probabilities"], key=row["probabilities"].get) == "sky"
    assert max(row["original_probabilities"], key=row["original_probabilities"].get) == "water"
    assert sum(row["probabilities"].values()) == pytest.approx(1)
    assert row["question"] == ROW["question"]
    assert [str(prompt).split("\n")[0] for prompt, _ in context.scored] == [
        "Q: Where do fish live?",
        "Q: Where do birds fly?",
    ]


@pytest.mark.parametrize(
    ("before", "after", "reason", "calls"),
    [
        ((-1.0, -2.0, -9.0), (-1.0, -2.0, -9.0), "teacher_disagrees", 1),
        ((-2.0, -1.0, -9.0), (-2.0, -1.0, -9.0), "not_flipped", 2),
        ((-2.0, -1.0, -9.0), (-2.0, -9.0, -1.0), "wrong_target", 2),
        ((-1.0, -1.0, -9.0), (-1.0, -2.0, -9.0), "no_prediction", 1),
        ((-2.0, -1.0, -9.0), (-1.0, -1.0, -9.0), "no_prediction", 2),
    ],
)
async def test_what_does_not_flip_is_rejected(
    before: Sequence[float], after: Sequence[float], reason: str, calls: int
) -> None:
    outcomes, context = await run_op(OP, ROW, scores(before, after))
    assert reasons(outcomes) == [reason]
    assert len(context.scored) == calls


async def test_a_classifier_of_texts() -> None:
    data = {
        "text": "A dull film.",
        "label": "bad",
        "original": "A charming film.",
        "original_answer": 1,
        "target": 0,
    }
    script = Script(classes=lambda text: {"good": 0.9, "bad": 0.1} if "charm" in text else
                    {"good": 0.2, "bad": 0.8})  # fmt: skip
    (row,), _ = await run_op(OP, data, script, CLASSES, by="classify")
    assert isinstance(row, Row)
    assert row.data["probabilities"] == {"bad": 0.8, "good": 0.2}
    declared = OP.columns(OP.params.model_validate({"by": "classify"}), CLASSES)
    assert (declared.templates, declared.abilities) == ({}, {"engine": {"classify"}})


@pytest.mark.parametrize(
    "leak", ["answer", "target", "rationale", "original_answer", "probabilities"]
)
def test_the_plan_knows_what_no_prompt_may_read(leak: str) -> None:
    params: Any = OP.params.model_validate({"prompt": f"{{{{ {leak} }}}}"})
    declared = OP.columns(params, TASKS["multiple_choice"])
    assert declared.templates == {"prompt": params.prompt}
    assert leak in declared.hides
    assert leak not in declared.given


def test_a_prompt_cant_read_the_text_before_the_edit() -> None:
    params: Any = OP.params.model_validate({"prompt": "{{ original }} {{ stem }}"})
    with pytest.raises(ValueError, match="prompt reads 'original'"):
        OP.columns(params, TASKS["multiple_choice"])

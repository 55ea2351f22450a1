"""The `soft_labels` op: the teacher's class probabilities, for a student that imitates them."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from raygen.core import Reject, Row, Task
from raygen.ops.base import Columns, Context, Op
from raygen.ops.common.options import question_columns
from raygen.ops.common.prediction import (
    HIDDEN,
    PREDICTION_FIELDS,
    PredictionParams,
    predict_options,
)


class SoftLabelsParams(PredictionParams):
    """Records how probable the teacher finds each option of a row, without knowing the answer.

    `by: classify` takes a classifier's probabilities, `by: score` the options' log-probabilities
    after a prompt (letters summed, texts as the mean per token), made to add up to 1.

    Emits the row with `soft_labels` ({option: log-probability at temperature 1}) and
    `soft_labels_teacher` (the model that they come from, which a student's recipe must name).
    Rejects nothing but prompts that the engine can't take (`prompt_too_long`).

    Paper: few-shot distillation with counterfactual explanations (CoD), arXiv 2510.21631.
    """

    by: Literal["classify", "score"] = Field(
        "score", description="where the probabilities come from"
    )


async def run(row: Row, params: SoftLabelsParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the row with its soft labels."""
    prediction = await predict_options(row.data, row.data[ctx.task.stem], params, ctx)
    soft = {
        option: math.log(max(probability, sys.float_info.min))
        for option, probability in prediction.by_option.items()
    }
    columns = {"soft_labels": soft, "soft_labels_teacher": ctx.teacher()}
    return [row.child(ctx.node, 0, columns)]


def columns(params: SoftLabelsParams, task: Task) -> Columns:
    """Declare that it needs the task's columns, and hide the answer."""
    params.check(task, "soft_labels")
    return Columns(
        requires=question_columns(task),
        provides={"soft_labels": "json", "soft_labels_teacher": "string"},
        hides=HIDDEN,
        given=PREDICTION_FIELDS,
        templates=params.templates(task),
        abilities={"engine": params.ability},
        cost=params.prediction_cost(task, 1),
    )


OP = Op(
    "soft_labels",
    2,
    SoftLabelsParams,
    run,
    columns,
    needs_engine=True,
    paper="arXiv 2510.21631",
)
